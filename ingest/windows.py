"""Which windows to ask for: pure planning over spans of time.

A window is one call: whole minutes, half-open, at most 5,000 of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from lake.spans import (
    MINUTE,
    Span,
    ceil_minute,
    clip,
    common,
    floor_minute,
    merge,
    minutes_in,
    subtract,
)

# A call returns at most 5,001 candles and silently keeps the newest of more. Deribit documents no
# such bound; asked for 10,400 minutes it answered with the newest 5,001.
MAX_CANDLES_PER_CALL = 5_000

# Measured on simulated candles: what one takes in `raw_candles`, for the estimate of a plan.
BYTES_PER_CANDLE = 10.2


@dataclass(frozen=True, slots=True)
class InstrumentPlan:
    """What to ask of one instrument.

    Attributes:
        instrument: its name.
        wanted: the minutes that are to be held, sorted and disjoint.
        windows: sorted, disjoint; together they hold every minute that is still needed.
        again: the minutes among them that were answered before and are asked again on purpose.
    """

    instrument: str
    wanted: tuple[Span, ...]
    windows: tuple[Span, ...]
    again: tuple[Span, ...] = ()

    @property
    def candles(self) -> int:
        """Minutes in all windows: the most candles that can come."""
        return minutes_in(self.windows)


def life(listed_at: datetime, expires_at: datetime | None, until: datetime) -> Span:
    """The minutes an instrument has lived: `[listed_at floored, min(expires_at, until))`.

    Args:
        listed_at: creation by the record.
        expires_at: expiry by the record, None for a perpetual.
        until: end of the last closed minute, exclusive.
    """
    end = until if expires_at is None else min(ceil_minute(expires_at), until)
    return Span(floor_minute(listed_at), end)


def plan_instrument(
    instrument: str,
    wanted: Iterable[Span],
    held: Iterable[Span],
    selected: Span | None = None,
    again: Iterable[Span] = (),
) -> InstrumentPlan:
    """Plan the windows for the wanted minutes that are not held.

    Args:
        instrument: its name.
        wanted: spans of whole minutes, e.g. a `life`.
        held: what need not be asked again.
        selected: only minutes that start in this span, all by default.
        again: minutes to ask again although they are held.
    """
    spans = merge(wanted)
    if selected is not None:
        limits = Span(ceil_minute(selected.start), ceil_minute(selected.end))
        spans = merge(clip(span, limits) for span in spans)
    purposely = common(spans, again)
    needed = [*subtract(spans, held), *purposely]
    return InstrumentPlan(instrument, tuple(spans), tuple(windows(needed)), tuple(purposely))


def windows(needed: Iterable[Span]) -> list[Span]:
    """Cover the needed minutes, spans of whole minutes, with the fewest windows.

    Windows are sorted and disjoint, hold every needed minute, start and end with one, and hold at
    most `MAX_CANDLES_PER_CALL` minutes. Short holes between needed minutes are covered too where
    that saves a call, so where the needed minutes are one span the windows tile it exactly.
    """
    longest = timedelta(minutes=MAX_CANDLES_PER_CALL)
    result: list[Span] = []
    for span in merge(needed):
        start = span.start
        if result and start < result[-1].start + longest:
            end = min(span.end, result[-1].start + longest)
            result[-1] = Span(result[-1].start, end)
            start = end
        while start < span.end:
            end = min(span.end, start + longest)
            result.append(Span(start, end))
            start = end
    return result


def minutes_of(window: Span) -> tuple[int, int]:
    """Return the milliseconds of a window's first and LAST minute: the exchange includes both."""
    return milliseconds(window.start), milliseconds(window.end - MINUTE)


def milliseconds(time: datetime) -> int:
    """Return a whole second as the exchange writes times."""
    return int(time.timestamp()) * 1000
