"""The report: its page, of whole and of half a lake, and the command."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from basislake.report.facts import FIGURES, Facts, gather, to_json
from basislake.report.listing import prose
from basislake.report.make import folder_of
from basislake.report.page import facts_in, page
from ingest.backfill.run_records import FOLDER
from lake import Lake
from lake import open as open_lake
from lake.errors import UsageError
from lake.tables import INSTRUMENTS
from lake.time.intervals import MINUTE
from tests.ailing import UNANSWERED
from tests.lakes import append, ask, copied, instrument, interval, lake_of, record
from tests.market import basislake
from tests.reporting import HOSTILE, MADE_AT, read, text_of

EXPIRY = datetime(2024, 3, 29, 8, tzinfo=UTC)


# The page


def test_every_figure_is_on_the_page_with_its_query(facts: Facts) -> None:
    shown = page(facts)
    reader = read(shown)
    ids = [a["id"] for tag, a in reader.tags if tag == "figure"]
    assert sorted(str(name) for name in ids) == sorted(f.name for f in FIGURES)
    # The market comes first.
    assert ids[:5] == ["quotes", "price", "curve", "front-quarterly", "spreads"]
    for declared in FIGURES:
        assert declared.sql in reader.texts
        assert declared.title in "".join(reader.texts)
        if not any(facts.rows[declared.name].values()):
            empty = declared.listing.empty if declared.listing else declared.empty
            assert prose(empty) in shown
    loaded = [a for _, a in reader.tags for name in ("src", "srcset", "action") if a.get(name)]
    assert loaded == []
    links = {a["href"] for _, a in reader.tags if a.get("href")}
    assert all(str(link).startswith(("#", "data:,")) for link in links)


def test_a_hostile_text_stays_a_text(ailing: Lake, tmp_path: Path) -> None:
    copy = copied(ailing, tmp_path)
    ((path, text),) = ((p, p.read_text()) for p in Path(copy.uri, FOLDER).glob("*.json"))
    record = json.loads(text)
    record["failed"] = [{"instrument": UNANSWERED[0], "reason": HOSTILE}, HOSTILE, {}]
    record |= {"state": HOSTILE, "calls": HOSTILE, "candles": 2**70, "retries": -1.5}
    path.write_text(json.dumps(record))
    shown = page(gather(copy, MADE_AT, None, 1))
    assert "<img" not in re.sub(r"<script>.*?</script>", "", shown, flags=re.DOTALL)
    reader = read(shown)
    assert [tag for tag, _ in reader.tags if tag == "script"] == ["script"] * 4
    assert reader.texts.count(HOSTILE) == 2
    assert facts_in(shown) is not None


def test_no_path_and_no_host_gets_into_a_report(ailing: Lake, facts: Facts) -> None:
    record = json.loads(next(Path(ailing.uri, FOLDER).glob("*.json")).read_text())
    text = to_json(facts).decode()
    assert ailing.uri not in text
    assert f'"{record["host"]}"' not in text


# Half a lake


def half_built() -> dict[str, Callable[[Path], Lake]]:
    start = EXPIRY - timedelta(days=40)
    known = [instrument("BTC-29MAR24", EXPIRY), instrument("BTC-PERPETUAL")]
    asked = [
        interval("BTC-29MAR24", start, start + timedelta(days=30), "no_data"),
        interval("BTC-29MAR24", start + timedelta(days=30), EXPIRY, "never_asked"),
    ]
    return {
        "nothing but a table": lambda folder: lake_of(folder, instruments=[]),
        "instruments": lambda folder: lake_of(folder, instruments=known),
        "coverage": lambda folder: lake_of(folder, instruments=known, coverage=asked),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", half_built())
def test_half_a_lake_has_an_honest_page(name: str, tmp_path: Path) -> None:
    lake = half_built()[name](tmp_path)
    done = basislake(None, "report", "--lake", lake.uri, "--json")
    assert done.code == 0, done.err
    text = text_of(done.json["path"])
    message = {
        "nothing but a table": "The lake is empty: basislake run fills it.",
        "instruments": "No candle is stored yet",
        "coverage": "No candle is stored yet",
    }
    assert message[name] in text
    assert done.json["as_of"] == 0
    assert basislake(None, "report", "--lake", lake.uri, "--verify").code == 0
    proved = basislake(None, "report", "--lake", lake.uri, "--evidence", tmp_path / "evidence")
    assert proved.code == (1 if name != "nothing but a table" else 0), proved.err
    assert "Traceback" not in proved.err


def test_raw_candles_without_a_build_are_told_as_such(ailing: Lake, tmp_path: Path) -> None:
    bare = open_lake(str(tmp_path / "bare"))
    record(bare, ailing.read(INSTRUMENTS).to_dicts())
    rows = ailing.scan("raw_candles").filter(instrument="BTC-29MAR24").collect()
    number = append(bare, {"BTC-29MAR24": [rows.drop("instrument", "batch")]})
    asks = ailing.scan("asks").filter(status="present").collect()
    ask(bare, number, *asks.select("instrument", "start", "end", "status").iter_rows())
    done = basislake(None, "report", "--lake", bare.uri, "--json")
    assert done.code == 0, done.err
    text = text_of(done.json["path"])
    assert "The curated tables are not built from the newest raw candles." in text
    assert "not built" in text


@pytest.mark.slow
def test_maintenance_puts_no_table_behind_and_a_new_candle_does(lake: Lake) -> None:
    assert basislake(None, "maintain", "--lake", lake.uri).code == 0
    message = "not built from the newest raw candles"
    assert message not in page(gather(lake, MADE_AT, None, 1))
    rows = lake.scan("raw_candles").filter(instrument="BTC-PERPETUAL").sort("ts").tail(1)
    shifted = rows.with_columns(pl.col("ts") + pl.duration(minutes=1)).drop("instrument", "batch")
    later = shifted.collect()
    number = append(lake, {"BTC-PERPETUAL": [later]})
    ask(lake, number, ("BTC-PERPETUAL", later["ts"][0], later["ts"][0] + MINUTE, "present"))
    assert message in page(gather(lake, MADE_AT, None, 1))


def test_no_lake_and_no_report_are_told_without_a_traceback(tmp_path: Path) -> None:
    for arguments in ([], ["--verify"]):
        none = basislake(None, "report", "--lake", tmp_path / "none", *arguments)
        assert (none.code, "There is no lake at" in none.err) == (1, True)
    lake = lake_of(tmp_path / "lake", instruments=[])
    missing = basislake(None, "report", "--lake", lake.uri, "--verify")
    assert (missing.code, "`basislake report` writes one" in missing.err) == (1, True)
    both = basislake(None, "report", "--lake", lake.uri, "--verify", "--evidence", tmp_path / "e")
    assert (both.code, "--verify writes nothing" in both.err) == (2, True)


def test_a_lake_in_an_object_store_needs_a_place_for_its_report(tmp_path: Path) -> None:
    far = open_lake("s3://bucket/market")
    with pytest.raises(UsageError, match="--output FOLDER"):
        folder_of(far, None)
    assert folder_of(far, tmp_path) == tmp_path
