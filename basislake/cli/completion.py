"""Completion with Tab of instruments and coins. Loads no library but click, as the shell
waits for it.
"""

from collections.abc import Iterable, Iterator

import click
from click.shell_completion import CompletionItem

from basislake.cli.defaults import LAKE as DEFAULT_LAKE
from ingest.deribit.instrument_records import COINS
from lake.instrument_names import known_names

_SEPARATOR = ","


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
