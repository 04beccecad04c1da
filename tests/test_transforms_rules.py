"""The rules and the split into candles and quarantine."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.table import BATCH
from lake.tables import CANDLES, QUARANTINE, RAW_CANDLES, SUPERSEDED
from transforms.quality import period_figures, warnings
from transforms.rules import ERRORS, WARNING_RULES
from transforms.validation import validate

NAME = "BTC-1JAN24"
LISTED = datetime(2024, 1, 1, 8, 0, 9, tzinfo=UTC)
FIRST_MINUTE = LISTED.replace(second=0)
EXPIRES = FIRST_MINUTE + timedelta(minutes=100)

GOOD = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 1.0, "cost": 10.0}


def raw(*changes: dict[str, object]) -> pl.DataFrame:
    rows = [
        {
            "instrument": NAME,
            "batch": 1,
            "ts": FIRST_MINUTE + timedelta(minutes=i),
            **GOOD,
            **change,
        }
        for i, change in enumerate(changes)
    ]
    return pl.DataFrame(rows, schema=RAW_CANDLES.polars_schema)


def judged(
    frame: pl.DataFrame, expires_at: datetime | None = EXPIRES
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The candles and the quarantine of raw candles of an instrument."""
    return validate(frame.with_columns(listed_at=pl.lit(LISTED), expires_at=pl.lit(expires_at)))


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({}, []),
        ({"open": 11.0, "high": 11.0, "low": 11.0, "volume": 0.0, "cost": 0.0}, []),
        ({"close": None}, ["null_value"]),
        ({"volume": None}, ["null_value"]),
        ({"low": 0.0}, ["nonpositive_price"]),
        ({"low": -1.0}, ["nonpositive_price"]),
        ({"low": 10.5}, ["ohlc_order"]),
        ({"high": 10.5}, ["ohlc_order"]),
        ({"volume": -1.0}, ["negative_volume"]),
        ({"cost": -1.0}, ["negative_volume"]),
        (
            {"low": 13.0, "cost": -1.0, "open": None},
            ["null_value", "ohlc_order", "negative_volume"],
        ),
        ({"ts": EXPIRES}, ["outside_life"]),
        ({"ts": EXPIRES - timedelta(minutes=1)}, []),
        ({"ts": LISTED.replace(second=0) - timedelta(minutes=1)}, ["outside_life"]),
    ],
)
def test_a_candle_breaks_exactly_these_rules(change: dict[str, object], rules: list[str]) -> None:
    candles, quarantine = judged(raw(change))
    assert candles.height == (not rules)
    assert quarantine["rules"].to_list() == ([rules] if rules else [])


def test_a_perpetual_has_no_end() -> None:
    candles, _ = judged(raw({"ts": EXPIRES + timedelta(days=900)}), None)
    assert candles.height == 1


def test_traded_means_volume_even_where_the_candle_is_flat() -> None:
    flat: dict[str, object] = {"open": 11.0, "high": 11.0, "low": 11.0}
    candles, _ = judged(raw(flat, {**flat, "volume": 0.0, "cost": 0.0}))
    assert candles["traded"].to_list() == [True, False]


cells = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(GOOD, cells)), max_size=20))
def test_no_row_is_lost_or_altered(changes: list[dict[str, object]]) -> None:
    frame = raw(*changes)
    candles, quarantine = judged(frame)
    columns = frame.drop(BATCH).columns
    both = pl.concat([candles.select(columns), quarantine.select(columns)])
    assert both.sort("ts").equals(frame.select(columns))
    assert CANDLES.cast(candles).height + QUARANTINE.cast(quarantine).height == frame.height
    assert quarantine["rules"].list.len().min() != 0
    sound = candles.select(
        pl.all_horizontal(
            pl.col("low") <= pl.col("open"),
            pl.col("low") <= pl.col("close"),
            pl.col("high") >= pl.col("open"),
            pl.col("high") >= pl.col("close"),
            pl.col("low") > 0,
            pl.col("volume") >= 0,
            pl.col("cost") >= 0,
        ).all()
    ).item()
    assert sound


