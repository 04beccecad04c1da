"""The command `basislake exchange`, as a separate process."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import requests

from basislake.simulator.departures import DEPARTURES
from basislake.simulator.named_faults import KINDS
from tests.market import basislake, command
from tests.processes import announced, ended, running


@contextmanager
def serving(*options: str) -> Iterator[dict[str, Any]]:
    """The exchange's announcement, while it serves."""
    with running(command(None, "exchange", "--json", *options)) as process:
        yield announced(process)
        process.send_signal(signal.SIGINT)
        assert ended(process).code == 0


def test_a_rehearsal_with_a_limit_faults_and_a_running_clock() -> None:
    options = ["--limit", "0.001", "--burst", "2", "--limit-status", "200", "--running"]
    options += ["--speed", "3600", "--fault", "maintenance=1"]
    with serving(*options) as text:
        url, control = text["exchange_url"], text["control_url"]
        first = requests.get(f"{control}/clock", timeout=60).json()
        answers = [requests.get(f"{url}/api/v2/public/test", timeout=60) for _ in range(3)]
        cleared = requests.post(f"{control}/faults", timeout=60).json()
        later = requests.post(f"{control}/clock?advance_s=604800", timeout=60).json()
        counters = requests.get(f"{control}/counters", timeout=60).json()

    assert [(one.status_code, one.json()["error"]["code"]) for one in answers] == [
        (400, 11051),
        (400, 11051),
        (200, 10028),
    ]
    assert (counters["limited"], counters["by_fault"]) == (1, {"maintenance": 2})
    assert first["now"].startswith("2024-04-05T")
    assert cleared == {"rates": {}, "seed": 0}
    assert later["now_ms"] - first["now_ms"] > 604_800_000
    assert text["instruments"] < 40


def test_the_full_market_is_announced_with_what_is_listed() -> None:
    with serving("--universe", "full", "--cache-mb", "0") as text:
        assert text["instruments"] == 512


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fault", "earthquake=1"], "There is no fault 'earthquake'"),
        (["--fault", "reset"], "'reset' is not of the form KIND=PROBABILITY"),
        (["--fault", "reset=2"], "not in [0, 1]"),
        (["--departure", "to-mars"], "there is no 'to-mars'; there are no-perpetuals"),
        (["--burst", "5"], "give --limit"),
        (["--limit", "nan"], "not a number"),
        (["--speed", "-1", "--running"], "not in the range"),
    ],
)
def test_what_makes_no_sense_is_refused_with_2(options: list[str], message: str) -> None:
    done = basislake(None, "exchange", *options)
    assert done.code == 2
    assert message in done.err


def test_the_help_is_in_sections_and_names_every_kind_of_fault_and_departure() -> None:
    text = basislake(None, "exchange", "--help").out
    for section in (
        "Market:",
        "Clock:",
        "Faults:",
        "Limit:",
        "Serving:",
        "Control requests, on the same",
    ):
        assert f"\n{section}" in text or f"\n  {section}" in text
    for name in (*KINDS, *DEPARTURES):
        assert f"  {name} " in text


CANDLE = {"instrument": "BTC-PERPETUAL", "ts": datetime(2024, 3, 1, tzinfo=UTC)} | dict.fromkeys(
    ("open", "high", "low", "close", "volume", "cost"), 1.0
)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (None, "File out of specification"),
        ([{"a": 1}], 'unable to find column "instrument"'),
        ([CANDLE | {"instrument": "X"}], "X is neither a perpetual nor a dated future"),
        ([CANDLE | {"ts": "now"}], "casting from string to datetime"),
        ([CANDLE, CANDLE | {"ts": None}], "holds a candle without a time"),
        ([CANDLE | {"open": "dear"}], "in column 'open'"),
    ],
)
def test_a_recording_that_is_none_is_wrong_usage(
    rows: list[dict[str, Any]] | None, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "recording.parquet"
    if rows is None:
        path.write_text("instrument,ts")
    else:
        pl.DataFrame(rows).write_parquet(path)
    done = basislake(None, "exchange", "--replay", path)
    assert done.code == 2, done.err
    assert f"--replay: {path} cannot be served: " in done.err
    assert why in done.err
    assert "with the columns instrument, ts, open, high, low, close, volume, cost." in done.err
