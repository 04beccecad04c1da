"""`doctor`, and the checks before the first window of an empty lake."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from basislake.doctor import machine, places
from basislake.doctor.machine_input import MachineInput
from basislake.settings.database_target import Target
from basislake.settings.exchange import ExchangeSettings
from basislake.simulator.calls import CHART_METHOD
from basislake.simulator.changes import keep_newest
from basislake.simulator.departures import depart
from basislake.simulator.fault_forms import Changed
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import recent_universe
from ingest.assumptions.check import Judgement
from ingest.assumptions.evidence import Evidence
from ingest.backfill.run_records import runs
from lake import open as open_lake
from lake.tables import RAW_CANDLES
from tests.market import NOW, basislake
from tests.object_store import Proxy

PASSWORD = "s3cret"  # noqa: S105  (of nothing)


@pytest.fixture(name="server", scope="module")
def fixture_server() -> Iterator[SimulatedExchange]:
    with SimulatedExchange(recent_universe(3, NOW, weeks=6)) as server:
        yield server


@pytest.fixture(autouse=True)
def _as_it_was(server: SimulatedExchange) -> Iterator[None]:
    yield
    server.faults.clear()
    server.forget_calls()


def here(lake: Path, **others: object) -> MachineInput:
    found = MachineInput(open_lake(str(lake)), ExchangeSettings(), Target(), {})
    return replace(found, **others)  # type: ignore[arg-type]


def outcome(name: str, at: MachineInput) -> Judgement:
    (check,) = [each for each in (*machine.CHECKS, *places.CHECKS) if each.name == name]
    return check.outcome(at)


@pytest.fixture(name="saved", scope="module")
def fixture_saved(
    server: SimulatedExchange, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What `doctor` prints where all is well; the replies are saved then."""
    server.forget_calls()
    done = basislake(server, "doctor", "--lake", tmp_path_factory.mktemp("doctor"), "--json")
    assert done.code == 0, done.out
    assert done.json["calls"] == server.counters.calls <= 20
    found: dict[str, Any] = done.json
    return found


def test_all_is_well_and_the_replies_are_saved_and_judged_again(
    server: SimulatedExchange, saved: dict[str, Any]
) -> None:
    assert (saved["differs"], saved["cannot_tell"], saved["data_at_risk"]) == (0, 1, [])
    assert saved["exchange"] == "localhost"
    path = Path(saved["evidence"])
    assert json.loads(path.read_text())["checks"] == saved["assumptions"]
    assert "127.0.0.1" not in path.read_text()
    # Records of runs are looked for in the same folder.
    assert runs(open_lake(str(path.parents[1])), 10) == []
    server.forget_calls()
    again = basislake(server, "doctor", "--replay", path, "--json")
    assert again.code == 0
    assert (again.json["assumptions"], again.json["machine"]) == (saved["assumptions"], [])
    assert server.counters.calls == 0


@pytest.mark.parametrize(
    ("call", "changed", "code", "verdict", "line"),
    [
        (
            "active-BTC",
            {"fields": {"colour": 4}},
            0,
            "no data at risk",
            "WARNING fields: assumed: ",
        ),
        (
            "expiry",
            {"bars": []},
            1,
            "data at risk by expired-candles",
            "ERROR Problem: expired-candles: assumed: www serves candles",
        ),
    ],
)
def test_what_differs_is_reported_and_costs_an_exit_code_where_data_are_at_risk(
    saved: dict[str, Any],
    tmp_path: Path,
    call: str,
    changed: dict[str, Any],
    code: int,
    verdict: str,
    line: str,
) -> None:
    document = json.loads(Path(saved["evidence"]).read_text())
    document["evidence_1"]["calls"][call]["result"] |= changed
    (tmp_path / "doctor.json").write_text(json.dumps(document))
    done = basislake(None, "doctor", "--replay", tmp_path / "doctor.json")
    assert done.code == code
    assert "1 differs" in done.out.splitlines()[-1]
    assert done.out.endswith(f"{verdict}.\n")
    assert line in done.err


