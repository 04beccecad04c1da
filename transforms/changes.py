"""What changed between two batches, and which periods of which instruments that can reach; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from lake.spans import MINUTE, Span
from transforms.levels import NEAR, STAND_IN
from transforms.periods import period_of_rows, period_span, periods_in
from transforms.spikes import PERPETUAL_STALE

# How far before a change of raw candles the flags of a coin's instruments may differ: the prints
# after one of a perpetual, and the hour before a minute in which a future looks at its perpetual;
# the rest is slack. A future's own prints are compared with those of their period alone.
BEFORE = NEAR + 3 * STAND_IN
# How far after: which candles of a perpetual are prints, the prints before one, a price that stays
# flagged, and the two hours in which a future looks at others and they at their perpetual; the rest
# is slack.
AFTER = 2 * NEAR + PERPETUAL_STALE + 3 * STAND_IN


@dataclass(frozen=True, slots=True)
class Life:
    """What an instrument's record says that curated rows depend on.

    Attributes:
        kind: `future` or `perpetual`.
        base: coin; a future is held against the perpetual of its coin.
        listed_at: creation by the record.
        expires_at: expiry by the record, None for a perpetual.
    """

    kind: str
    base: str
    listed_at: datetime
    expires_at: datetime | None


def lives(instruments: pl.DataFrame) -> dict[str, Life]:
    """Return the lives of instruments, by name.

    Args:
        instruments: rows of the table.
    """
    columns = ("instrument", "kind", "base", "listed_at", "expires_at")
    return {name: Life(*rest) for name, *rest in instruments.select(columns).iter_rows()}


def moved(came: pl.DataFrame) -> dict[str, list[Span]]:
    """Return the minutes that rows of raw candles are of, by instrument, coarsely: a span for each
    period.

    Args:
        came: columns instrument and ts.
    """
    period = period_of_rows().alias("period")
    bounds = came.group_by("instrument", period).agg(
        first=pl.col("ts").min(), last=pl.col("ts").max()
    )
    found: dict[str, list[Span]] = {}
    for name, _, first, last in bounds.sort("instrument", "period").iter_rows():
        found.setdefault(name, []).append(Span(first, last + MINUTE))
    return found


def reached(
    lives: Mapping[str, Life],
    held: Mapping[str, Span],
    changed: Mapping[str, Iterable[Span]],
) -> dict[str, tuple[datetime, ...]]:
    """Return the periods that have to be made again, by instrument: those that any change of an
    instrument of the coin can reach.

    Args:
        lives: of the instruments that are to be built, by name.
        held: from the first minute of which each has rows to its last.
        changed: minutes that differ, by coin.
    """
    periods = {
        base: {p for s in spans for p in periods_in(Span(s.start - BEFORE, s.end + AFTER))}
        for base, spans in changed.items()
    }
    chosen = {
        name: tuple(
            sorted(p for p in periods.get(lives[name].base, ()) if period_span(p).meets(own))
        )
        for name, own in held.items()
    }
    return {name: own for name, own in chosen.items() if own}


def changed_coins(
    then: Mapping[str, Life],
    now: Mapping[str, Life],
    came: Mapping[str, Iterable[Span]],
    held: Mapping[str, Span],
) -> dict[str, list[Span]]:
    """Return the minutes that differ between two batches, by coin: those of which candles came, and
    all of an instrument whose record differs, of the coin that it was of as well.

    Args:
        then: the lives by the records of one batch.
        now: those by the records of the other.
        came: minutes of raw candles that one has and the other has not, by instrument.
        held: from the first minute of which each instrument has rows to its last.
    """
    found: dict[str, list[Span]] = {}
    for name in {*then, *now}:
        one, other = then.get(name), now.get(name)
        spans = [*came.get(name, ())]
        if one != other and name in held:
            spans.append(held[name])
        for base in {life.base for life in (one, other) if life} if spans else ():
            found.setdefault(base, []).extend(spans)
    return found
