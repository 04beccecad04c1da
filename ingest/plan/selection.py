"""Selections of data, instruments and minutes, the same for every command; pure."""

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ingest.deribit.instrument_records import COINS
from lake.errors import UsageError
from lake.time.intervals import Span

if TYPE_CHECKING:
    import polars as pl

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)

_SEPARATORS = re.compile(r"[,\s]+")
# Names that a hint shows for one unknown name.
_MOST_HINTS = 3


@dataclass(frozen=True, slots=True)
class Selection:
    """Some data of some instruments, and some minutes of their lives.

    Attributes:
        currencies: base coins; all if empty.
        names: instruments; all if empty.
        since: first minute, inclusive; from the listing if None.
        until: last minute, exclusive; to the expiry if None.
        data: datasets, of `ingest.datasets.CHOICES`; all if empty.
        is_all: whether the user asked for all instruments, whatever the scope of the lake.
    """

    currencies: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    data: tuple[str, ...] = ()
    is_all: bool = False

    @property
    def span(self) -> Span | None:
        """The selected minutes, None for all."""
        if self.since is None and self.until is None:
            return None
        return Span(self.since or _EARLIEST, self.until or _LATEST)


def select(
    currencies: Sequence[str] = (),
    names: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
) -> Selection:
    """Parse a selection; commas and white space separate values.

    Raises:
        UsageError: an unknown coin, a list without a value, or an empty time range.
    """
    coins, chosen = _split(currencies), _split(names)
    if (currencies and not coins) or (names and not chosen):
        raise UsageError("--currency or --instruments is empty; leave it out to select all.")
    for coin in coins:
        if coin not in COINS:
            raise UsageError(f"There are no futures of {coin!r} here; use {' or '.join(COINS)}.")
    if since is not None and until is not None and since >= until:
        raise UsageError("--since must be before --until.")
    return Selection(coins, chosen, since, until)


def with_data(selection: Selection, values: Sequence[str]) -> Selection:
    """Return a selection with only some data, as a user wrote them; unchanged for none.

    Raises:
        UsageError: an unknown name, or a list without a name.
    """
    if not values:
        return selection
    from ingest.datasets import CHOICES  # noqa: PLC0415  (it loads the libraries of tables)

    given = {part.lower() for part in _split(values)}
    unknown = sorted(given - set(CHOICES))
    if unknown or not given:
        shown = (
            f"There is no data {', '.join(map(repr, unknown))}" if unknown else "--data is empty"
        )
        raise UsageError(f"{shown}; use {', '.join(CHOICES)}, or leave it out for all.")
    return replace(selection, data=tuple(name for name in CHOICES if name in given))


def choose(instruments: "pl.DataFrame", selection: Selection) -> "pl.DataFrame":
    """Return the selected rows of `instruments`, with the perpetual of every selected future.

    The additional column `is_companion` marks a perpetual that is only a companion of futures.
    Perpetuals come first, since they take longest to fetch; then the oldest listings.

    Raises:
        UsageError: a name that the lake does not have, or names of none of the coins.
    """
    import polars as pl  # noqa: PLC0415  (a command makes its selection without it)

    chosen = instruments
    if selection.currencies:
        chosen = chosen.filter(pl.col("base").is_in(selection.currencies))
    if selection.names:
        unknown = sorted(set(selection.names) - set(instruments["instrument"]))
        if unknown:
            raise UsageError(unknown_names(unknown, instruments["instrument"].to_list()))
        chosen = chosen.filter(pl.col("instrument").is_in(selection.names))
        if chosen.is_empty():
            raise UsageError("No instrument matches both --currency and --instruments.")
    coins = chosen["base"].unique().to_list()
    needed = instruments.filter((pl.col("kind") == "perpetual") & pl.col("base").is_in(coins))
    own = pl.col("instrument").is_in(chosen["instrument"].to_list())
    both = pl.concat([chosen, needed]).unique("instrument").with_columns(is_companion=~own)
    return both.sort(pl.col("kind") != "perpetual", "listed_at", "instrument")


def unknown_names(unknown: Sequence[str], known: Collection[str]) -> str:
    """Return the message about names that the lake does not have, with the most similar names.

    Args:
        unknown: at least one name.
        known: names of all instruments.
    """
    most = _MOST_HINTS if len(unknown) == 1 else 1
    alike = [match for name in unknown for match in difflib.get_close_matches(name, known, n=most)]
    hint = f" Did you mean {', '.join(dict.fromkeys(alike))}?" if alike else ""
    return (
        f"The lake has no instrument {', '.join(map(repr, unknown))}.{hint} "
        "`basislake instruments` refreshes and lists the instruments."
    )


def _split(values: Iterable[str]) -> tuple[str, ...]:
    parts = (part for value in values for part in _SEPARATORS.split(value.upper()))
    return tuple(part for part in parts if part)
