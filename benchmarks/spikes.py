"""Measures the rule `spike`: what share of planted spikes it finds by their size, and what share of
good candles it flags.

    python -m benchmarks.spikes [DAYS]

On simulated markets, quiet and violent, and on the recorded candles in ../shared where present.
"""

import random
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime

import polars as pl

from tests.spiked import DAY, Market, market, planted, recorded
from transforms.spike_bounds import CAP, FLOOR, with_perpetual_prices, with_previous

DAYS = 40
SEEDS = (1, 2, 3, 4)
SHARES = (1.0, 0.1, 0.01)
SIZES = (1.01, 1.02, 1.03, 1.05, 1.08, 1.1, 1.2, 1.3, 1.4, 1.5)
# Planted in an instrument for each size, at minutes drawn again each time.
PLANTED = 50
# At most one row in so many has a spike.
ROWS_A_SPIKE = 20
QUANTILES = (0.5, 0.99, 0.999, 0.9999, 1.0)
KINDS = [("open", 1), ("open", -1), ("high", 1), ("low", -1), ("close", 1), ("close", -1)]
# Of a violent market: minutes between jumps, their size, how long those last that are taken back,
# and the levels that it stays between.
PAUSE_MINUTES = (30, 600)
JUMP = (0.8, 1.25)
TAKEN_BACK_MINUTES = (1, 9)
LEVELS = (0.3, 3.0)


def main() -> None:
    """Print the tables."""
    days = int(sys.argv[1]) if len(sys.argv) > 1 else DAYS
    print(f"floor {FLOOR}, cap {CAP} (log units); {days} simulated days for each seed {SEEDS}")
    start_s = time.monotonic()
    _say_flagged("simulated, quiet", (_market(days, seed, share) for seed, share in _kinds()))
    violent = (_market(days, seed, share, _violence(seed, days)) for seed, share in _kinds())
    _say_flagged("simulated, violent", violent)
    real = recorded()
    if real is not None:
        _say_flagged("recorded", [real])
        _say_residuals(real)
    _say_found("simulated", [_market(days, seed, share) for seed, share in _kinds()])
    if real is not None:
        _say_found("recorded", [real])
    print(f"{time.monotonic() - start_s:.0f} s")


def _kinds() -> Iterator[tuple[int, float]]:
    return ((seed, share) for seed in SEEDS for share in SHARES)


def _market(days: int, seed: int, share: float, path: dict[int, float] | None = None) -> Market:
    return market(seed, days * DAY, traded_share=share, path=path)


def _violence(seed: int, days: int) -> dict[int, float]:
    """A path of jumps: one every few hours, of up to 20 % down or 25 % up, about half of them taken
    back within minutes.
    """
    drawn = random.Random(seed)  # noqa: S311  (no secret)
    path, level, at = {}, 1.0, 0
    while (at := at + drawn.randint(*PAUSE_MINUTES)) < days * DAY - 10:
        jumped = level * drawn.uniform(*JUMP)
        path[at] = jumped
        if drawn.choice((True, False)) or not LEVELS[0] < jumped < LEVELS[1]:
            at += drawn.randint(*TAKEN_BACK_MINUTES)
            path[at] = level
        else:
            level = jumped
    return path


def _say_flagged(what: str, markets: Iterable[Market]) -> None:
    candles = flagged = 0
    for one in markets:
        for frame in one.judged().values():
            candles += frame.height
            flagged += frame.filter("suspect").height
    share = flagged / candles * 1e4
    print(f"good candles flagged, {what:20} {flagged:>6} of {candles:>10,}, {share:.3f} in 10,000")


def _say_residuals(real: Market) -> None:
    """Distance of good candles from the median of their prints, in per cent."""
    perpetual = real.sound("BTC-PERPETUAL")
    out: list[pl.Series] = []
    for name, expires_at in real.expiries.items():
        if expires_at is None:
            continue
        rows = with_previous(real.sound(name)).filter("is_print")
        beside = with_perpetual_prices(rows, perpetual)
        usual = (pl.col("close") / pl.col("perpetual_close")).log()
        usual = usual.rolling_median(101, min_samples=1, center=True)
        for side, sign in (("high", 1), ("low", -1)):
            away = (pl.col(side) / pl.col(f"perpetual_{side}")).log() - usual
            out.append(beside.select(away.mul(sign * 100).alias("away"))["away"])
    shown = ", ".join(f"{q:.2%} {pl.concat(out).quantile(q):.3f} %" for q in QUANTILES)
    print(f"recorded futures, out of their usual: {shown}")


def _say_found(what: str, markets: list[Market]) -> None:
    print(f"planted in {what}: size, found of futures', of perpetuals'; other candles flagged")
    for size in SIZES:
        found, planted_in, others = _found(markets, size)
        shares = [
            f"{found[kind] / planted_in[kind]:>8.2%} of {planted_in[kind]:>6,}"
            for kind in ("future", "perpetual")
        ]
        print(f"  {size:<6} {'   '.join(shares)}   {others}")


def _found(markets: list[Market], size: float) -> tuple[dict[str, int], dict[str, int], int]:
    """Found and planted spikes by kind of instrument, and how many other candles were flagged."""
    found = dict.fromkeys(("future", "perpetual"), 0)
    planted_in, others = dict(found), 0
    for number, one in enumerate(markets):
        for name, expires_at in one.expiries.items():
            kind = "perpetual" if expires_at is None else "future"
            spiked, minutes = _spiked(one.raw[name], size, f"{number} {name} {size}")
            judged = one.having(name, spiked).judged()
            hits = set(judged[name].filter("suspect")["ts"]) & minutes
            planted_in[kind] += len(minutes)
            found[kind] += len(hits)
            others += sum(f.filter("suspect").height for f in judged.values()) - len(hits)
    return found, planted_in, others


def _spiked(frame: pl.DataFrame, size: float, seed: str) -> tuple[pl.DataFrame, set[datetime]]:
    """The candles with spikes in any of their prices, up or down, traded or not, and where."""
    drawn = random.Random(seed)  # noqa: S311  (no secret)
    places = range(0, frame.height, ROWS_A_SPIKE)
    rows = drawn.sample(places, min(PLANTED, len(places)))
    for row in rows:
        price, sign = drawn.choice(KINDS)
        frame = planted(frame, row, price, size**sign, untraded=drawn.choice((True, False)))
    return frame, set(frame["ts"].gather(rows))


if __name__ == "__main__":
    main()