@given(
    minutes=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4)), max_size=20, unique=True),
    sound=st.data(),
)
def test_of_several_candles_of_a_minute_the_last_batch_counts_and_the_others_are_kept(
    minutes: list[tuple[int, int]], sound: st.DataObject
) -> None:
    """Also where the last one breaks a rule: what it replaced does not count again."""
    lows = [sound.draw(st.sampled_from([9.0, 0.0])) for _ in minutes]
    rows = [
        {"ts": FIRST_MINUTE + timedelta(minutes=at), "batch": batch, "low": low}
        for (at, batch), low in zip(minutes, lows, strict=True)
    ]
    frame = raw(*rows).sort("ts", maintain_order=True)
    candles, quarantine = judged(frame)
    newest = {at: max(b for a, b in minutes if a == at) for at, _ in minutes}
    text: dict[str, list[tuple[datetime, float]]] = {"low": [], "superseded": []}
    for (at, batch), low in zip(minutes, lows, strict=True):
        ts = FIRST_MINUTE + timedelta(minutes=at)
        if newest[at] != batch:
            text["superseded"].append((ts, low))
        elif not low:
            text["low"].append((ts, low))
    held = [(row["ts"], row["low"], row["rules"]) for row in quarantine.iter_rows(named=True)]
    assert sorted((ts, low) for ts, low, rules in held if rules == [SUPERSEDED]) == sorted(
        text["superseded"]
    )
    broken = [(ts, low) for ts, low, rules in held if "nonpositive_price" in rules]
    assert sorted(broken) == sorted(text["low"])
    assert candles.height + quarantine.height == frame.height
    assert candles["ts"].is_unique().all()


FILLER = {"open": 11.0, "high": 11.0, "low": 11.0, "volume": 0.0, "cost": 0.0}
MOVED = {**FILLER, "open": 12.0, "high": 12.0, "low": 12.0, "close": 12.0}
LATER = FIRST_MINUTE + timedelta(minutes=50)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{}, FILLER], {}),
        ([{}, MOVED], {"untraded_move": 1}),
        ([{}, MOVED, MOVED], {"untraded_move": 1}),
        ([MOVED], {}),
        # What happened in the minutes between is not known.
        ([{}, {**MOVED, "ts": LATER}], {}),
        ([{}, {**MOVED, "low": None}, {**MOVED, "close": 12.0}], {}),
        ([{"cost": 12.0 * 1.0099}, {"cost": 9.0 * 0.9901}], {}),
        ([{"cost": 12.0 * 1.0101}, {}, {"cost": 9.0 * 0.9899}], {"cost_outside_range": 2}),
        ([{"volume": 0.0, "close": 10.0}], {"cost_outside_range": 1}),
        ([{"cost": 0.0}], {"volume_without_cost": 1}),
        ([{"cost": 0.0, "volume": 0.0}], {}),
    ],
)
def test_warnings_are_counted_exactly_and_keep_the_candle(
    changes: list[dict[str, object]], expected: dict[str, int]
) -> None:
    frame = raw(*changes)
    candles, quarantine = judged(frame)
    assert candles.height + quarantine.height == frame.height
    found = warned(frame, candles)
    assert {rule: rows for _, rule, rows in found} == expected
    assert {name for name, _, _ in found} <= {NAME}


def warned(frame: pl.DataFrame, candles: pl.DataFrame) -> list[tuple[str, str, int]]:
    """The rows of `warnings`, of raw candles and those that passed."""
    return warnings(period_figures(frame, candles, candles.clear())).rows()


def test_what_is_flagged_is_counted_as_a_spike_and_no_candles_have_no_warnings() -> None:
    frame = raw({}, {}, {})
    candles, _ = judged(frame)
    flagged = candles.with_columns(suspect=pl.Series([True, False, True]))
    assert warned(frame, flagged) == [(NAME, "spike", 2)]
    assert warned(frame, candles.clear()) == []


def test_every_rule_has_a_name_of_its_own_and_a_sentence() -> None:
    rules = (*ERRORS, *WARNING_RULES)
    assert len({rule.name for rule in rules}) == len(rules)
    for rule in rules:
        assert rule.meaning[0].isupper()
        assert rule.meaning.endswith(".")
