"""`carry_daily` in PostgreSQL: the rows of the lake's view of that name, kept up to date."""

from datetime import UTC, datetime
from math import sin
from pathlib import Path

from lake.carry_tables import FUNDING
from lake.tables import CANDLES
from lake.time.intervals import MINUTE
from load.preview import parity
from tests.carrying import DAY, HOUR, PERPETUAL, paid, settlement
from tests.lakes import Row, candle, curate, instrument, lake_of
from tests.loading import Target

START = datetime(2024, 3, 1, 8, tzinfo=UTC)
EXPIRIES = {"BTC-26APR24": START + 56 * DAY, "BTC-28JUN24": START + 119 * DAY}
DAYS = 35
# A day on which a future has no candle, and one on which the perpetual has none.
HOLES = {("BTC-28JUN24", START + 3 * DAY), (PERPETUAL, START + 5 * DAY)}
COLUMNS = ("instrument", "timestamp")


def candles(days: range) -> list[Row]:
    """The last minute before 08:00 of each day, and two around it."""
    return [
        candle(name, at + n * MINUTE, 60_000 * (1 + number / 99) + sin(day + n))
        for number, name in enumerate((PERPETUAL, *EXPIRIES))
        for day in days
        if (name, at := START + day * DAY) not in HOLES
        for n in (-2, -1, 0)
    ]


def funding(days: int) -> list[Row]:
    """The hours of 31 days before the start, and of so many after it."""
    return [
        paid(START + n * HOUR, 60_000 + sin(n / 9), sin(n / 7) / 3e4)
        for n in range(-31 * 24, days * 24 + 1)
    ]


def settlements(days: int) -> list[Row]:
    return [
        settlement(name, START + day * DAY, 1.0, position=1e6 + day)
        for name in EXPIRIES
        for day in range(days + 1)
    ]


def loaded(target: Target) -> tuple[int, int] | None:
    """Load; return the partitions and rows of `carry_daily` that were sent, None of none. Every row
    is then as the lake's view has it.
    """
    sent = target.load().tables["carry_daily"]
    view = target.lake.sql("FROM carry_daily").rename({"ts": "timestamp"}).sort(COLUMNS)
    names = ", ".join(f'"{name}"' for name in view.columns)
    held = target.query(f"SELECT {names} FROM carry_daily ORDER BY instrument, timestamp")
    assert held == view.rows()
    return (sent.loaded, sent.rows) if sent.loaded else None


def written(target: Target) -> set[tuple[object, ...]]:
    """Which transaction wrote each row."""
    return set(target.query("SELECT instrument, timestamp, xmin::text FROM carry_daily"))


def test_each_row_is_the_views_and_only_what_changed_is_touched(
    target: Target, tmp_path: Path
) -> None:
    target.lake = lake = lake_of(
        tmp_path / "daily",
        instruments=[
            instrument(PERPETUAL), *(instrument(name, at) for name, at in EXPIRIES.items())
        ],
        candles=candles(range(DAYS)),
        funding=funding(DAYS),
        settlements=settlements(DAYS),
    )  # fmt: skip
    rows = 2 * DAYS - 1
    assert loaded(target) == (1, rows)
    sums = "SELECT count(reason), min(reason), count(less_funding_30d_pct) FROM carry_daily"
    assert target.query(sums) == [(2, "the perpetual has no candle", rows - 2)]
    before = written(target)
    # A minute of another time of the day says nothing of 08:00, nor does an hour after the newest.
    later = START + (DAYS - 1) * DAY + HOUR
    curate(lake, CANDLES, [candle(name, later, 1.0) for name in (PERPETUAL, *EXPIRIES)])
    hours = funding(DAYS)
    curate(lake, FUNDING, [*hours, {**hours[-1], "hour_end": later + 2 * DAY}])
    assert loaded(target) is None
    # The next day.
    curate(lake, CANDLES, candles(range(DAYS, DAYS + 1)))
    assert loaded(target) == (1, rows + 2)
    assert before < written(target)
    # An hour of ten days ago has another rate: the days before it stay as they are.
    changed = START + 25 * DAY
    now = [{**row, "interest_1h": 0.5} if row["hour_end"] == changed else row for row in hours]
    curate(lake, FUNDING, now)
    assert loaded(target) == (1, rows + 2)
    kept = {row for row in before if row[1] < changed}  # type: ignore[operator]
    assert kept == written(target) & before
    held = {row.table: row for row in parity(target.lake, target.uri, target.schema)}
    row = held["carry_daily"]
    assert (row.lake_rows, row.database_rows, row.behind) == (rows + 2, rows + 2, 0)
    # A cell that is not the lake's is found.
    target.execute("UPDATE carry_daily SET open_interest = 1 WHERE instrument = 'BTC-26APR24'")
    (wrong,) = target.compare().differences
    assert (wrong.table, wrong.cells) == ("carry_daily", {"open_interest": DAYS + 1})
