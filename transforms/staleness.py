"""Changes between two batches, and the periods of instruments that they can affect; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from lake.time.intervals import MINUTE, Span
from transforms.periods import period_of_rows, period_span, periods_in
from transforms.spike_bounds import NEAR, STAND_IN
from transforms.spikes import PERPETUAL_STALE

# A changed raw candle can change flags of the coin's instruments up to this long before it: the
# prints after one of a perpetual, and the hour before a minute in which a future is compared with
# its perpetual; the rest is slack. A future's own prints are compared within their period only.
BEFORE = NEAR + 3 * STAND_IN
# The same after it: which candles of a perpetual are prints, the prints before one, a price that
# stays flagged, and the two hours in which futures and perpetual are compared with each other; the
# rest is slack.
AFTER = 2 * NEAR + PERPETUAL_STALE + 3 * STAND_IN


@dataclass(frozen=True, slots=True)
class Life:
    """The parts of an instrument's record that curated rows depend on.

    Attributes:
        kind: `future` or `perpetual`.
        base: coin; a future is compared with the perpetual of its coin.
        listed_at: creation in the record.
        expires_at: expiry in the record, None for a perpetual.
    """

    kind: str
    base: str
    listed_at: datetime
    expires_at: datetime | None


def lives(instruments: pl.DataFrame) -> dict[str, Life]:
    """Return the lives of instruments, by name."""
    columns = ("instrument", "kind", "base", "listed_at", "expires_at")
    return {name: Life(*rest) for name, *rest in instruments.select(columns).iter_rows()}


def moved(came: pl.DataFrame) -> dict[str, list[Span]]:
    """Return the minutes of raw candles, by instrument, coarsely: a span for each
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
    """Return the periods to build again, by instrument: those that a change of any instrument of
    the coin can affect.

    Args:
        lives: of the instruments to build, by name.
        held: from the first to the last minute of each instrument's rows.
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
    """Return the minutes that differ between two batches, by coin: the minutes of new candles, and
    all minutes of an instrument whose record changed, also for its former coin.

    Args:
        then: the lives as of one batch.
        now: the lives as of the other.
        came: minutes of raw candles in only one of them, by instrument.
        held: from the first to the last minute of each instrument's rows.
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
