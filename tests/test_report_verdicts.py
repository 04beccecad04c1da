"""What the report says is wrong: verdicts of instruments, notices, causes and reasons."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from basislake.report.facts import Facts, gather
from basislake.report.listing import share
from basislake.report.notices import notices
from basislake.report.page import page
from tests.ailing import LOST, REFUSED, SPIKE, UNANSWERED
from tests.lakes import instrument, interval, lake_of
from tests.reporting import MADE_AT, figure, read

EXPIRY = datetime(2024, 3, 29, 8, tzinfo=UTC)


def test_what_two_answers_contradict_is_said_at_the_top(carry_facts: Facts) -> None:
    said = [notice.text for notice in notices(carry_facts)]
    rows = {name: dict(carry_facts.rows[name]) for name in ("funding-proof", "delivery-proof")}
    rows["funding-proof"]["state"] = ["the two sums differ", "a row was rejected"]
    rows["delivery-proof"]["state"] = ["a row is not fetched yet", "the two prices differ"]
    hurt = replace(carry_facts, rows={**carry_facts.rows, **rows})
    assert [notice.text for notice in notices(hurt) if notice.text not in said] == [
        "7 months of funding with another sum than the exchange's own total; see Carry.",
        "4 expired futures with another delivery price than that of the index; see Carry.",
    ]


def test_what_is_not_proved_is_counted_with_its_reason(carry_facts: Facts) -> None:
    funding = figure(carry_facts, "funding-proof").select("perpetual", "state", "months")
    assert funding.rows() == [
        (f"{coin}-PERPETUAL", "a row is not fetched yet", 7) for coin in ("BTC", "ETH")
    ]
    deliveries = figure(carry_facts, "delivery-proof").rows()
    assert deliveries == [
        (
            coin, "a row is not fetched yet", 4,
            ", ".join(f"{coin}-{day}" for day in ("28JUN24", "26APR24", "29MAR24", "29DEC23")),
        )
        for coin in ("BTC", "ETH")
    ]  # fmt: skip


# Instrument; minutes present, missing, failed, never asked; candles refused, suspect; verdict.
WEIGHED = [
    ("BTC-PERPETUAL", 9_770_000, 0, 0, 0, 192, 0, "sound"),
    ("BTC-1MAR24", 399_808, 192, 0, 0, 192, 0, "sound"),
    ("BTC-8MAR24", 9_990, 10, 0, 0, 0, 0, "sound"),
    ("BTC-15MAR24", 9_989, 11, 0, 0, 0, 0, "gaps"),
    ("BTC-22MAR24", 10_000, 0, 0, 0, 11, 0, "refused candles"),
    ("BTC-29MAR24", 10_000, 0, 0, 0, 0, 11, "suspect candles"),
    ("BTC-5APR24", 9_990, 0, 10, 0, 0, 0, "sound"),
    ("BTC-12APR24", 9_900, 89, 11, 0, 0, 0, "failed"),
    ("BTC-19APR24", 5_000, 0, 0, 5_000, 0, 0, "partly asked"),
    ("BTC-26APR24", 0, 0, 0, 10_000, 0, 0, "not asked"),
]


def test_a_verdict_weighs_by_minutes(tmp_path: Path) -> None:
    start = datetime(2001, 1, 1, tzinfo=UTC)
    tables: dict[str, list[Any]] = {
        name: [] for name in ("instruments", "coverage", "quality", "warnings", "quarantine")
    }
    tables["raw_candles"] = [{"instrument": WEIGHED[0][0], "ts": start}]
    for name, present, missing, failed, unasked, refused, suspect, _ in WEIGHED:
        tables["instruments"].append(
            instrument(name, None if name.endswith("PERPETUAL") else EXPIRY)
        )
        at = start
        for status, minutes_of in (
            ("present", present), ("missing", missing), ("failed", failed),
            ("never_asked", unasked),
        ):  # fmt: skip
            if minutes_of:
                end = at + timedelta(minutes=minutes_of)
                tables["coverage"].append(interval(name, at, end, status))
                at = end
        zeros = dict.fromkeys(
            ("expected_minutes", "missing_minutes", "gaps", "gaps_over_10m",
             "longest_gap_minutes", "duplicates", "untraded_minutes"), 0,
        )  # fmt: skip
        if present:
            tables["quality"].append(
                {"instrument": name, "rows": present, "quarantined": refused, **zeros}
            )
        if suspect:
            tables["warnings"].append({"instrument": name, "rule": "spike", "rows": suspect})
        for n in range(refused):
            ts = start + timedelta(minutes=n)
            tables["quarantine"].append(
                {"instrument": name, "ts": ts, "rules": ["nonpositive_price"]}
            )
    facts = gather(lake_of(tmp_path, **tables), MADE_AT, None, 1)
    found = figure(facts, "instruments")
    verdicts = dict(found.select("instrument", "verdict").iter_rows())
    assert verdicts == {row[0]: row[-1] for row in WEIGHED}
    sums = figure(facts, "soundness").group_by("state").agg(pl.col("minutes").sum())
    refused, suspect = sum(row[5] for row in WEIGHED), sum(row[6] for row in WEIGHED)
    assert dict(sums.iter_rows()) == {
        "sound": sum(row[1] for row in WEIGHED) - refused - suspect,
        "suspect": suspect,
        "refused": refused,
        "missing": sum(row[2] for row in WEIGHED),
        "never asked": sum(row[4] for row in WEIGHED),
        "failed": sum(row[3] for row in WEIGHED),
    }
    text = "".join(read(page(facts)).texts)
    assert "99.847 % of the 10,250,000 expected minutes are sound; 11 suspect" in text


@pytest.mark.parametrize(
    ("percent", "text"),
    [(100.0, "100"), (99.99999, "99.999"), (0.0, "0"), (1e-9, "0.001"), (99.8498, "99.850")],
)
def test_what_is_not_whole_is_never_shown_as_whole(percent: float, text: str) -> None:
    assert share(percent) == text


def test_what_ailed_is_named(facts: Facts) -> None:
    found = figure(facts, "instruments")
    verdicts = dict(found.select("instrument", "verdict").iter_rows())
    assert verdicts.pop(UNANSWERED[0]) == "failed"
    # A minute or two of weeks are counted, and are no verdict.
    assert set(verdicts.values()) == {"sound"}
    counts = {row["instrument"]: row for row in found.iter_rows(named=True)}
    for name, times in LOST.items():
        assert counts[name]["missing_minutes"] == len(times)
    assert (counts[REFUSED[0]]["refused"], counts[SPIKE[0]]["suspect"]) == (1, 1)
    counted = figure(facts, "verdicts")
    assert counted["instruments"].sum() == len(facts.rows["instruments"]["instrument"])
    rules = figure(facts, "rules").select("rule", "outcome", "candles").rows()
    assert rules == [("nonpositive_price", "refused", 1), ("spike", "kept", 1)]
    gaps = figure(facts, "gaps").select("instrument", "minutes", "cause").rows()
    cause = "the exchange lacks it, others have candles"
    assert gaps == [(SPIKE[0], 2, cause), ("ETH-PERPETUAL", 1, cause)]
    (failed,) = figure(facts, "unanswered").rows(named=True)
    assert (failed["instrument"], failed["state"]) == (UNANSWERED[0], "failed")
    assert "HTTP 5" in failed["reason"]
    (run,) = figure(facts, "runs").rows(named=True)
    assert (run["state"], run["failed"], run["planned_calls"] > 0) == ("failed", 1, True)
