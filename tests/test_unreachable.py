"""Messages to the user when the exchange cannot be reached."""

import socket
from pathlib import Path

import pytest

from basislake.simulator.fault_forms import server_error
from basislake.simulator.server import SimulatedExchange
from ingest.deribit.client import Exchange
from ingest.deribit.replies import HttpReply
from lake import Lake
from lake import open as open_lake
from lake.errors import TransientError, UnknownHostError, UnreachableError
from lake.tables import INSTRUMENTS
from tests.hosts import SECRET, Hosts, clock_of, page
from tests.lakes import instrument, lake_of
from tests.market import Ran, basislake, small_market

ADVICE = (
    "HTTPS_PROXY",
    "BASISLAKE_EXCHANGE_URL",
    "`basislake instruments --offline`",
    "`basislake exchange`",
)


@pytest.fixture
def nowhere() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def unknown_name(*_: object, **__: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def asked(url: str, history_url: str, *arguments: object) -> Ran:
    return basislake(
        None, *arguments, "--exchange-url", url, "--history-url", history_url, "--rate", "0"
    )


@pytest.mark.parametrize("verb", ["instruments", "backfill", "run"])
def test_it_is_told_at_once_that_it_is_tried_again_and_in_the_end_what_to_do(
    nowhere: str, tmp_path: Path, verb: str
) -> None:
    url = nowhere.replace("//", f"//me:{SECRET}@")
    done = asked(url, url, verb, "--lake", tmp_path / "lake", "--retries", "1")
    assert (done.code, done.out) == (1, "")
    assert SECRET not in done.err
    message = f"{nowhere} cannot be reached: Connection refused."
    assert done.err.count(f"{message} Retrying in") == 1
    assert done.err.count(f" ERROR {message}\n") == 1
    assert all(word in done.err.partition(" ERROR ")[2] for word in ADVICE)
    assert not (tmp_path / "lake" / INSTRUMENTS.name).exists()


def test_a_plan_of_an_empty_lake_asks_nobody(nowhere: str, tmp_path: Path) -> None:
    done = asked(nowhere, nowhere, "plan", "--lake", tmp_path / "lake")
    assert (done.code, done.out) == (1, "")
    assert " INFO The lake has no list of instruments yet, so there is no plan." in done.err
    assert f"instruments --lake {tmp_path}/lake` fetches the list" in done.err
    assert "reached" not in done.err
    assert not (tmp_path / "lake").exists()
    # That is not nothing to do.
    done = asked(nowhere, nowhere, "plan", "--lake", tmp_path / "lake", "--json")
    assert (done.code, done.json["calls"]) == (1, 0)


def test_a_plan_gives_up_soon(server: SimulatedExchange, known: Lake) -> None:
    server.faults.add("get_time", None, server_error())
    done = basislake(server, "plan", "--lake", known.uri, "--retries", "6")
    assert server.calls_of("get_time") == 2
    assert (done.code, done.out) == (1, "")


def test_the_active_instruments_are_stored_where_only_history_is_away_or_refuses(
    nowhere: str, host: Hosts, server: SimulatedExchange, tmp_path: Path
) -> None:
    refusing = host(page(403))
    for url, why in ((nowhere, "cannot be reached"), (refusing.url, "refuses the call")):
        at = tmp_path / url[-5:]
        done = asked(server.www_url, url, "instruments", "--lake", at, "--retries", "0", "--json")
        assert (done.code, len(done.json["failed"]), done.err.count(why)) == (1, 1, 1)
        assert done.json["failed"][0].startswith(f"the lists of expired futures: {url} {why}")
        assert open_lake(str(at)).read(INSTRUMENTS).height > 0
    assert len(refusing.requests) == 1


def test_a_connection_that_breaks_is_another_matter(host: Hosts) -> None:
    with pytest.raises(TransientError, match="broke off") as caught:
        clock_of(host(b"").url, retries=0)
    assert not isinstance(caught.value, UnreachableError)


@pytest.mark.parametrize(("has_answered", "tries"), [(False, 3), (True, 7)])
def test_a_mistyped_host_is_reported_within_seconds(
    monkeypatch: pytest.MonkeyPatch, *, has_answered: bool, tries: int
) -> None:
    waits: list[float] = []
    said: list[str] = []
    with SimulatedExchange(small_market(weeks=1)) as server:
        url = server.www_url.replace("127.0.0.1", "localhost")
        exchange = Exchange(url, url, sleep=waits.append, tell=said.append)
        if has_answered:
            exchange.server_time()
    monkeypatch.setattr(socket, "getaddrinfo", unknown_name)
    with pytest.raises(UnknownHostError, match=f"^{url} cannot be reached: Name or service not"):
        exchange.server_time()
    exchange.close()
    assert [line.partition(":")[0] for line in said] == ["Warning"] * (tries - 1)
    assert all(f"get_time, try {n} of {tries}: " in line for n, line in enumerate(said, 1))
    doubled_s = sum(0.5 * 2**n for n in range(tries - 1))
    assert doubled_s <= sum(waits) <= doubled_s * 1.5


@pytest.mark.parametrize("asked_s", [0.0, 7.0, 1e9])
def test_a_wait_that_the_exchange_asks_for_is_kept_up_to_a_minute(asked_s: float) -> None:
    waits: list[float] = []

    def busy(_: HttpReply) -> None:
        raise TransientError("busy", asked_s)

    with SimulatedExchange(small_market(weeks=1)) as server:
        exchange = Exchange(server.www_url, retries=1, sleep=waits.append)
        with pytest.raises(TransientError, match="busy"):
            exchange.call("get_time", {}, busy)
        exchange.close()
    assert sum(waits) == min(asked_s, 60)


def test_what_is_stored_is_listed_without_asking_anybody(nowhere: str, tmp_path: Path) -> None:
    names = ["BTC-PERPETUAL", "ETH-PERPETUAL"]
    at = lake_of(tmp_path / "lake", instruments=[instrument(name) for name in names])
    flags = ("instruments", "--offline", "--lake", at.uri)
    done = asked(nowhere, nowhere, *flags, "--json")
    assert (done.code, done.err) == (0, "")
    assert (done.json["known"], done.json["perpetuals"], done.json["new"]) == (2, 2, [])
    assert [row["instrument"] for row in done.json["instruments"]] == names
    one = asked(nowhere, nowhere, *flags, "--currency", "ETH")
    assert (one.code, "ETH-PERPETUAL" in one.out, "BTC" in one.out) == (0, True, False)
    assert asked(nowhere, nowhere, "instruments", "--offline", "--lake", tmp_path).code == 1
