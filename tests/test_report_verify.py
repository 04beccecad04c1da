"""`report --verify`: correct figures stay verified, and changed ones are found."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from basislake.report.facts import FIGURES, Facts, from_json, to_json
from basislake.report.make import make
from basislake.report.page import facts_in
from basislake.report.verify import verify
from basislake.settings.database_target import Target
from lake import Lake
from lake.errors import LakeError
from lake.tables import CANDLES
from load.postgres import Database
from tests.ailing import UNANSWERED
from tests.lakes import append, ask, begin, copied
from tests.market import basislake
from tests.reporting import HOSTILE, MADE_AT, text_of
from tests.staged import built


def made(lake: Lake, folder: Path) -> Path:
    """A report on disk."""
    done, _ = make(lake, folder, MADE_AT, None, 2)
    assert Path(done.path).stat().st_size == done.bytes
    assert done.queries == len(FIGURES)
    return folder


def differing(lake: Lake, folder: Path) -> dict[str, str]:
    """What a verification finds, by figure."""
    done = verify(lake, folder, None, 2)
    assert done.queries == len(FIGURES)
    return {finding.figure: finding.reason for finding in done.differing}


def rewritten(folder: Path, change: Callable[[dict[str, Any]], None], *, page: bool) -> None:
    """Change the facts of a report: in its JSON, and in its page, or in the JSON alone."""
    path = folder / "report.json"
    before = json.loads(path.read_bytes())
    change(before)
    path.write_text(json.dumps(before))
    if page:
        facts = from_json(path.read_bytes(), "here")
        shown = (folder / "index.html").read_text()
        text = facts_in(shown)
        assert text is not None
        changed = to_json(facts).decode().replace("<", "\\u003c").replace(">", "\\u003e")
        changed = changed.replace("&", "\\u0026")
        (folder / "index.html").write_text(shown.replace(text, changed))


def column(facts: dict[str, Any], figure: str, name: str) -> list[Any]:
    """A column of a figure in the JSON."""
    columns = next(f["columns"] for f in facts["figures"] if f["name"] == figure)
    values: list[Any] = columns[name]
    return values


@pytest.mark.slow
def test_a_report_stands_also_when_the_lake_has_moved_on(ailing: Lake, tmp_path: Path) -> None:
    copy = copied(ailing, tmp_path)
    folder = made(copy, tmp_path / "report")
    assert differing(copy, folder) == {}
    name = UNANSWERED[0]
    rows = copy.scan("raw_candles").filter(instrument=name).head(10).collect()
    earlier = rows.with_columns(pl.col("ts") - pl.duration(days=2)).drop("instrument", "batch")
    number = append(copy, {name: [earlier]})
    ask(copy, number, (name, earlier["ts"][0], earlier["ts"][-1], "present"))
    built(copy)
    assert differing(copy, folder) == {}
    assert number > json.loads((folder / "report.json").read_bytes())["as_of"]


def test_a_report_made_while_a_batch_is_being_stored_stands(ailing: Lake, tmp_path: Path) -> None:
    grown = copied(ailing, tmp_path)
    begin(grown, "BTC-PERPETUAL")
    assert differing(grown, made(grown, tmp_path / "report")) == {}


FIGURES_TO_CHANGE = [
    ("summary", "candles"), ("coverage", "missing"), ("fingerprint", "sha256"), ("runs", "calls"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("figure", "name"),
    FIGURES_TO_CHANGE,
)
def test_a_changed_figure_is_found(ailing: Lake, tmp_path: Path, figure: str, name: str) -> None:
    folder = made(ailing, tmp_path)

    def change(facts: dict[str, Any]) -> None:
        values = column(facts, figure, name)
        values[0] = "0" * 64 if name == "sha256" else values[0] + 1

    rewritten(folder, change, page=False)
    assert differing(ailing, folder) == {figure: "the page and report.json differ"}
    rewritten(folder, lambda _: None, page=True)
    found = differing(ailing, folder)
    # What only the charts show is nowhere else on the page.
    assert found.keys() == ({figure} if figure == "coverage" else {figure, "page"})
    assert found[figure].startswith(f"{name}: e.g. row 1 is ")


@pytest.mark.slow
def test_a_changed_headline_and_a_changed_query_are_found(ailing: Lake, tmp_path: Path) -> None:
    folder = made(ailing, tmp_path)
    shown = (folder / "index.html").read_text()
    candles = f"{ailing.snapshot(CANDLES).rows:,}"
    assert candles in shown
    (folder / "index.html").write_text(shown.replace(candles, "9" + candles))
    assert differing(ailing, folder).keys() == {"page"}

    def change(facts: dict[str, Any]) -> None:
        place = [figure["name"] for figure in facts["figures"]].index("summary")
        facts["figures"][place]["sql"] = "COPY (SELECT 1) TO 'x'"

    (folder / "index.html").write_text(shown)
    rewritten(folder, change, page=True)
    found = differing(ailing, folder)
    assert found["summary"] == "the query has changed; run `basislake report` again"


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 99}', "\x00"])
def test_a_file_that_is_no_report_is_told_as_such(ailing: Lake, tmp_path: Path, text: str) -> None:
    folder = made(ailing, tmp_path)
    (folder / "report.json").write_text(text)
    with pytest.raises(LakeError, match="`basislake report` writes a new one"):
        verify(ailing, folder, None, 1)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("made_at",), "2024-01-01T00:00:00"),
        (("as_of",), 2**70),
        (("built",), -1),
        (("figures", 0, "columns"), {"instruments": 1}),
        (("figures", 1, "columns"), {"coin": ["BTC"], "instrument": []}),
        (("figures", 0, "name"), None),
    ],
)
def test_facts_of_another_shape_are_no_report(
    facts: Facts, place: tuple[str | int, ...], value: object
) -> None:
    changed = json.loads(to_json(facts))
    inner = changed
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    with pytest.raises(LakeError, match="`basislake report` writes a new one"):
        from_json(json.dumps(changed), "here")


@pytest.mark.slow
def test_facts_that_no_lake_has_said_are_found(ailing: Lake, tmp_path: Path) -> None:
    folder = made(ailing, tmp_path)

    def change(facts: dict[str, Any]) -> None:
        for figure in facts["figures"]:
            figure["columns"] = {"x": [None, [1], {}, HOSTILE]}

    rewritten(folder, change, page=True)
    found = differing(ailing, folder)
    assert found.keys() == {"page", *(f.name for f in FIGURES if f.name != "storage")}
    assert found["gaps"] == "it has other columns"


@pytest.mark.slow
def test_a_report_whose_files_are_gone_cannot_be_verified(ailing: Lake, tmp_path: Path) -> None:
    copy = copied(ailing, tmp_path)
    folder = made(copy, tmp_path / "report")
    for path in Path(copy.uri, "basis").rglob("*.parquet"):
        path.unlink()
    with pytest.raises(LakeError):
        verify(copy, folder, None, 1)


@pytest.mark.slow
def test_a_row_that_went_from_the_database_is_found_and_a_new_load_is_told(
    loaded: tuple[Lake, Any],
) -> None:
    lake, _ = loaded
    with Target().open(lake) as uri, Database(uri) as connection:
        connection.execute(
            "DELETE FROM futures_ohlcv WHERE ctid = (SELECT min(ctid) FROM futures_ohlcv)"
        )
        connection.commit()
    done = basislake(None, "report", "--lake", lake.uri, "--verify", "--json")
    assert done.code == 1
    assert [finding["figure"] for finding in done.json["differing"]] == ["parity"]
    again = basislake(None, "report", "--lake", lake.uri, "--json")
    text = text_of(again.json["path"])
    assert "PostgreSQL differs from the lake, in futures_ohlcv" in text
    assert basislake(None, "load", "--lake", lake.uri, "--full").code == 0
    later = basislake(None, "report", "--lake", lake.uri, "--verify", "--json")
    assert later.code == 0
    message = {finding["figure"]: finding["reason"] for finding in later.json["open"]}
    assert message["parity"] == "the database was loaded again since then"
    assert basislake(None, "report", "--lake", lake.uri).code == 0
