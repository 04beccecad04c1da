"""Queries of the command: their sources, several at once, and the shell."""

import io
import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from basislake.cli.signals import Ended
from basislake.output.formats import FORMATS
from basislake.sql.shell import QueryCompleter, converse, is_whole
from lake import Lake
from tests.market import PROCESS, basislake
from tests.processes import PATIENCE_S

TWO = "SELECT 1 AS a; SET threads = 1; SELECT 'x;y' AS b, 2 AS c; -- the end;"


def stdin_of(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(io.BytesIO(text)))


def test_a_query_comes_from_a_file_or_the_standard_input(
    market_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "my question.sql"
    path.write_text("\ufeffSELECT 'é' AS a -- ü\n", encoding="utf-8")
    done = basislake(None, "sql", path, "--lake", market_lake.uri, "--json")
    assert (done.code, done.json) == (0, [{"a": "é"}]), done.err
    stdin_of(b"SELECT 8 AS b", monkeypatch)
    assert basislake(None, "sql", "-", "--lake", market_lake.uri, "--json").json == [{"b": 8}]


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "No such file or directory"), (b"\xff", "is not text in UTF-8")],
)
def test_a_file_that_cannot_be_read_is_named(
    market_lake: Lake, tmp_path: Path, text: bytes | None, message: str
) -> None:
    path = tmp_path / "query.sql"
    if text is not None:
        path.write_bytes(text)
    done = basislake(None, "sql", path, "--lake", market_lake.uri)
    assert (done.code, done.out) == (2, "")
    assert f"{path} " in done.err
    assert message in done.err


