"""The report: its figures compared with the tables, its page, and the report after a run."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from basislake.report.basis import STEPS_A_LIFE
from basislake.report.carry import MOST_ENTRIES, REALISED
from basislake.report.facts import FIGURES, Facts, from_json, gather, to_json
from basislake.report.files import place
from basislake.report.lake_facts import Loaded, lake_frames
from basislake.report.listing import prose, share
from basislake.report.notices import notices
from basislake.report.page import SECTIONS, facts_in, page
from basislake.simulator.server import SimulatedExchange
from ingest.backfill.run_records import FOLDER
from lake import Lake
from lake import open as open_lake
from lake.batches import newest_batch
from lake.errors import UsageError
from lake.query import duck
from lake.tables import BASIS, CANDLES, COVERAGE, INSTRUMENTS
from tests.ailing import LOST, REFUSED, SPIKE, UNANSWERED
from tests.lakes import append, ask, copied, instrument, interval, lake_of, record
from tests.loading import FUTURE, Target, candles, put
from tests.market import basislake, small_market
from tests.reporting import HOSTILE, MADE_AT, figure, read, text_of
from tests.staged import Staged

EXPIRY = datetime(2024, 3, 29, 8, tzinfo=UTC)
STATUSES = ["failed", "missing", "never_asked", "present", "no_data"]


@pytest.fixture(scope="module")
def lake(ailing: Lake) -> Lake:
    return ailing


def minutes(lake: Lake) -> pl.DataFrame:
    """Every minute of every life, with its status."""
    last = pl.col("end") - pl.duration(minutes=1)
    every = pl.datetime_ranges("start", last, "1m").alias("ts")
    return lake.read(COVERAGE).select("instrument", "status", every).explode("ts")


# Figures


def test_a_cell_of_the_heat_map_is_the_worst_of_its_minutes(lake: Lake, facts: Facts) -> None:
    month = pl.col("ts").dt.strftime("%Y-%m").alias("month")
    counted = minutes(lake).group_by("instrument", month, "status").len()
    expected = counted.pivot("status", index=["instrument", "month"], values="len").fill_null(0)
    found = figure(facts, "coverage")
    assert found.height == expected.height
    for row in found.iter_rows(named=True):
        own = expected.row(
            by_predicate=(pl.col("instrument") == row["instrument"])
            & (pl.col("month") == row["month"]),
            named=True,
        )
        counts = {status: own.get(status, 0) for status in STATUSES}
        assert {status: row[status] for status in STATUSES} == counts
        assert row["worst"] == next(status for status in STATUSES if counts[status])
        assert row["is_slight"] == (counts[row["worst"]] < sum(counts.values()) / 100)
    assert set(found["worst"]) == {"failed", "missing", "present"}


def test_the_headline_counts_what_the_tables_hold(lake: Lake, facts: Facts) -> None:
    of = facts.first("summary")
    for name in ("instruments", "raw_candles", "candles"):
        assert of[name] == lake.scan(name).collect().height
    assert of["basis_rows"] == lake.scan("basis").collect().height
    unmatched = lake.sql("FROM unmatched").height
    assert (of["unmatched"], unmatched > 0) == (unmatched, True)
    by_status = dict(minutes(lake).group_by("status").len().iter_rows())
    due = sum(by_status.values()) - by_status["no_data"]
    assert (of["present_minutes"], of["due_minutes"]) == (by_status["present"], due)
    assert of["covered_pct"] == pytest.approx(100 * by_status["present"] / due)


def test_the_curve_on_any_day_holds_every_days_last_minute(lake: Lake, facts: Facts) -> None:
    basis = lake.scan("basis").filter(~pl.col("suspect"), pl.col("annualised_pct").is_not_null())
    last = (pl.col("ts").dt.hour() == 23) & (pl.col("ts").dt.minute() == 59)
    expected = basis.filter(last).collect()
    found = figure(facts, "term-structure").explode("instruments", "days", "annualised_pct")
    assert found.height == expected.height
    key = pl.col("ts").dt.strftime("%Y-%m-%d %H:%M").alias("minute")
    both = expected.select(key, "instrument", "days_to_expiry", "annualised_pct").join(
        found, left_on=["minute", "instrument"], right_on=["minute", "instruments"]
    )
    assert both.height == expected.height
    assert (both["annualised_pct"] - both["annualised_pct_right"]).abs().max() <= 0.00501  # type: ignore[operator]
    assert (both["days_to_expiry"] - both["days"]).abs().max() <= 0.00501  # type: ignore[operator]


def test_the_quotes_are_those_of_the_newest_minute(lake: Lake, facts: Facts) -> None:
    candles = lake.scan("candles").join(lake.scan("instruments"), on="instrument")
    for row in figure(facts, "quotes").iter_rows(named=True):
        own = candles.filter(base=row["coin"]).collect()
        perpetual = own.filter(kind="perpetual").sort("ts")
        newest = perpetual["ts"][-1]
        assert (row["minute"], row["price"]) == (f"{newest:%Y-%m-%d %H:%M}", perpetual["close"][-1])
        for name, days in (("1d", 1), ("7d", 7), ("30d", 30)):
            before = perpetual.filter(ts=newest - timedelta(days=days))["close"].to_list()
            changes = [pytest.approx(100 * (row["price"] / p - 1), abs=0.00501) for p in before]
            assert row[f"change_{name}_pct"] == (changes[0] if changes else None)
        day = own.filter(pl.col("ts") > newest - timedelta(days=1), pl.col("ts") <= newest)
        of_day = day.filter(~pl.col("suspect"), kind="perpetual")
        assert (row["low_1d"], row["high_1d"]) == (of_day["low"].min(), of_day["high"].max())
        for kind in ("perpetual", "future"):
            cost = day.filter(kind=kind)["cost"].sum()
            assert row[f"{kind.replace('re', 'res')}_cost_1d"] == pytest.approx(cost, abs=0.501)
        quarterly = lake.sql(
            "SELECT arg_max(instrument, ts) AS front FROM front_quarterly WHERE coin = "
            f"'{row['coin']}'"
        )
        assert row["front_quarterly"] == quarterly["front"][0]


def test_the_spreads_are_those_of_neighbours_on_the_curve(lake: Lake, facts: Facts) -> None:
    basis = lake.scan("basis").join(lake.scan("instruments"), on="instrument").collect()
    curve, spreads = figure(facts, "curve"), figure(facts, "spreads")
    for coin in ("BTC", "ETH"):
        own = basis.filter(base=coin).filter(pl.col("ts") == pl.col("ts").max())
        own = own.sort("days_to_expiry")
        shown = curve.filter(coin=coin)
        assert shown["instrument"].to_list() == own["instrument"].to_list()
        assert shown["annualised_pct"].to_list() == pytest.approx(
            own["annualised_pct"].to_list(), abs=0.00501
        )
        rows = own.filter(~pl.col("suspect")).rows(named=True)
        found = spreads.filter(coin=coin).rows(named=True)
        assert len(found) == len(rows) - 1 > 0
        for row, (near, far) in zip(found, pairwise(rows), strict=True):
            years = (far["days_to_expiry"] - near["days_to_expiry"]) / 365
            rate = 100 * (far["future_close"] / near["future_close"] - 1) / years
            assert (row["nearer"], row["farther"]) == (near["instrument"], far["instrument"])
            assert row["spread"] == pytest.approx(far["future_close"] - near["future_close"])
            assert row["forward_pct"] == pytest.approx(rate, abs=0.00501)


def test_no_price_and_no_volume_is_lost_in_steps(lake: Lake, facts: Facts) -> None:
    candles = lake.scan("candles").join(lake.scan("instruments"), on="instrument").collect()
    price, volume = figure(facts, "price"), figure(facts, "volume")
    for coin in ("BTC", "ETH"):
        own = candles.filter(~pl.col("suspect"), base=coin, kind="perpetual").sort("ts")
        steps = price.filter(coin=coin)
        assert steps["close"][-1] == own["close"][-1]
        assert (steps["low"].min(), steps["high"].max()) == (own["low"].min(), own["high"].max())
        hours = own.select(pl.col("ts").dt.strftime("%Y-%m-%d %H:00").unique(maintain_order=True))
        assert steps["start"].to_list() == hours["ts"].to_list()
        for kind, shown in (("perpetual", "perpetuals"), ("future", "futures")):
            cost = candles.filter(base=coin, kind=kind)["cost"].sum()
            found = volume.filter(coin=coin, kind=shown)["cost"]
            assert found.sum() == pytest.approx(cost, abs=found.len())


def test_the_surface_and_the_front_are_medians_and_last_values(lake: Lake, facts: Facts) -> None:
    basis = lake.scan("basis").join(lake.scan("instruments"), on="instrument").collect()
    surface = figure(facts, "surface")
    hourly = basis.filter(
        pl.col("ts").dt.minute() == 59, pl.col("days_to_expiry") >= 1, ~pl.col("suspect")
    )
    assert surface["instruments"].explode().n_unique() == hourly["instrument"].n_unique()
    cell = surface.row(by_predicate=pl.int_range(pl.len()) == surface.height // 2, named=True)
    level, start = cell["level"], datetime.strptime(cell["start"] + "Z", "%Y-%m-%d %H:%M%z")
    days = pl.col("days_to_expiry")
    steps = surface["start"].unique().sort().str.to_datetime("%Y-%m-%d %H:%M")
    length = steps.diff().min()
    assert isinstance(length, timedelta)
    own = hourly.filter(
        days >= level**2 / 4, days < (level + 1) ** 2 / 4, pl.col("ts") >= start,
        pl.col("ts") < start + length, base=cell["coin"],
    )  # fmt: skip
    assert cell["annualised_pct"] == pytest.approx(own["annualised_pct"].median(), abs=0.00501)
    front = figure(facts, "front-quarterly")
    for coin in ("BTC", "ETH"):
        last = lake.sql(
            f"FROM front_quarterly WHERE coin = '{coin}' AND NOT suspect ORDER BY ts DESC LIMIT 1"
        )
        found = front.filter(coin=coin)
        assert found["annualised_pct"][-1] == pytest.approx(last["annualised_pct"][0], abs=0.00051)
        assert found["instrument"][-1] == last["instrument"][0]


@pytest.mark.parametrize(
    ("lake_name", "facts_name"), [("ailing", "facts"), ("carry_lake", "carry_facts")]
)
def test_figures_of_hours_show_what_their_queries_find_in_the_whole_lake(
    lake_name: str, facts_name: str, request: pytest.FixtureRequest
) -> None:
    still = request.getfixturevalue(lake_name).state()
    shown = request.getfixturevalue(facts_name).rows
    hourly = [each for each in FIGURES if each.is_hourly]
    assert len(hourly) == 7
    with duck.connect(still.snapshots, extra=lake_frames(still, 1)) as connection:
        found = {each.name: duck.rows(connection, each.sql) for each in hourly}
    for name, rows in found.items():
        assert shown[name] == json.loads(json.dumps(rows.to_dict(as_series=False)))
    of_carry = {figure.name for figure in hourly} & set(dict(SECTIONS)["Carry"])
    assert {name for name, rows in found.items() if not rows.height} == (
        of_carry - {"methods"} if lake_name == "ailing" else set()
    )


def test_the_figures_of_carry_hold_what_its_views_do(carry_lake: Lake, carry_facts: Facts) -> None:
    lake, close = carry_lake, partial(pytest.approx, abs=0.00501)
    coin = pl.col("instrument").str.head(3).alias("coin")
    entries = lake.sql("FROM realised_carry ORDER BY ALL").filter(pl.col("days") >= 7)
    assert entries["net_apr_pct"].null_count() == 0
    ends = lake.read(INSTRUMENTS).select("instrument", "expires_at")
    entries = entries.join(ends, on="instrument").sort(coin, "expires_at", "instrument", "entry")
    shown = figure(carry_facts, "realised-carry")
    assert shown["instrument"].to_list() == entries["instrument"].to_list()
    assert shown["net_apr_pct"].to_list() == close(entries["net_apr_pct"].to_list())
    assert (shown["locked_apr_pct"] - shown["funding_apr_pct"]).to_list() == close(
        ((entries["locked_pct"] - entries["funding_pct"]) * 365 / entries["days"]).to_list(),
        abs=0.0101,
    )
    fewer = lake.sql(REALISED.sql.replace(str(MOST_ENTRIES), "100"))
    assert fewer["instrument"].n_unique() == shown["instrument"].n_unique()
    assert shown.height > 4 * fewer.height > 320

    premium = lake.sql("FROM perpetual_premium").with_columns(
        coin, start=pl.col("hour_end").dt.offset_by("-1m").dt.strftime("%Y-%m-%d 00:00")
    )
    days = premium.group_by("coin", "start").agg(
        mean_bp=100 * pl.col("premium_pct").mean(),
        low_bp=100 * pl.col("premium_pct").min(),
        high_bp=100 * pl.col("premium_pct").max(),
    )
    for name in ("mean_bp", "low_bp", "high_bp"):
        found = figure(carry_facts, "premium")[name].to_list()
        assert found == close(days.sort("coin", "start")[name].to_list())

    futures = lake.sql("FROM open_interest_daily").filter(
        ~pl.col("instrument").str.ends_with("PERPETUAL")
    )
    sums = futures.group_by(coin, pl.col("ts").dt.strftime("%Y-%m-%d").alias("day")).agg(
        pl.col("open_interest").sum()
    )
    layers = figure(carry_facts, "open-interest")
    stacked = layers.group_by("coin", "day").agg(pl.col("open_interest").sum())
    assert stacked.sort("coin", "day")["open_interest"].to_list() == pytest.approx(
        sums.sort("coin", "day")["open_interest"].to_list(), abs=3
    )
    assert set(layers["layer"]) == {
        "monthly", "2024-03-29", "2024-06-28", "2024-09-27", "2024-12-27",
    }  # fmt: skip

    months = figure(carry_facts, "funding-basis")
    paid = lake.sql("FROM funding_monthly ORDER BY instrument, month")
    assert months["funding_pct"].to_list() == close(paid["annualised_pct"].to_list())
    assert months.filter(pl.col("hours") < pl.col("month_hours"))[
        "month"
    ].unique().sort().to_list() == ["2023-12", "2024-07"]
    for method in ("forward", "linear", "nearest"):
        view = f"constant_maturity_by(1440, '{method}', 'perpetual')"
        at = lake.sql(f"FROM {view} WHERE days = 90 ORDER BY coin, ts")
        of_method = figure(carry_facts, "methods")[f"{method}_pct"]
        assert of_method.to_list() == close(at["annualised_pct"].to_list())
    basis_pct = pl.col("annualised_pct").mean()
    by_month = pl.col("ts").dt.strftime("%Y-%m").alias("month")
    forward = lake.sql("FROM constant_maturity_by(1440, 'forward', 'perpetual') WHERE days = 90")
    means = forward.group_by("coin", by_month).agg(basis_pct)
    both = months.join(means, on=["coin", "month"], how="left")
    assert both["basis_pct"].to_list() == close(both["annualised_pct"].to_list())


def test_what_two_answers_contradict_is_said_at_the_top(carry_facts: Facts) -> None:
    said = [notice.text for notice in notices(carry_facts)]
    rows = {name: dict(carry_facts.rows[name]) for name in ("funding-proof", "delivery-proof")}
    rows["funding-proof"]["state"] = ["the two sums differ", "a row was rejected"]
    rows["delivery-proof"]["state"] = ["a row is not fetched yet", "the two prices differ"]
    hurt = replace(carry_facts, rows={**carry_facts.rows, **rows})
    assert [notice.text for notice in notices(hurt) if notice.text not in said] == [
        "7 months of funding and the exchange's own total differ; see Carry.",
        "4 expired futures and the delivery price of the index differ; see Carry.",
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


def test_a_contracts_steps_keep_every_extreme(lake: Lake, facts: Facts) -> None:
    known = lake.read(INSTRUMENTS)
    found = figure(facts, "contracts")
    for row in found.iter_rows(named=True):
        own = known.row(by_predicate=pl.col("instrument") == row["instrument"], named=True)
        step, left = timedelta(minutes=row["step_minutes"]), own["expires_at"] - pl.col("ts")
        assert (own["expires_at"] - own["listed_at"]) / step <= STEPS_A_LIFE
        rows = (
            lake.scan("basis")
            .filter(pl.col("instrument") == row["instrument"], ~pl.col("suspect"))
            .with_columns(step=left.dt.total_minutes() // row["step_minutes"])
            .group_by("step")
            .agg(
                pl.col("basis_pct").sort_by("ts").last().alias("last"),
                pl.col("basis_pct").min().alias("low"),
                pl.col("basis_pct").max().alias("high"),
            )
            .sort("step", descending=True)
            .collect()
        )
        assert row["step"] == rows["step"].to_list()
        for name in ("last", "low", "high"):
            assert row[f"{name}_basis_pct"] == pytest.approx(rows[name].to_list(), abs=0.00005)


def test_the_untraded_share_is_that_of_the_candles(lake: Lake, facts: Facts) -> None:
    kind = pl.when(pl.col("kind") == "perpetual").then(pl.lit("perpetual"))
    series = pl.concat_str("base", pl.lit(" "), kind.otherwise(pl.lit("futures"))).alias("series")
    expected = (
        lake.scan("candles")
        .join(lake.scan("instruments"), on="instrument")
        .group_by(series, pl.col("ts").dt.strftime("%Y-%m").alias("month"))
        .agg(pl.len().alias("candles"), (~pl.col("traded")).sum().alias("untraded"))
        .sort("series", "month")
        .collect()
    )
    found = figure(facts, "untraded")
    assert found.select("series", "month", "candles", "untraded").rows() == expected.rows()
    shares = 100 * expected["untraded"] / expected["candles"]
    assert found["untraded_pct"].to_list() == pytest.approx(shares.to_list(), abs=0.0005)


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


def test_the_batch_and_the_fingerprint_are_the_lakes(lake: Lake, facts: Facts) -> None:
    done = basislake(None, "fingerprint", "--lake", lake.uri, "--json").json
    found = figure(facts, "fingerprint")
    digests = dict(found.select("table_name", "sha256").iter_rows())
    assert digests.pop("the lake") == done["lake"]
    assert digests == done["tables"]
    assert facts.as_of == facts.built == newest_batch(lake)
    sizes = dict(figure(facts, "storage").select("table_name", "bytes").iter_rows())
    files = {f.path: f.bytes for f in lake.snapshot(CANDLES).files}
    assert sizes["candles"] == sum(files.values())


def test_no_progress_of_duckdb_gets_among_the_results(lake: Lake) -> None:
    (setting,) = lake.sql("SELECT current_setting('enable_progress_bar') AS is_on")["is_on"]
    assert setting is False


def test_the_same_lake_says_the_same_again(lake: Lake, facts: Facts) -> None:
    again = gather(lake, MADE_AT, None, 1)
    assert again == facts
    assert page(again) == page(facts)
    assert from_json(to_json(facts), "here") == facts


# The page


def test_every_figure_is_on_the_page_with_its_query(facts: Facts) -> None:
    shown = page(facts)
    reader = read(shown)
    ids = [a["id"] for tag, a in reader.tags if tag == "figure"]
    assert sorted(str(name) for name in ids) == sorted(f.name for f in FIGURES)
    assert [f.name for f in FIGURES] == [name for _, names in SECTIONS for name in names]
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


def test_a_hostile_text_stays_a_text(lake: Lake, tmp_path: Path) -> None:
    copy = copied(lake, tmp_path)
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


def test_no_path_and_no_host_gets_into_a_report(lake: Lake, facts: Facts) -> None:
    record = json.loads(next(Path(lake.uri, FOLDER).glob("*.json")).read_text())
    text = to_json(facts).decode()
    assert lake.uri not in text
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


def test_raw_candles_without_a_build_are_told_as_such(lake: Lake, tmp_path: Path) -> None:
    bare = open_lake(str(tmp_path / "bare"))
    record(bare, lake.read(INSTRUMENTS).to_dicts())
    rows = lake.scan("raw_candles").filter(instrument="BTC-29MAR24").collect()
    number = append(bare, {"BTC-29MAR24": [rows.drop("instrument", "batch")]})
    asks = lake.scan("asks").filter(status="present").collect()
    ask(bare, number, *asks.select("instrument", "start", "end", "status").iter_rows())
    done = basislake(None, "report", "--lake", bare.uri, "--json")
    assert done.code == 0, done.err
    text = text_of(done.json["path"])
    assert "The curated tables are not built from the newest raw candles." in text
    assert "not built" in text


@pytest.mark.slow
def test_maintenance_puts_no_table_behind_and_a_new_candle_does(
    staged: Staged, tmp_path: Path
) -> None:
    lake = staged.copy(tmp_path)
    assert basislake(None, "maintain", "--lake", lake.uri).code == 0
    message = "not built from the newest raw candles"
    assert message not in page(gather(lake, MADE_AT, None, 1))
    rows = lake.scan("raw_candles").filter(instrument="BTC-PERPETUAL").sort("ts").tail(1)
    later = rows.with_columns(pl.col("ts") + pl.duration(minutes=1)).drop("instrument", "batch")
    append(lake, {"BTC-PERPETUAL": [later.collect()]})
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
        place(far, None)
    assert place(far, tmp_path).page == tmp_path / "index.html"


# The database


@pytest.mark.slow
def test_a_run_ends_with_a_report_of_lake_and_database(loaded: tuple[Lake, Any]) -> None:
    lake, message = loaded
    assert message["report"]["path"] == str(Path(lake.uri) / "report" / "index.html")
    facts = from_json(Path(message["report"]["json_path"]).read_bytes(), "here")
    parity = figure(facts, "parity")
    assert parity["is_equal"].all()
    assert set(parity["table_name"]) == {
        "instruments", "futures_ohlcv", "perpetuals_ohlcv", "futures_basis_spread",
        "funding_rates", "delivery_prices", "settlements", "carry_daily",
    }  # fmt: skip
    rows = dict(parity.select("table_name", "database_rows").iter_rows())
    assert (
        rows["futures_basis_spread"] == lake.snapshot(BASIS).rows == message["build"]["basis_rows"]
    )
    assert figure(facts, "database-storage")["bytes"].min() > 0  # type: ignore[operator]
    done = basislake(None, "report", "--lake", lake.uri, "--verify")
    assert (done.code, "all 30 figures" in done.out) == (0, True), done.out


@pytest.mark.slow
def test_as_many_rows_of_other_values_are_not_equal(target: Target) -> None:
    target.load()
    put(target.lake, CANDLES, FUTURE, candles(shift=1.0))
    facts = gather(target.lake, MADE_AT, Loaded(target.uri, target.schema), 1)
    rows = figure(facts, "parity").filter(pl.col("lake_rows") == pl.col("database_rows"))
    unequal = rows.filter(~pl.col("is_equal")).select("table_name", "behind").rows()
    assert (rows.height, unequal) == (8, [("futures_ohlcv", 1)])
    shown = "".join(read(page(facts)).texts)
    assert "PostgreSQL differs from the lake, in futures_ohlcv." in shown
    assert "PostgreSQLdiffers" in shown
    message = basislake(None, "status", *target.options, "--json").json["database"]
    assert not message["futures_ohlcv"]["equal"]


@pytest.mark.slow
def test_a_schema_of_ones_own_is_reported_like_the_usual_one(
    loaded: tuple[Lake, Any], tmp_path: Path
) -> None:
    lake, _ = loaded
    flags = ("--lake", lake.uri, "--schema", 'my "market"')
    at = (*flags, "--output", tmp_path)
    assert basislake(None, "report", *at).code == 0
    facts = from_json((tmp_path / "report.json").read_bytes(), "here")
    assert not figure(facts, "parity")["is_equal"].any()
    assert basislake(None, "load", *flags).code == 0
    assert basislake(None, "report", *at, "--evidence", tmp_path).code == 1
    facts = from_json((tmp_path / "report.json").read_bytes(), "here")
    assert figure(facts, "parity")["is_equal"].all()
    assert figure(facts, "database-storage")["bytes"].min() > 0  # type: ignore[operator]
    assert f"{lake.snapshot(BASIS).rows:,}" in (tmp_path / "row_counts.txt").read_text()
    assert basislake(None, "report", *at, "--verify").code == 0


@pytest.mark.slow
def test_a_report_that_cannot_be_written_takes_nothing_from_the_run(
    target: Target, tmp_path: Path
) -> None:
    Path(tmp_path, "report").write_text("in the way")
    at = ("--lake", tmp_path, "--postgres", target.uri, "--schema", target.schema)
    with SimulatedExchange(small_market(weeks=1)) as server:
        done = basislake(server, "run", *at, "--json")
    assert done.code == 1
    assert "Report: not written" in done.err
    assert "Traceback" not in done.err
    assert done.json["load"]["verified"]
    assert "report" not in done.json
