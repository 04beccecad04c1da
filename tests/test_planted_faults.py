"""Faults planted in the exchange's answers: each is found where it is, and nothing else is; and the
basis of what is left is as plain Python works it out, row by row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from basislake.pipeline.build import build_in_engine
from basislake.simulator import changes
from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.contracts import milliseconds
from basislake.simulator.fault_forms import Change, Changed, Columns
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe
from ingest.plan.selection import select, with_data
from lake import Lake
from lake import open as open_lake
from lake.batches import newest_batch
from lake.history.as_of import PastLake
from lake.history.fingerprint import fingerprint
from lake.query import duck
from lake.tables import BASIS, CANDLES, QUALITY, SUPERSEDED, WARNINGS
from lake.time.intervals import MINUTE, floor_minute
from lake.time.steps import MINUTES
from tests.ailing import altered, at
from tests.lakes import copied
from tests.market import NOW, counting, coverage, fetch, rows, small_market, truths
from transforms.build import BuildResult

BTC, ETH = "BTC-PERPETUAL", "ETH-PERPETUAL"
END = NOW.replace(second=0)


class Gap(NamedTuple):
    """Minutes that no answer holds."""

    name: str
    start: datetime
    minutes: int

    @property
    def end(self) -> datetime:
        return self.start + self.minutes * MINUTE


class Plant(NamedTuple):
    """A candle that comes with other cells at every ask: multiplied, or null where None is given.

    It breaks these rules; without any, it is a spike.
    """

    name: str
    ts: datetime
    factors: Mapping[str, float | None]
    rules: list[str]


# The second window of the perpetual, which is answered with `no_data`.
HOLE = Gap(ETH, at("03-25 19:21"), MINUTES.longest)
GAPS = [
    Gap(BTC, at("03-26 04:05"), 1),
    # Over the end of one window and the start of the next.
    Gap("BTC-5APR24", at("04-01 17:49"), 25),
    Gap("ETH-12APR24", at("04-02 10:00"), 1),
    # The last minutes of a life.
    Gap("ETH-29MAR24", at("03-29 07:35"), 25),
    HOLE,
]
SPOILT = [
    # Next to a gap.
    Plant(BTC, at("03-26 04:06"), {"high": 0.9}, ["ohlc_order"]),
    Plant(ETH, at("04-02 07:00"), {"low": 0.0}, ["nonpositive_price"]),
    Plant("BTC-5APR24", at("04-02 07:05"), {"volume": -1.0}, ["negative_volume"]),
    Plant("BTC-28JUN24", at("04-01 12:00"), {"close": None}, ["null_value"]),
    # In the hole of its perpetual.
    Plant(
        "ETH-5APR24",
        at("03-27 12:00"),
        {"volume": None, "low": 1.5},
        ["null_value", "ohlc_order"],
    ),
    Plant(
        "ETH-12APR24",
        at("04-03 12:00"),
        {"low": -1.0, "cost": -1.0},
        ["nonpositive_price", "negative_volume"],
    ),
]
SPIKES = [
    Plant("BTC-5APR24", at("03-27 15:02"), {"high": 1.5}, []),
    Plant(BTC, at("03-31 10:00"), {"high": 1.5, "close": 1.5}, []),
    # In the hole of its perpetual.
    Plant("ETH-5APR24", at("03-27 20:00"), {"low": 1 / 1.5}, []),
]
REPEATED = [
    ("ETH-12APR24", at("04-03 12:02")),
    # With its null.
    ("BTC-28JUN24", at("04-01 12:00")),
    # Nothing else is wrong with it.
    ("BTC-19APR24", at("04-05 10:00")),
]


@dataclass(frozen=True, slots=True)
class Planted:
    """A lake that was fetched and built while the exchange misbehaved."""

    universe: Universe
    lake: Lake
    built: BuildResult

    def expires_at(self, name: str) -> datetime | None:
        """The end of a contract's life, None for a perpetual."""
        expires_ms = self.universe.contracts[name].expires_ms
        return None if expires_ms is None else datetime.fromtimestamp(expires_ms / 1000, UTC)


class Candle(NamedTuple):
    """What a sound candle counts for in plain Python."""

    close: float
    traded: bool
    suspect: bool


class Worked(NamedTuple):
    """What was worked out of raw rows: rows of `basis`, and the candles that have none."""

    basis: list[tuple[object, ...]]
    unmatched: list[tuple[str, datetime]]


# What the exchange does


