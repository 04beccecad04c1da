"""Assumptions about candles; pure."""

from itertools import pairwise

from ingest.assumptions.check import Check, CheckResult, UnseenError, differs, ok
from ingest.assumptions.evidence import (
    MINUTE_MS,
    UNREADABLE,
    Bar,
    Candles,
    Evidence,
    moment,
    refusal,
)
from ingest.deribit.replies import CLOSING_LAG
from lake.time.steps import MINUTES

_INVALID_PARAMS = -32602
# The calls with windows shorter than the longest page that ended in the past.
_WHOLE = ("expiry", "quiet")
_NEWEST = MINUTES.longest + 1
# With more gaps than this, the number of candles of a market is inconclusive.
_MOST_GAPS_SHARE = 0.1


def _arrays(at: Evidence) -> CheckResult:
    calls = list(at.candle_calls())
    if not calls:
        raise UnseenError("no candles came")
    for seen in calls:
        if UNREADABLE in seen.result:
            return differs(f"{seen.params['instrument_name']}: {seen.result[UNREADABLE]}")
    return ok(f"seven arrays of one length in {len(calls)} of {len(calls)} replies")


def _newest_candles(at: Evidence) -> CheckResult:
    page = _some(at.candles("most"))
    first, last = page.bars[0].tick, page.bars[-1].tick
    minutes = (last - first) // MINUTE_MS + 1
    if _is_sparse(page):
        raise UnseenError("the candles have too many gaps")
    asked = (page.end_ms - page.start_ms) // MINUTE_MS + 1
    phrase = f"{page.count:,} of {asked:,} candles, from {moment(first)} to {moment(last)}"
    if minutes < MINUTES.longest:
        return differs(phrase)
    # Another check covers whether the end itself is in the answer.
    is_newest = last >= page.end_ms - MINUTE_MS
    return ok(phrase) if is_newest and minutes <= _NEWEST else differs(phrase, is_harmless=True)


def _both_ends(at: Evidence) -> CheckResult:
    whole = [page for name in _WHOLE if (page := _dense(at, name))]
    most = _dense(at, "most")
    if not whole:
        raise UnseenError("no window without gaps came")
    # A missing minute says nothing about the ends: one window with both ends is enough.
    lacking = []
    if not any(page.bars[0].tick == page.start_ms for page in whole):
        lacking.append("start")
    if not any(page.bars[-1].tick == page.end_ms for page in (*whole, *([most] if most else []))):
        lacking.append("end")
    page = whole[0]
    asked = f"{moment(page.start_ms)} to {moment(page.end_ms)[-6:]}"
    if lacking:
        return differs(f"{asked} was answered without its {' and its '.join(lacking)}")
    return ok(f"{asked} was answered with {page.count} candles")


def _untraded(at: Evidence) -> CheckResult:
    page = _some(at.candles("quiet"))
    missing = (page.bars[-1].tick - page.bars[0].tick) // MINUTE_MS + 1 - page.count
    if missing > 0:
        return differs(f"{missing} of {missing + page.count} minutes are left out")
    quiet = [(before, bar) for before, bar in pairwise(page.bars) if not bar.volume]
    odd = [bar for before, bar in quiet if not _is_flat(bar, before.close)]
    if odd:
        return differs(
            f"{len(odd)} of {len(quiet)} untraded minutes are not flat", is_harmless=True
        )
    if not quiet:
        raise UnseenError("every minute was traded")
    return ok(f"{len(quiet)} of {page.count} minutes untraded, all flat at the last close")


def _first_trade(at: Evidence) -> CheckResult:
    page, young = _some(at.candles("first")), at.subject("young")
    first = page.bars[0]
    if first.tick < young.listed_ms // MINUTE_MS * MINUTE_MS:
        return differs(f"a candle of {moment(first.tick)}, before the listing")
    if not first.volume:
        return differs(f"the first candle, of {moment(first.tick)}, is untraded")
    after = (first.tick - young.listed_ms) // MINUTE_MS
    return ok(f"the first candle is a trade, {after} minutes after the listing")


def _after_expiry(at: Evidence) -> CheckResult:
    page, oldest = at.candles("expiry"), at.subject("oldest")
    expires_ms = oldest.expires_ms or 0
    alive = [bar for bar in page.bars if bar.tick < expires_ms]
    after = [bar for bar in page.bars if bar.tick >= expires_ms]
    if not alive:
        raise UnseenError("no candles of the expired future came")
    traded = [bar for bar in after if not _is_flat(bar, alive[-1].close)]
    if traded:
        return differs(f"{len(traded)} traded minutes after the expiry")
    if not after:
        return differs("no minutes after the expiry", is_harmless=True)
    return ok(f"{len(after)} flat minutes from the expiry on")


