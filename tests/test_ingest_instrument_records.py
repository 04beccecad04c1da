import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.deribit.instrument_records import Instrument, read_records
from tests.market import RECORDINGS, needs_recordings
from tests.strategies import json_values

GOOD: dict[str, Any] = {
    "instrument_name": "BTC-29SEP23",
    "kind": "future",
    "base_currency": "BTC",
    "quote_currency": "USD",
    "settlement_currency": "BTC",
    "settlement_period": "month",
    "instrument_type": "reversed",
    "creation_timestamp": 1664524802000,
    "expiration_timestamp": 1695974400000,
    "tick_size": 2.5,
    "contract_size": 10,
    "is_active": False,
}
READ = Instrument(
    instrument="BTC-29SEP23",
    kind="future",
    base="BTC",
    quote="USD",
    settlement="BTC",
    contract_type="inverse",
    listed_at=datetime(2022, 9, 30, 8, 0, 2, tzinfo=UTC),
    expires_at=datetime(2023, 9, 29, 8, tzinfo=UTC),
    tick_size=2.5,
    contract_size=10.0,
    active=False,
    price_index="btc_usd",
    term="quarterly",
)
PERPETUAL = GOOD | {
    "instrument_name": "BTC-PERPETUAL",
    "settlement_period": "perpetual",
    "expiration_timestamp": 32503708800000,
}
REQUIRED = {"instrument_name", "kind", "creation_timestamp", "expiration_timestamp"}


def without(record: Mapping[str, Any], *fields: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in fields}


def recorded(name: str) -> list[Any]:
    content = json.loads((RECORDINGS / name).read_text())
    records: list[Any] = content["result"] if isinstance(content, dict) else content
    return records


def one(record: object) -> Instrument | str | None:
    """The instrument; the reason it was refused; None where it was left out."""
    listing = read_records([record])
    found = [*listing.instruments.values(), *listing.refused, *listing.left_out]
    assert len(found) == 1
    if listing.refused:
        return listing.refused[0].reason
    return next(iter(listing.instruments.values()), None)


@needs_recordings
@pytest.mark.parametrize(
    ("file", "count"),
    [
        ("get_instruments_2020-01_v2.json", 3),
        ("get_instruments_BTC_future_2021-07-22.json", 8),
        ("get_instruments_ETH_future_2021-07-22.json", 8),
        ("get_instruments_futures_2022-09.json", 16),
        ("get_instruments_sample_2026-09.json", 3),
        ("carry/get_instruments_BTC_future_2026-09-20.json", 13),
    ],
)
def test_a_recorded_list_is_read_whole(file: str, count: int) -> None:
    listing = read_records(recorded(file))
    assert (len(listing.instruments), listing.left_out, listing.refused) == (count, [], [])
    terms = {"day": {"daily"}, "week": {"weekly"}, "month": {"monthly", "quarterly"}}
    for record in recorded(file):
        name = record["instrument_name"]
        found = listing.instruments[name]
        coin, _, rest = name.partition("-")
        assert (found.base, found.settlement, found.contract_type) == (coin, coin, "inverse")
        assert (found.quote, found.active) == ("USD", True)
        assert found.contract_size == (10.0 if coin == "BTC" else 1.0)
        assert found.tick_size == record["tick_size"]
        if rest == "PERPETUAL":
            assert (found.kind, found.expires_at) == ("perpetual", None)
        else:
            expiry = datetime.strptime(rest, "%d%b%y").replace(hour=8, tzinfo=UTC)
            assert (found.kind, found.expires_at) == ("future", expiry)
            assert found.listed_at < expiry
        assert found.price_index == record.get("price_index", f"{coin.lower()}_usd")
        assert found.term in terms.get(record["settlement_period"], {"perpetual"})


@needs_recordings
def test_recorded_combinations_are_left_out() -> None:
    listing = read_records(recorded("get_instruments_future_combo.json"))
    assert (listing.instruments, listing.refused) == ({}, [])
    assert [record.reason for record in listing.left_out] == ["kind future_combo"] * 6
    assert all(record.name.startswith("BTC-FS-") for record in listing.left_out)


