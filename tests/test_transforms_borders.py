"""Builds of a period without its neighbours give the rows of a full build."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from lake import Lake
from lake.batches import newest_batch
from lake.errors import LakeError
from lake.history.as_of import past
from lake.table import Table
from lake.tables import BUILDS, CURATED, PERIODS
from lake.time.intervals import MINUTE
from tests.arriving import PROGRAM, arrive, built_elsewhere, contents
from tests.lakes import Killed, instrument, record
from tests.spiked import DAY
from tests.tiers import slow_but
from transforms.build import build

# A period begins.
BORDER = datetime(2024, 2, 5, tzinfo=UTC)
LIVES = {
    "BTC-PERPETUAL": None,
    "BTC-16FEB24": datetime(2024, 2, 16, 8, tzinfo=UTC),
    "BTC-29MAR24": datetime(2024, 3, 29, 8, tzinfo=UTC),
}
PERPETUAL, FUTURE, NEIGHBOUR = LIVES


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake without candles."""
    at = Lake(str(tmp_path))
    listed = datetime(2023, 1, 1, tzinfo=UTC)
    record(at, [{**instrument(*life), "listed_at": listed} for life in LIVES.items()])
    return at


def traded(name: str, closes: Mapping[int, float], highest: float = 0.0) -> pl.DataFrame:
    """Candles by their minutes after the border, at one price each; the one at the border may have
    a higher high.
    """
    rows = [
        {
            "instrument": name,
            "ts": BORDER + minute * MINUTE,
            **dict.fromkeys(("open", "low", "close"), close),
            "high": highest if highest and not minute else close,
            "volume": 1.0,
            "cost": close,
        }
        for minute, close in closes.items()
    ]
    return pl.DataFrame(rows, schema_overrides={"ts": pl.Datetime("us", "UTC")})


def test_company_in_the_first_hour_of_a_period_looks_at_the_perpetual_of_two_hours_before(
    lake: Lake, executor: Executor
) -> None:
    """The neighbour goes along with the future's move at the border, and what is usual for the
    neighbour is known by the perpetual's candles of more than an hour before.
    """
    perpetual = dict.fromkeys(range(-90, -60), 100.0) | dict.fromkeys(range(60), 105.0)
    arrive(
        lake,
        {
            PERPETUAL: [traded(PERPETUAL, perpetual)],
            # That it has a candle in the period before makes no difference.
            FUTURE: [traded(FUTURE, dict.fromkeys([-2 * DAY, *range(30)], 105.0), 105 * 1.35)],
            NEIGHBOUR: [traded(NEIGHBOUR, dict.fromkeys(range(-60, 1), 105.0), 105 * 1.2)],
        },
    )
    build(lake, executor, PROGRAM)
    flagged = lake.scan("candles").filter("suspect").select("instrument", "ts")
    assert flagged.collect().rows() == [(FUTURE, BORDER)]
    arrive(lake, {PERPETUAL: [traded(PERPETUAL, {2 * DAY: 105.0})]})
    assert build(lake, executor, PROGRAM).periods == len(LIVES)
    assert flagged.collect().rows() == [(FUTURE, BORDER)]
    assert contents(lake) == built_elsewhere(lake, executor)


@pytest.mark.parametrize("before", slow_but([PERIODS], [*CURATED, BUILDS]))
def test_nothing_stays_of_a_killed_build_whose_candles_all_fail_validation(
    lake: Lake, executor: Executor, before: Table
) -> None:
    arrive(lake, {PERPETUAL: [traded(PERPETUAL, dict.fromkeys(range(30), 100.0))]})
    build(lake, executor, PROGRAM)
    first, batch = contents(lake), newest_batch(lake)
    negative = traded(PERPETUAL, dict.fromkeys(range(30 * DAY, 30 * DAY + 30), -100.0))
    arrive(lake, {PERPETUAL: [negative]})
    with suppress(LakeError):
        build(lake, executor, PROGRAM, target=Killed(lake, before))
    build(past(lake, batch), executor, PROGRAM)
    assert contents(lake) == first
    build(lake, executor, PROGRAM)
    assert contents(lake) == built_elsewhere(lake, executor)