def test_without_a_query_and_a_terminal_it_is_wrong_usage(
    market_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin_of(b"SELECT 1", monkeypatch)
    for options in ((), ("--output", tmp_path / "a.csv")):
        done = basislake(None, "sql", "--lake", market_lake.uri, *options)
        assert (done.code, done.out) == (2, "")
        assert "Give a query: SQL, a file that ends in .sql, - for the standard input" in done.err


PRINTED = {
    "table": "1 row\na\n1\n\n1 row\nb    c\nx;y  2\n",
    "csv": "a\n1\n\nb,c\nx;y,2\n",
    "tsv": "a\n1\n\nb\tc\nx;y\t2\n",
    "ndjson": '{"a":1}\n{"b":"x;y","c":2}\n',
}


@pytest.mark.parametrize("format_", FORMATS)
def test_each_statement_prints_its_rows(market_lake: Lake, format_: str) -> None:
    done = basislake(None, "sql", TWO, "--lake", market_lake.uri, "--format", format_)
    if format_ in ("parquet", "arrow"):
        assert (done.code, done.out) == (2, "")
        assert "rows of one statement, but 2 of these return rows. Nothing was run." in done.err
        return
    assert done.code == 0, done.err
    if format_ == "json":
        assert done.json == [[{"a": 1}], [{"b": "x;y", "c": 2}]]
    else:
        assert re.sub(" +\n", "\n", done.out) == PRINTED[format_]


def test_the_rows_of_one_statement_among_others_are_one_list(market_lake: Lake) -> None:
    pivot = "CREATE TEMP TABLE t AS SELECT 1 AS a; PIVOT t ON a USING count(*)"
    assert basislake(None, "sql", pivot, "--lake", market_lake.uri, "--json").json == [{"1": 1}]
    for query in ("SET threads = 1", " -- ;"):
        none = basislake(None, "sql", query, "--lake", market_lake.uri, "--json")
        assert (none.code, none.json) == (0, [])


def test_a_refused_statement_is_named_and_those_before_it_are_printed(market_lake: Lake) -> None:
    done = basislake(None, "sql", "SELECT 1 AS a; SELECT nonsense", "--lake", market_lake.uri)
    assert (done.code, done.out.split()) == (2, ["1", "row", "a", "1"])
    assert "ERROR Statement 2 of 2: DuckDB refuses the query: " in done.err
    unreadable = basislake(None, "sql", "SELECT 1; SELEKT 2", "--lake", market_lake.uri)
    assert (unreadable.code, unreadable.out) == (2, "")


def test_a_file_that_was_written_is_named_with_its_rows_and_size(
    market_lake: Lake, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    query = "SET threads = 1; SELECT 1 AS a UNION ALL SELECT 2 ORDER BY a;"
    done = basislake(None, "sql", query, "--lake", market_lake.uri, "--output", path)
    assert (done.code, path.read_text()) == (0, "a\n1\n2\n")
    assert done.err.endswith(f" INFO Wrote 2 rows, 6 B, to {path}.\n")
    refused = basislake(None, "sql", TWO, "--lake", market_lake.uri, "--output", path)
    assert (refused.code, path.read_text()) == (2, "a\n1\n2\n")
    none = basislake(None, "sql", "SET threads = 1", "--lake", market_lake.uri, "--output", path)
    assert "none of these returns rows" in none.err


@pytest.mark.parametrize(
    ("text", "whole"),
    [("", True), ("FROM basis", False), ("FROM basis;", True), ("FROM basis; ", True),
     ("SELECT ';", False), ("SELECT ';';", True), ("SELECT 1; -- more", True),
     ("SELECT 1 -- more;", False), ("SELECT 1 /* ; */", False), ("SELECT 1 /* ;", False),
     ('SELECT "a;', False), ("SELECT $$;", False), ("SELECT $x$;$x$;", True),
     ("SELECT 'it''s;", False), ("@curve", True), ("@basis-days", True), ("exit", True),
     ("help", True), ("SELECT 1;\nSELECT 2", False)],
)  # fmt: skip
def test_a_statement_ends_with_a_semicolon_that_is_not_in_a_text(text: str, whole: bool) -> None:  # noqa: FBT001
    assert is_whole(text) == whole


def test_the_shell_shows_errors_and_goes_on(
    market_lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    said: Iterator[str | BaseException] = iter(
        ["SELECT nonsense;", KeyboardInterrupt(), "SELEKT;", "@curves", "", "@currencies",
         "SELECT 1 AS a; SELECT 2 AS b;", "CREATE TEMP TABLE t AS SELECT 3 AS c;", "FROM t;",
         "help;", EOFError()]
    )  # fmt: skip

    def read() -> str:
        given = next(said)
        if isinstance(given, BaseException):
            raise given
        return given

    with market_lake.duckdb() as connection:
        converse(connection, read, "csv")
    shown = capsys.readouterr()
    assert shown.err.count(" ERROR DuckDB refuses the query: ") == 2
    assert "There is no example query @curves" in shown.err
    rows, help_ = shown.out.partition("In this shell, ")[::2]
    assert rows.splitlines()[0].startswith("currency,candles,")
    assert rows.splitlines()[3:] == ["a", "1", "b", "2", "c", "3"]
    assert "candles_hourly" in help_
    assert next(said, None) is None


def test_a_signal_that_ends_the_command_ends_the_shell_too(market_lake: Lake) -> None:
    def read() -> str:
        raise Ended

    with market_lake.duckdb() as connection, pytest.raises(Ended):
        converse(connection, read, "csv")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM candles_h", {"candles_hourly": "A candle of a full hour."}),
        ("SELECT * FROM basis WHERE basis_p", {"basis_pct": "basis / perpetual close x 100"}),
        ("SELECT und", {}),
        ("SELECT longest_g", {"longest_gap_minutes": None}),
        ("FROM instruments WHERE longest_g", {}),
        ("@cu", {"@currencies": None, "@curve": None}),
        ("sel", {"SELECT": ""}),
        ("SELECT 1, ", {}),
    ],
)
def test_the_shell_completes_names_and_says_what_they_mean(
    text: str, expected: dict[str, str | None]
) -> None:
    found = QueryCompleter().get_completions(Document(text), CompleteEvent())
    shown = {each.text: each.display_meta_text for each in found}
    assert {name: expected.get(name) and meaning for name, meaning in shown.items()} == expected


class Terminal:
    """A command on a terminal, typed at when it has shown something."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", **environment)
            os.execv(PROCESS[0], [*PROCESS, *map(str, arguments)])  # noqa: S606
        self.shown = ""

    def type(self, keys: str, until: str = "$") -> None:
        """Press keys, again where they have no effect for a while."""
        self.shown = ""
        os.write(self._file, keys.encode())
        self.expect(until, again=keys)

    def expect(self, pattern: str, again: str = "") -> None:
        deadline_s, next_s = time.monotonic() + PATIENCE_S, time.monotonic() + 1
        while not re.search(pattern, self.shown):
            assert time.monotonic() < deadline_s, self.shown
            if again and time.monotonic() > next_s:
                os.write(self._file, again.encode())
                next_s = time.monotonic() + 1
            if select.select([self._file], [], [], 0.1)[0]:
                text = os.read(self._file, 65536).decode(errors="replace")
                self.shown += re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text)

    def end(self) -> int:
        """Press Ctrl-D until the command has ended; return its exit code."""
        deadline_s, next_s = time.monotonic() + PATIENCE_S, 0.0
        with suppress(OSError):  # the other end is closed
            while time.monotonic() < deadline_s:
                if time.monotonic() > next_s:
                    os.write(self._file, b"\x04")
                    next_s = time.monotonic() + 1
                if select.select([self._file], [], [], 0.1)[0] and not os.read(self._file, 65536):
                    break
        os.close(self._file)
        if time.monotonic() >= deadline_s:
            os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.slow
def test_the_shell_on_a_terminal(market_lake: Lake, tmp_path: Path) -> None:
    shell = Terminal(
        "sql", "--lake", market_lake.uri, XDG_STATE_HOME=str(tmp_path), PROMPT_TOOLKIT_NO_CPR="1"
    )
    shell.expect("Ctrl-D ends the shell.*[\r\n]+.*basislake> ?$")
    shell.type("SELECT count(*) AS n\r")
    shell.expect(r"\.\.\.> ?$")
    shell.type("FROM candles_h")
    shell.expect("FROM candles_h")
    shell.type("\t")
    shell.expect("ourly")
    shell.type(";\r")
    shell.expect(r"1 row in [\d.]+ s\s+n\s+[\d,]+\s+basislake> ?$")
    never = ("SELECT 41 + count(*) AS never FROM range(10000000) a, range(10000000) b "
             "WHERE a.range > sin(b.range);\r")  # fmt: skip
    while "Interrupted." not in shell.shown:
        shell.type(never)
        shell.expect(r";\s*\r\n$")
        # One that comes before the query has begun is of the line that was typed.
        shell.type("\x03", until=r"\^C[\s\S]*basislake> ?$")
    # Again where a late Ctrl-C has cleared the line.
    shell.type("SELECT 6 * 7 AS answer;\r", until=r"answer\s+42\s+basislake> ?$")
    assert shell.end() == 0
    history = (tmp_path / "basislake" / "sql-history").read_text()
    assert "+FROM candles_hourly;" in history