def test_a_record_is_read_exactly() -> None:
    assert one(GOOD) == READ
    perpetual = one(PERPETUAL)
    assert isinstance(perpetual, Instrument)
    assert (perpetual.kind, perpetual.expires_at) == ("perpetual", None)
    assert perpetual.term == "perpetual"
    linked = one(GOOD | {"price_index": "btc_usdc"})
    assert linked == replace(READ, price_index="btc_usdc")


def test_only_name_kind_creation_and_expiry_are_needed() -> None:
    bare = without(GOOD, *(set(GOOD) - REQUIRED))
    assert one(bare) == replace(READ, tick_size=None, contract_size=None)
    nulls = GOOD | dict.fromkeys(set(GOOD) - REQUIRED)
    assert one(nulls) == one(bare)
    perpetual = one(PERPETUAL | dict.fromkeys(set(GOOD) - REQUIRED))
    assert isinstance(perpetual, Instrument)


@pytest.mark.parametrize("field", sorted(REQUIRED))
def test_a_record_without_what_is_needed_is_refused(field: str) -> None:
    assert isinstance(one(without(GOOD, field)), str)


def test_the_expiry_may_be_called_expiry() -> None:
    assert one(without(GOOD, "expiration_timestamp") | {"expiry": 1695974400000}) == READ


def test_the_state_tells_what_is_active_where_nothing_else_does() -> None:
    assert one(without(GOOD, "is_active") | {"state": "open"}) == replace(READ, active=True)
    assert one(without(GOOD, "is_active") | {"state": "closed"}) == READ


def test_times_keep_their_milliseconds() -> None:
    found = one(GOOD | {"creation_timestamp": 1664524802007.0})
    assert isinstance(found, Instrument)
    assert found.listed_at == READ.listed_at + timedelta(milliseconds=7)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "option"},
        {"kind": "future_combo", "instrument_name": "BTC-FS-19MAY26_PERP"},
        {"base_currency": "SOL", "instrument_name": "SOL-3JUN22"},
        {"instrument_name": "BTC_USDC-PERPETUAL", "instrument_type": "linear"},
        {"instrument_name": "BTC_USDC-30OCT26", "quote_currency": "USDC"},
        {"settlement_currency": "USDC"},
        {"settlement_currency": "USDC", "base_currency": None},
        {"instrument_type": None, "future_type": "linear"},
    ],
)
def test_a_sound_record_of_something_else_is_left_out(change: dict[str, Any]) -> None:
    assert one(GOOD | change) is None


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "BTC-29SEP23/../../x",
        "BTC-29SEP23\n",
        "BTC-29SEP23\x00",
        "'; DROP TABLE instruments; --",
        "btc-29sep23",
        "BTC-029SEP23",
        "BTC-29SEPT23",
        "BTC-29SEP2023",
        "BTC-٢٩SEP٢٣",
        "BTC-2\uff19SEP23",
        "\u0412TC-29SEP23",
        "BTC-29SEP23" * 100_000,
        "\ud800",
        "",
        None,
        7,
        ["BTC-29SEP23"],
    ],
)
def test_a_hostile_name_is_refused_and_shown_short_and_escaped(name: object) -> None:
    listing = read_records([GOOD | {"instrument_name": name}])
    assert listing.instruments == {}
    (refused,) = listing.refused
    assert len(refused.name) <= 64
    assert refused.name.isascii()
    assert refused.name.isprintable()


@pytest.mark.parametrize(
    ("name", "could_be"),
    [
        ("BTC-29SEP23 ", True),
        ("eth-1JAN24", True),
        ("BTC_29SEP2023", True),
        ("BTC-29XXX23", True),
        ("BTC-PERPETUAL2", False),
        ("BTC-29SEP23-50000-C", False),
        ("../BTC-29SEP23", False),
    ],
)
def test_a_refused_name_that_could_be_a_dated_future_is_told_from_others(
    name: str,
    could_be: bool,  # noqa: FBT001  (a column of the table above)
) -> None:
    (refused,) = read_records([GOOD | {"instrument_name": name}]).refused
    assert refused.could_be_dated is could_be