def _expired(at: Evidence) -> CheckResult:
    oldest, seen = at.subject("oldest"), at.seen("expiry")
    name = f"{oldest.instrument}, expired {moment(oldest.expires_ms or 0)[:10]}"
    if seen.error is not None:
        return differs(f"{name}: {refusal(seen.error)}")
    alive = [bar for bar in at.candles("expiry").bars if bar.tick < (oldest.expires_ms or 0)]
    if not alive and _dense(at, "most") is None:
        raise UnseenError(f"{name}: no candles, as of other minutes of this market")
    return ok(f"{name}: served") if alive else differs(f"{name}: no candles")


def _forming(at: Evidence) -> CheckResult:
    page = _some(at.candles("newest"))
    newest = page.bars[-1].tick
    if page.at_ms is None:
        raise UnseenError("the reply has no time")
    clock = f"{moment(page.at_ms)}:{page.at_ms // 1000 % 60:02d}".replace("Z:", ":") + "Z"
    phrase = f"the newest candle at {clock} was that of {moment(newest)[-6:]}"
    lag_ms = round(CLOSING_LAG.total_seconds() * 1000)
    last_closed = (page.at_ms - lag_ms) // MINUTE_MS * MINUTE_MS - MINUTE_MS
    if newest > page.at_ms or newest < last_closed:
        return differs(phrase)
    if newest + MINUTE_MS <= page.at_ms:
        raise UnseenError(f"{phrase}, so none was still forming")
    return ok(phrase)


def _unknown(at: Evidence) -> CheckResult:
    seen = at.seen("unknown")
    if seen.error is None:
        return differs("an answer without an error")
    is_known = seen.error.get("code") == _INVALID_PARAMS
    phrase = f"HTTP {seen.status}, {refusal(seen.error)}"
    return ok(phrase) if is_known else differs(phrase)


def _dense(at: Evidence, name: str) -> Candles | None:
    """The candles of a call; None if there are none, or too many gaps."""
    try:
        page = _some(at.candles(name))
    except UnseenError:
        return None
    return None if _is_sparse(page) else page


def _is_sparse(page: Candles) -> bool:
    return page.gaps > _MOST_GAPS_SHARE * page.count


def _some(page: Candles) -> Candles:
    if not page.bars:
        raise UnseenError("no candles came")
    return page


def _is_flat(bar: Bar, close: float) -> bool:
    prices = {bar.open, bar.high, bar.low, bar.close}
    return prices == {close} and not bar.volume and not bar.cost


CHECKS = (
    Check(
        name="candle-arrays",
        relied_on="a reply of candles is seven arrays of one length",
        then="basislake refuses the reply and retries, then records the window as failed.",
        costs_data=True,
        look=_arrays,
    ),
    Check(
        name="newest-candles",
        relied_on=f"of more than {_NEWEST:,} candles a call returns the newest {_NEWEST:,}",
        then=f"Windows have {MINUTES.longest:,} minutes. If fewer came, basislake would record"
        " the rest of each window as missing.",
        costs_data=True,
        look=_newest_candles,
    ),
    Check(
        name="both-ends",
        relied_on="the answer to a window includes its first and its last minute",
        then="Windows do not overlap, so basislake would record the minute between two of them as "
        "missing.",
        costs_data=True,
        look=_both_ends,
    ),
    Check(
        name="untraded-minutes",
        relied_on="a minute without trades is a candle, flat at the last close",
        then="basislake would record an untraded minute as missing.",
        costs_data=True,
        look=_untraded,
    ),
    Check(
        name="first-trade",
        relied_on="no candle comes before the first trade",
        then="basislake stores an untraded candle before the first trade with traded = false; it"
        " requests no minutes before the listing.",
        costs_data=False,
        look=_first_trade,
    ),
    Check(
        name="after-expiry",
        relied_on="from the expiry on there are only flat, untraded candles",
        then="basislake requests no minute from the expiry on, so later trades would be missing "
        "from the lake.",
        costs_data=True,
        look=_after_expiry,
    ),
    Check(
        name="forming-candle",
        relied_on="the newest candle is the minute that is not over yet",
        then="basislake stores a candle when its minute is over by the exchange's clock. It would "
        "record a later one as missing, and store one labelled by its close a minute "
        "off.",
        costs_data=True,
        look=_forming,
    ),
    Check(
        name="expired-candles",
        relied_on="www serves candles of futures that expired years ago",
        then="basislake records minutes answered without a candle as no_data.",
        costs_data=True,
        look=_expired,
    ),
    Check(
        name="unknown-name",
        relied_on="an unknown instrument is an error with code -32602",
        then="basislake requests only names on the exchange's lists, so nothing is lost.",
        costs_data=False,
        look=_unknown,
    ),
)
# Looked at before the first window of a lake: what would be lost came in replies that look sound.
FIRST = tuple(
    check for check in CHECKS if check.name in ("newest-candles", "both-ends", "expired-candles")
)
