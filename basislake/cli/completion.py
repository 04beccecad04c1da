"""Completion with Tab of instruments and coins. Loads no library but click, as the shell
waits for it.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar

import click
from click.shell_completion import BashComplete, CompletionItem

from basislake.cli.defaults import LAKE as DEFAULT_LAKE
from ingest.deribit.instrument_records import COINS
from lake.instrument_names import known_names

_SEPARATOR = ","


class Bash(BashComplete):
    """Completion in bash. bash ends a word at `@`, so it would never complete @curve; and it splits
    `--lake=./demo` into three words.
    """

    source_template: ClassVar[str] = (
        f"{BashComplete.source_template.strip()}\nCOMP_WORDBREAKS=${{COMP_WORDBREAKS//@}}\n"
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, without any `=`, and the word at the cursor."""
        words, incomplete = super().get_completion_args()
        return [word for word in words if word != "="], incomplete


def instruments(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the lake's instruments that begin with the typed text, or a list's last word."""
    names = known_names(context.params.get("lake") or DEFAULT_LAKE)
    if isinstance(parameter, click.Option):
        return list(_next_of_list(names, incomplete))
    return [CompletionItem(name) for name in names if name.startswith(incomplete.upper())]


def coins(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the coins that begin with the typed text, also after a comma."""
    return list(_next_of_list(COINS, incomplete))


def _next_of_list(names: Iterable[str], incomplete: str) -> Iterator[CompletionItem]:
    before, comma, begun = incomplete.upper().rpartition(_SEPARATOR)
    given = before.split(_SEPARATOR)
    for name in names:
        if name.startswith(begun) and name not in given:
            yield CompletionItem(f"{before}{comma}{name}")