@pytest.mark.parametrize(
    "change",
    [
        {"base_currency": "ETH", "settlement_currency": "ETH"},
        {"settlement_period": "perpetual"},
        {"expiration_timestamp": 1664524802000},
        {"expiration_timestamp": 32503708800000},
        {"expiration_timestamp": "1695974400000"},
        {"expiration_timestamp": None},
        {"creation_timestamp": 0},
        {"creation_timestamp": 1664524802000000},
        {"creation_timestamp": 1664524802000.5},
        {"creation_timestamp": float("nan")},
        {"creation_timestamp": True},
        {"tick_size": 0},
        {"tick_size": "2.5"},
        {"tick_size": float("inf")},
        {"contract_size": 10**400},
        {"kind": ["future"]},
        {"price_index": 7},
        {"price_index": "../btc"},
    ],
)
def test_a_record_that_contradicts_itself_or_makes_no_sense_is_refused(
    change: dict[str, Any],
) -> None:
    (refused,) = read_records([GOOD | change]).refused
    assert refused.name == "BTC-29SEP23"
    assert refused.could_be_dated


huge = st.sampled_from([10**400, -(10**400), 2**64, 1e308, -0.0])


@given(st.lists(json_values | st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, json_values))))
def test_any_record_ends_as_ours_left_out_or_refused(records: list[object]) -> None:
    listing = read_records(records)
    assert len(listing.refused) + len(listing.left_out) == len(records)
    assert listing.instruments == {}


@given(
    st.sampled_from([*GOOD, "future_type", "expiry", "state", "price_index"]), json_values | huge
)
def test_a_changed_record_never_becomes_another_instrument(field: str, value: object) -> None:
    found = one(GOOD | {field: value})
    if not isinstance(found, Instrument):
        return
    if field == "creation_timestamp":
        assert found.listed_at.timestamp() * 1000 == value
        assert found == replace(READ, listed_at=found.listed_at)
    elif field in {"tick_size", "contract_size"}:
        assert found == replace(READ, **{field: value})  # type: ignore[arg-type]
    elif field == "price_index":
        assert found == replace(READ, price_index=value or READ.price_index)  # type: ignore[arg-type]
    elif field == "is_active":
        assert found == replace(READ, active=value is True)
    else:
        assert found == READ


@given(st.integers(1, 10**13))
def test_the_expiry_is_the_records_own(milliseconds: int) -> None:
    found = one(GOOD | {"expiration_timestamp": milliseconds})
    if isinstance(found, Instrument):
        assert found.expires_at is not None
        assert found.expires_at.timestamp() * 1000 == pytest.approx(milliseconds, abs=0.01)
        assert found.expires_at > found.listed_at


def test_the_same_instrument_on_two_lists_is_one_and_the_later_record_stands() -> None:
    listing = read_records([GOOD, GOOD | {"is_active": True}])
    assert [*listing.instruments.values()] == [replace(READ, active=True)]
    assert listing.refused == []


@pytest.mark.parametrize("again", [False, True])
def test_records_that_disagree_about_a_life_are_refused_together(again: bool) -> None:  # noqa: FBT001  (a column of the table above)
    other = GOOD | {"expiration_timestamp": GOOD["expiration_timestamp"] + 1}
    listing = read_records([GOOD, other, *([GOOD] * again), PERPETUAL])
    assert [*listing.instruments] == ["BTC-PERPETUAL"]
    (refused,) = listing.refused
    assert (refused.name, refused.could_be_dated) == ("BTC-29SEP23", True)


def test_a_disputed_perpetual_is_no_dated_future() -> None:
    other = PERPETUAL | {"creation_timestamp": GOOD["creation_timestamp"] + 1}
    (refused,) = read_records([PERPETUAL, other]).refused
    assert (refused.name, refused.could_be_dated) == ("BTC-PERPETUAL", False)