def repeated(ts: datetime) -> Change:
    """Send the candle of a minute twice; an answer that lacks it stays."""
    ms = milliseconds(ts)

    def change(good: Columns) -> Columns:
        if ms not in good["ticks"]:
            return good
        row = good["ticks"].index(ms)
        arrays = {name: cells for name, cells in good.items() if isinstance(cells, list)}
        return good | {name: [*cells[: row + 1], *cells[row:]] for name, cells in arrays.items()}

    return change


def minutes_of(gap: Gap) -> list[int]:
    """The minutes of a gap, UTC milliseconds."""
    return [milliseconds(gap.start + i * MINUTE) for i in range(gap.minutes)]


def plant_all(server: SimulatedExchange) -> None:
    """Order every change for good, each for the calls whose window holds its minute."""

    def order(change: Change, name: str, ms: int) -> None:
        server.faults.add(CHART, None, Changed(change), instrument=name, minute_ms=ms)

    for gap in GAPS:
        if gap is HOLE:
            order(changes.no_data, ETH, milliseconds(gap.start + gap.minutes // 2 * MINUTE))
            continue
        for ms in minutes_of(gap):
            order(changes.drop_minutes(ms), gap.name, ms)
    for plant in [*SPOILT, *SPIKES]:
        ms = milliseconds(plant.ts)
        order(altered(plant.factors, ms), plant.name, ms)
    for name, ts in REPEATED:
        order(repeated(ts), name, milliseconds(ts))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    universe, lake = small_market(), open_lake(str(tmp_path_factory.mktemp("planted") / "lake"))
    with SimulatedExchange(universe) as server:
        plant_all(server)
        result = fetch(server, lake)
    assert not result.failed
    assert result.complete == len(universe.contracts)
    return Planted(universe, lake, build_in_engine(lake, threads=4))


@pytest.fixture(scope="module")
def worked(planted: Planted) -> Worked:
    """The basis of the whole lake, of raw rows, one after the other."""
    sound = sound_candles(planted)
    result = Worked([], [])
    for name in sorted(sound):
        expires_at = planted.expires_at(name)
        if expires_at is None:
            continue
        perpetual = sound[f"{name[:3]}-PERPETUAL"]
        for ts, candle in sound[name].items():
            if ts in perpetual:
                row = basis_row(candle, perpetual[ts], expires_at - ts)
                result.basis.append((name, ts, *row))
            else:
                result.unmatched.append((name, ts))
    return result


def sound_candles(planted: Planted) -> dict[str, dict[datetime, Candle]]:
    """The raw candles that nobody spoilt, by instrument and minute."""
    spoilt = {(plant.name, plant.ts) for plant in SPOILT}
    spikes = {(plant.name, plant.ts) for plant in SPIKES}
    sound: dict[str, dict[datetime, Candle]] = {name: {} for name in planted.universe.contracts}
    columns = rows(planted.lake, "raw_candles").select("instrument", "ts", "close", "volume")
    for name, ts, close, volume in columns.iter_rows():
        if (name, ts) not in spoilt:
            sound[name][ts] = Candle(close, volume > 0, (name, ts) in spikes)
    return sound


def basis_row(future: Candle, perpetual: Candle, left: timedelta) -> tuple[object, ...]:
    """A row of `basis` after the instrument and the minute, as DESIGN says it is worked out."""
    basis = future.close - perpetual.close
    pct = basis / perpetual.close * 100
    days = left / timedelta(days=1)
    return (
        future.close,
        perpetual.close,
        basis,
        pct,
        days,
        pct * 365 / days if left > timedelta(hours=1) else None,
        "contango" if basis > 0 else "backwardation" if basis < 0 else "flat",
        future.traded,
        perpetual.traded,
        future.suspect or perpetual.suspect,
    )


def served(universe: Universe) -> pl.DataFrame:
    """The truth with all that was planted: what a lake should hold as received."""
    frame = truths(universe)
    for gap in GAPS:
        inside = pl.col("ts").is_between(gap.start, gap.end, closed="left")
        frame = frame.filter((pl.col("instrument") != gap.name) | ~inside)
    for plant in [*SPOILT, *SPIKES]:
        here = (pl.col("instrument") == plant.name) & (pl.col("ts") == plant.ts)
        cells = {
            name: pl.lit(None) if factor is None else pl.col(name) * factor
            for name, factor in plant.factors.items()
        }
        frame = frame.with_columns(
            pl.when(here).then(cell).otherwise(name).alias(name) for name, cell in cells.items()
        )
    return frame


# What is found


def test_the_hole_is_a_whole_window_of_its_instrument(planted: Planted) -> None:
    listed_ms = planted.universe.contracts[ETH].listed_ms
    listed_at = floor_minute(datetime.fromtimestamp(listed_ms / 1000, UTC))
    assert listed_at + MINUTES.longest * MINUTE == HOLE.start


def test_raw_candles_are_kept_as_they_came_and_a_repeat_is_one_row(planted: Planted) -> None:
    assert_frame_equal(
        rows(planted.lake, "raw_candles"), served(planted.universe), check_exact=True
    )


def test_what_is_missing_is_exactly_the_gaps_that_were_planted(planted: Planted) -> None:
    expected = sorted((gap.name, gap.start, gap.end) for gap in GAPS)
    assert coverage(planted.lake, status="missing") == expected
    assert coverage(planted.lake, status="failed") == []
    assert coverage(planted.lake, status="never_asked") == []
    found = planted.lake.sql("FROM gaps ORDER BY instrument, start").rows()
    assert found == [
        (gap.name, gap.start, gap.end, gap.minutes, "missing", False) for gap in sorted(GAPS)
    ]


def test_quarantine_holds_exactly_the_candles_that_were_spoilt_with_the_rules_they_break(
    planted: Planted,
) -> None:
    found = rows(planted.lake, "quarantine")
    expected = sorted((plant.name, plant.ts, plant.rules) for plant in SPOILT)
    assert found.select("instrument", "ts", "rules").rows() == expected
    raw = served(planted.universe).join(found, on=["instrument", "ts"], how="semi")
    assert_frame_equal(found.drop("rules"), raw, check_exact=True)


def test_every_other_raw_candle_is_a_candle_with_the_same_values(planted: Planted) -> None:
    key = {name: CANDLES.polars_schema[name] for name in CANDLES.key}
    spoilt = pl.DataFrame([(plant.name, plant.ts) for plant in SPOILT], key, orient="row")
    expected = served(planted.universe).join(spoilt, on=["instrument", "ts"], how="anti")
    found = rows(planted.lake, "candles")
    assert_frame_equal(found.select(expected.columns), expected, check_exact=True)
    assert found["traded"].equals((expected["volume"] > 0).alias("traded"))


def test_exactly_the_spikes_that_were_planted_are_suspect(planted: Planted) -> None:
    found = rows(planted.lake, "candles").filter("suspect").select("instrument", "ts").rows()
    assert found == sorted((plant.name, plant.ts) for plant in SPIKES)


def test_warnings_count_the_spikes_and_nothing_else(planted: Planted) -> None:
    found = planted.lake.read(WARNINGS).sort(WARNINGS.key).rows()
    names = [plant.name for plant in SPIKES]
    assert found == [(name, "spike", names.count(name)) for name in sorted(set(names))]


def test_a_spike_marks_the_basis_of_its_minute_and_that_of_a_perpetual_the_basis_of_all_its_futures(
    planted: Planted,
) -> None:
    found = rows(planted.lake, "basis").filter("suspect").select("instrument", "ts").rows()
    future, perpetual, in_hole = SPIKES
    alive = ["BTC-12APR24", "BTC-28JUN24", "BTC-5APR24"]
    assert found == sorted([(future.name, future.ts), *((n, perpetual.ts) for n in alive)])
    unmatched = planted.lake.sql("SELECT instrument, ts FROM unmatched WHERE suspect").rows()
    assert unmatched == [(in_hole.name, in_hole.ts)]


def test_the_quality_of_every_instrument_counts_what_was_planted_and_nothing_else(
    planted: Planted,
) -> None:
    found = {row["instrument"]: row for row in planted.lake.read(QUALITY).to_dicts()}
    assert set(found) == set(planted.universe.contracts)
    candles = served(planted.universe)
    for name, row in found.items():
        raw = candles.filter(instrument=name)
        lengths = [gap.minutes for gap in GAPS if gap.name == name]
        spoilt = [plant.ts for plant in SPOILT if plant.name == name]
        first = raw["ts"][0]
        untraded = raw.filter((pl.col("volume") == 0) & ~pl.col("ts").is_in(spoilt))
        assert row == {
            "instrument": name,
            "rows": raw.height,
            "first_ts": first,
            "last_ts": raw["ts"][-1],
            "expected_minutes": (min(END, planted.expires_at(name) or END) - first) // MINUTE,
            "missing_minutes": sum(lengths),
            "gaps": len(lengths),
            "gaps_over_10m": sum(length > 10 for length in lengths),
            "longest_gap_minutes": max(lengths, default=0),
            "duplicates": sum(repeat == name for repeat, _ in REPEATED),
            "quarantined": len(spoilt),
            "untraded_minutes": untraded.height,
        }


def test_no_row_is_lost_between_raw_candles_and_basis(planted: Planted) -> None:
    lake, built = planted.lake, planted.built
    held = {table: rows(lake, table) for table in ("raw_candles", "candles", "quarantine")}
    counts = {table: dict(of["instrument"].value_counts().rows()) for table, of in held.items()}
    for name, count in counts["raw_candles"].items():
        assert count == counts["candles"][name] + counts["quarantine"].get(name, 0)
    futures = sum(counts["candles"][name] for name in counts["candles"] if name not in (BTC, ETH))
    unmatched = lake.sql("FROM unmatched").height
    assert rows(lake, "basis").height + unmatched == futures
    assert (built.candles, built.quarantined) == (held["candles"].height, len(SPOILT))
    assert (built.basis_rows, built.unmatched) == (futures - unmatched, unmatched)


# What is worked out


def test_the_basis_of_the_whole_lake_is_as_one_would_work_it_out_row_by_row(
    planted: Planted, worked: Worked
) -> None:
    expected = pl.DataFrame(worked.basis, BASIS.polars_schema, orient="row")
    assert expected.height > 50_000
    assert_frame_equal(rows(planted.lake, "basis"), expected, check_exact=True)


def test_the_candles_without_a_basis_are_those_whose_perpetual_lacks_the_minute(
    planted: Planted, worked: Worked
) -> None:
    found = planted.lake.sql("SELECT instrument, ts FROM unmatched ORDER BY ALL").rows()
    assert found == worked.unmatched
    absent = {milliseconds(plant.ts) for plant in SPOILT if plant.name in (BTC, ETH)}
    absent |= {ms for gap in GAPS if gap.name in (BTC, ETH) for ms in minutes_of(gap)}
    assert absent <= {milliseconds(ts) for _, ts in found}


@pytest.mark.slow
def test_the_term_structure_of_any_minute_is_as_one_would_work_it_out(
    planted: Planted, worked: Worked
) -> None:
    last_hour = [at("03-29 06:59"), at("03-29 07:00"), END - MINUTE]
    moments = [plant.ts for plant in (*SPOILT, *SPIKES)] + [gap.start for gap in GAPS] + last_hour
    expected: dict[object, list[tuple[object, ...]]] = {moment: [] for moment in moments}
    for name, ts, *cells in worked.basis:
        if ts in expected:
            expected[ts].append((name, *cells))
    connection = planted.lake.duckdb()
    columns = ", ".join(["instrument", *BASIS.names[2:]])
    for moment in moments:
        late = moment + timedelta(seconds=59)
        found = duck.rows(connection, f"SELECT {columns} FROM term_structure('{late}')").rows()
        # By coin, then by days to expiry.
        curve = sorted(expected[moment], key=lambda row: (str(row[0])[:3], row[5]))
        assert (moment, found) == (moment, curve)


# What is mended


@pytest.mark.slow
def test_what_the_exchange_mends_is_fetched_again_and_as_of_before_it_is_what_it_was(
    planted: Planted, tmp_path: Path
) -> None:
    lake = copied(planted.lake, tmp_path)
    before = newest_batch(lake)
    with SimulatedExchange(planted.universe) as server:
        repaired = fetch(server, lake, repair=True)
        assert (repaired.failed, repaired.missing) == ([], {})
        assert (repaired.replaced, repaired.differing) == (len(SPOILT), 0)
        assert repaired.candles_written == sum(gap.minutes for gap in GAPS)
        built = build_in_engine(lake)
        # The candles that were spoilt are kept, and count no more.
        found = rows(lake, "quarantine").select("instrument", "ts", "rules").rows()
        assert found == sorted((plant.name, plant.ts, [SUPERSEDED]) for plant in SPOILT)
        assert built.quarantined == len(SPOILT)
        # What is suspect is no candle that a rule forbids, so it is asked for again by name.
        names = {plant.name for plant in SPIKES}
        assert not lake.sql("SELECT instrument FROM candles WHERE suspect").is_empty()
        again = fetch(server, lake, with_data(select(names=sorted(names)), ["candles"]), again=True)
    assert (again.replaced, again.differing, again.candles_written) == (len(SPIKES), 0, 0)
    assert build_in_engine(lake).quarantined == len(SPOILT) + len(SPIKES)
    assert_frame_equal(counting(lake), truths(planted.universe), check_exact=True)
    assert lake.sql("SELECT instrument FROM candles WHERE suspect").is_empty()
    tables = fingerprint(lake, 2).tables
    build_in_engine(lake, full=True)
    assert fingerprint(lake, 2, verify=True).tables == tables
    old = rows(PastLake(lake, before), "raw_candles")
    assert_frame_equal(old, served(planted.universe), check_exact=True)