def test_this_machine_alone_is_looked_at_without_a_call_and_nothing_is_made(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    done = basislake(server, "doctor", "--no-exchange", "--lake", tmp_path / "lake", "--json")
    assert done.code == 0, done.out
    assert server.counters.calls == 0
    assert done.json["assumptions"] == []
    names = [each["name"] for each in done.json["machine"]]
    assert names == [each.name for each in (*machine.CHECKS, *places.CHECKS)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("where", "time_ms"), [("now_ms", 10**18), ("now_ms", "x"), ("listed_ms", None)]
)
def test_replies_with_a_time_that_is_none_are_wrong_usage(
    saved: dict[str, Any], tmp_path: Path, where: str, time_ms: object
) -> None:
    document = json.loads(Path(saved["evidence"]).read_text())
    evidence = document["evidence_1"]
    (evidence if where in evidence else evidence["subjects"]["young"])[where] = time_ms
    (tmp_path / "doctor.json").write_text(json.dumps(document))
    done = basislake(None, "doctor", "--replay", tmp_path / "doctor.json")
    assert (done.code, "has no replies" in done.err) == (2, True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"evidence_1": {}}', '{"evidence_1": 3}'])
def test_a_file_that_holds_no_replies_is_wrong_usage(tmp_path: Path, text: str) -> None:
    path = tmp_path / "doctor.json"
    path.write_text(text)
    done = basislake(None, "doctor", "--replay", path)
    assert done.code == 2
    assert "has no replies" in done.err


@pytest.mark.parametrize(
    ("name", "environment", "seen"),
    [
        ("HTTPS_PROXY", f"http://me:{PASSWORD}@proxy.example:8080", "http://proxy.example:8080"),
        ("HTTPS_PROXY", f"gopher://me:{PASSWORD}@proxy.example", "not the address of a proxy"),
        ("REQUESTS_CA_BUNDLE", "/nowhere.pem", "not a file of certificates"),
    ],
)
def test_a_proxy_is_shown_without_its_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, environment: str, seen: str
) -> None:
    monkeypatch.setenv(name, environment)
    found = outcome("proxies", here(tmp_path))
    assert seen in found.seen
    assert PASSWORD not in found.seen
    assert found.is_data_at_risk == ("not " in seen)


@pytest.mark.parametrize(
    ("ahead_ms", "exchange", "verdict"),
    [(0, "deribit", "ok"), (-45_000, "deribit", "differs"), (-(10**11), "localhost", "ok")],
)
def test_the_clock_is_compared_with_the_exchange_s(
    tmp_path: Path, ahead_ms: int, exchange: str, verdict: str
) -> None:
    evidence = Evidence(exchange, 1_700_000_000_000, ahead_ms)
    found = outcome("clock", here(tmp_path, evidence=evidence))
    assert (found.verdict, found.is_data_at_risk) == (verdict, False)


def test_a_lake_below_a_file_is_at_risk(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = outcome("lake", here(tmp_path / "file" / "lake"))
    assert (found.seen, found.is_data_at_risk) == (f"{tmp_path / 'file'} is a file", True)


def test_a_database_is_described_without_its_password(postgres: str, tmp_path: Path) -> None:
    found = outcome("postgres", here(tmp_path, target=Target(postgres)))
    assert found.verdict == "ok"
    assert "time zone UTC" in found.seen
    away = f"postgresql://me:{PASSWORD}@127.0.0.1:9/market"
    found = outcome("postgres", here(tmp_path, target=Target(away)))
    assert (found.verdict, found.is_data_at_risk) == ("differs", False)
    assert PASSWORD not in found.seen


def test_a_store_that_takes_a_second_commit_is_at_risk(proxy: Proxy) -> None:
    store = open_lake(proxy.store.uri("doctor"), proxy.store.options)
    found = MachineInput(store, ExchangeSettings(), Target(), {})
    # Of commits at once, one then sees the other's only when it is refused.
    proxy.set(delay_s=0.02)
    assert outcome("lake", found).seen == "the store refuses the second of two simultaneous commits"
    proxy.set(ignores_conditions=True, delay_s=0.02)
    assert outcome("lake", found).is_data_at_risk


@pytest.mark.parametrize("verb", ["run", "backfill"])
def test_an_exchange_that_would_cost_data_is_refused_before_the_first_window(
    server: SimulatedExchange, tmp_path: Path, verb: str
) -> None:
    depart(server.faults, server.universe, "fewer-candles")
    chosen = ("--lake", tmp_path, "--instruments", "BTC-5APR24", "--since", "2024-04-05")
    refused = basislake(server, verb, *chosen)
    assert refused.code == 1
    assert "newest-candles: assumed: of more than 5,001 candles a call returns" in refused.err
    assert server.calls_of(CHART_METHOD) == 4
    lake = open_lake(str(tmp_path))
    assert lake.snapshot(RAW_CANDLES).rows == 0
    (saved,) = tmp_path.glob("runs/doctor-*.json")
    replayed = basislake(None, "doctor", "--replay", saved, "--json")
    assert (replayed.code, replayed.json["data_at_risk"]) == (1, ["newest-candles"])
    assert basislake(server, "backfill", "--no-doctor", *chosen).code == 0
    assert lake.snapshot(RAW_CANDLES).rows
    # A lake that holds something is not checked.
    server.forget_calls()
    assert basislake(server, "backfill", *chosen).code == 0
    assert server.calls_of(CHART_METHOD) == 0


def test_a_fault_that_passes_is_left_to_the_backfill(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    server.faults.add(CHART_METHOD, 1, Changed(keep_newest(1_000)))
    chosen = ("--instruments", "BTC-5APR24", "--since", "2024-04-05")
    done = basislake(server, "backfill", "--lake", tmp_path, *chosen)
    assert done.code == 0, done.err
    assert server.counters.by_fault == {"changed": 1}
