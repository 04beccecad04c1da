"""Loads through a pooler in transaction mode: right, exclusive, and without traces in sessions."""

import shlex
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from lake.errors import LoadError
from lake.tables import CANDLES
from load.compare_cells import compare
from load.embedded.server import psql_command
from load.loader import load
from load.results import LoadProgress
from tests.loading import FUTURE, OTHER, Target, candles, put
from tests.pooler import Pooler, pgbouncer
from tests.processes import finished
from tests.tiers import slow_but

SETTINGS = "lock_timeout", "statement_timeout", "row_security", "transaction_isolation"


@pytest.fixture(params=slow_but(["stand-in"], ["PgBouncer", "stand-in"]))
def pooled(request: pytest.FixtureRequest, postgres: str) -> Iterator[str]:
    """The URI of a pooler in front of the server."""
    directory = parse_qs(urlsplit(postgres).query).get("host", [""])[0]
    if not directory.startswith("/"):
        pytest.skip("the server is not one that listens at a socket of this machine")
    if request.param == "stand-in":
        pooler = Pooler(directory)
        yield pooler.uri
        pooler.close()
        return
    try:
        with pgbouncer(directory) as uri:
            yield uri
    except FileNotFoundError:
        pytest.skip("pgbouncer is not installed")


def settings(uri: str) -> list[str]:
    """What a client finds in the session that it is given."""
    sql = ", ".join(f"current_setting('{name}')" for name in SETTINGS)
    done = finished(*shlex.split(psql_command(uri)), "-Atc", f"SELECT {sql}")
    return done.out.strip().split("|")


def test_loads_through_a_pooler_are_right_and_leave_nothing_in_its_sessions(
    target: Target, pooled: str
) -> None:
    load(target.lake, pooled, schema=target.schema)
    put(target.lake, CANDLES, FUTURE, candles(12))
    put(target.lake, CANDLES, OTHER, candles(5, shift=1.0))
    result = load(target.lake, pooled, schema=target.schema)
    assert (result.partitions_loaded, result.partitions_appended) == (2, 1)
    assert compare(target.lake, pooled, schema=target.schema).equal
    assert target.compare().equal
    assert target.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
    assert settings(pooled) == ["0", "0", "on", "read committed"]


def test_two_loads_at_once_through_a_pooler_keep_out_of_each_others_way(
    target: Target, pooled: str
) -> None:
    refused = []

    def again(_: LoadProgress) -> None:
        with pytest.raises(LoadError, match="Another load is writing") as caught:
            load(target.lake, pooled, schema=target.schema)
        refused.append(caught)

    load(target.lake, pooled, schema=target.schema, report=again)
    assert len(refused) == 5
    assert target.compare().equal
