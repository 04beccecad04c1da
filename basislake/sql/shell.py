"""Interactive shell of `sql`: statements of several lines, history, completion; survives errors."""

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from basislake.cli.signals import Ended
from basislake.output.screen import SCREEN, say
from basislake.output.tables import paragraph
from basislake.sql.examples import EXAMPLES, MARK, text_of
from basislake.sql.result_rows import print_rows
from lake.batches import newest_batch
from lake.counted_words import counted
from lake.errors import BasislakeError
from lake.query import duck
from lake.query.views import VIEWS, View
from lake.state import State
from lake.table import Table
from lake.tables import TABLES

_PROMPT, _FURTHER = "basislake> ", "      ...> "
_LEAVE = ("exit", "quit", "\\q")
_HELP = "help"
_SHORT = "a statement ends with ;, Ctrl-C ends a query, Ctrl-D ends the shell, `help` explains more"
# Texts, names and comments: a semicolon in them does not end a statement.
_QUOTED = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | \$(\w*)\$.*?\$\1\$ | --[^\n]*(?:\n|$) | /\*.*?\*/""",
    re.DOTALL | re.VERBOSE,
)
_WORD = re.compile(rf"({MARK}[\w-]*|\w+)$")
_KEYWORDS = (
    *("SELECT", "FROM", "WHERE", "GROUP", "BY", "ORDER", "LIMIT", "HAVING", "QUALIFY", "JOIN"),
    *("LEFT", "USING", "ON", "AS", "AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "NULL"),
    *("DISTINCT", "CASE", "WHEN", "THEN", "ELSE", "END", "WITH", "UNION", "ALL", "DESC", "ASC"),
    *("FILTER", "OVER", "PARTITION", "INTERVAL", "DESCRIBE", "SUMMARIZE", "EXPLAIN", "COPY", "TO"),
    *("count", "sum", "avg", "min", "max", "median", "arg_max", "date_trunc"),
)
_UNFINISHED = re.compile(r"""['"]|/\*|\$\w*\$""")


class QueryCompleter(Completer):
    """Completes the word before the cursor, and shows the meaning of each column."""

    def __init__(self) -> None:
        """Collect the declared tables and views."""
        declared: tuple[Table | View, ...] = (*TABLES.values(), *VIEWS)
        self._columns: Mapping[str, Mapping[str, str]] = {
            each.name: {column.name: column.meaning for column in each.columns} for each in declared
        }
        self._rows = {table.name: table.row for table in TABLES.values()}
        self._rows |= {view.name: view.meaning for view in VIEWS}

    def get_completions(self, document: Document, _: CompleteEvent) -> Iterator[Completion]:
        """Return the candidates that begin with the word before the cursor."""
        found = _WORD.search(document.text_before_cursor)
        if found is None:
            return
        word = found[0]
        for name, meaning in chain(*self._candidates(word, document.text)):
            if name.lower().startswith(word.lower()):
                yield Completion(name, -len(word), display_meta=meaning)

    def _candidates(self, word: str, text: str) -> Iterator[Iterable[tuple[str, str]]]:
        """Names with their meaning; only columns of the tables in the text, if it names one."""
        if word.startswith(MARK):
            yield ((MARK + example.name, example.title) for example in EXAMPLES)
            return
        named = [name for name in self._columns if re.search(rf"\b{name}\b", text)]
        found: dict[str, str] = {}
        for name in named or self._columns:
            found |= self._columns[name]
        yield found.items()
        yield self._rows.items()
        yield ((keyword, "") for keyword in _KEYWORDS)


def shell(state: State, connection: duck.Connection, format_: str) -> int:
    """Answer the statements typed on the terminal, until Ctrl-D; return the exit code."""
    session: PromptSession[str] = PromptSession(
        _PROMPT,
        history=_history(os.environ),
        completer=QueryCompleter(),
        multiline=Condition(lambda: not is_whole(get_app().current_buffer.text)),
        prompt_continuation=_FURTHER,
        enable_history_search=True,
    )
    batch = state.as_of if state.as_of is not None else newest_batch(state)
    say(f"The lake at {state.uri} as of batch {batch}; {_SHORT}.")
    # Ctrl-C as a key of the library; otherwise it would lose one right after the Enter key.
    converse(connection, lambda: session.prompt(handle_sigint=False), format_)
    return 0


def converse(connection: duck.Connection, read: Callable[[], str], format_: str) -> None:
    """Answer statements until the input ends (EOFError) or the user leaves.

    Args:
        connection: to the lake.
        read: returns the next text; `KeyboardInterrupt` drops the text typed so far.
        format_: of the rows.
    """
    while True:
        text = ""
        try:
            text = read().strip()
            if text.rstrip("; ") in _LEAVE:
                return
            if text.rstrip("; ") == _HELP:
                _show_help()
            elif text:
                _answer(connection, text, format_)
        except EOFError:
            return
        except Ended:
            raise
        except KeyboardInterrupt:
            if text:
                SCREEN.interrupt()
                say("Interrupted.")
        except BasislakeError as exc:
            say(f"Error: {exc}")


def is_whole(text: str) -> bool:
    """Whether a text is complete: it is empty, a command of the shell, or the name of a ready
    query, or it ends with a semicolon; pure.
    """
    bare = text.strip()
    if not bare or bare in (*_LEAVE, _HELP) or re.fullmatch(rf"{MARK}[\w-]+", bare):
        return True
    unquoted = _QUOTED.sub(" ", text)
    return unquoted.rstrip().endswith(";") and not _UNFINISHED.search(unquoted)


def _answer(connection: duck.Connection, text: str, format_: str) -> None:
    query = text_of(text.rstrip("; ")) if text.startswith(MARK) else text
    for statement in duck.statements(connection, query):
        start_s = time.monotonic()
        rows = duck.rows(connection, statement.text)
        if statement.gives_rows:
            title = f"{counted(rows.height, 'row')} in {time.monotonic() - start_s:.2f} s"
            hint = "COPY (…) TO 'rows.csv' writes all."
            print_rows(rows, format_, is_first=True, title=title, hint=hint)


def _show_help() -> None:
    click.echo(f"In this shell, {_SHORT}.\n")
    names = {
        "Tables": list(TABLES),
        "Views": [view.call for view in VIEWS],
        "Examples": [MARK + example.name for example in EXAMPLES],
    }
    for title, own in names.items():
        click.echo(click.wrap_text(f"{title}: {', '.join(own)}", width=78, subsequent_indent="  "))
    click.echo()
    paragraph("DESCRIBE basis; shows the columns of a table or view; docs/tables.md explains them.")


def _history(environment: Mapping[str, str]) -> History:
    """The history file in the user's state folder; in memory only if it cannot be written."""
    with suppress(OSError, RuntimeError):
        place = Path(environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        path = place / "basislake" / "sql-history"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        return FileHistory(str(path))
    return InMemoryHistory()
