"""Connections of a load to a real PostgreSQL, and their sessions on the server."""

import re
import signal
import socket
import subprocess
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lake.errors import LoadError
from lake.tables import CANDLES
from load.embedded.data_folder import version_of
from load.embedded.programs import Programs, environment, user_of
from load.loader import load
from load.lock import lock
from load.postgres import Database
from load.preview import parity
from tests.loading import (
    FUTURE,
    Target,
    candles,
    put,
)
from tests.processes import wait_until
from tests.servers import Data


def test_a_second_load_at_the_same_time_is_turned_away_and_told_who_is_in_the_way(
    target: Target,
) -> None:
    with Database(target.uri) as other:
        lock(other, target.schema)
        ((pid,),) = other.query("SELECT pg_backend_pid()")
        with pytest.raises(LoadError, match="Another load is writing") as caught:
            target.load()
    assert re.search(
        rf": process {pid} of the server \(basislake of postgres, idle in transaction since "
        rf"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC\)\. .*SELECT pg_terminate_backend\({pid}\)",
        str(caught.value),
    )
    assert target.load().partitions_loaded == 5


@pytest.fixture
def over_tcp(server_data: Data, tmp_path: Path) -> Iterator[str]:
    """The URI of a server that listens at an address of this machine."""
    data = tmp_path / "pg"
    server_data(data)
    programs = Programs.of(version_of(data))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = ("--listen_addresses=127.0.0.1", f"--port={port}", "--unix_socket_directories=")
    line = [programs / "postgres", "-D", str(data), *settings]
    with subprocess.Popen(
        line, env=environment(), stderr=subprocess.DEVNULL, text=True, **user_of(data, programs)
    ) as process:
        uri = f"postgresql://postgres@127.0.0.1:{port}/postgres"

        def answers() -> bool:
            with suppress(LoadError), Database(uri):
                return True
            return False

        try:
            wait_until(process, answers)
            yield uri
        finally:
            process.send_signal(signal.SIGINT)


def test_a_server_notices_within_a_minute_that_the_machine_of_a_load_is_gone(over_tcp: str) -> None:
    names = ("idle", "interval", "count")
    sql = ", ".join(f"current_setting('tcp_keepalives_{name}')" for name in names)
    with Database(over_tcp) as database:
        assert database.query(f"SELECT {sql}, current_setting('tcp_user_timeout')") == [
            ("30", "10", "3", "60000")
        ]


@pytest.mark.parametrize(("connections", "is_enough"), [(1, False), (2, True)])
def test_a_load_needs_two_connections_and_changes_nothing_with_fewer(
    target: Target, connections: int, *, is_enough: bool
) -> None:
    role = f"r{target.schema}"
    target.execute(
        f"CREATE ROLE {role} LOGIN CONNECTION LIMIT {connections}",
        f"CREATE SCHEMA {target.schema} AUTHORIZATION {role}",
    )
    few = Target(target.uri.replace("postgres@", f"{role}@"), target.schema, target.lake)
    try:
        if is_enough:
            assert few.load().partitions_loaded == 5
            assert few.compare().equal
        else:
            with pytest.raises(LoadError, match="too many connections for role") as caught:
                few.load()
            assert "Nothing was changed" in str(caught.value)
            assert target.tables() == set()
    finally:
        target.execute(f"DROP OWNED BY {role} CASCADE", f"DROP ROLE {role}")


@pytest.mark.parametrize(
    "setting", ["quote_all_identifiers=on", "DateStyle=German", "TimeZone=Asia/Kolkata"]
)
def test_a_setting_of_a_role_does_not_change_what_is_loaded_or_seen(
    target: Target, setting: str
) -> None:
    odd = Target(f"{target.uri}%20-c{setting.replace('=', '%3D')}", target.schema, target.lake)
    odd.load()
    put(odd.lake, CANDLES, FUTURE, candles(12, shift=1.0))
    assert odd.load().partitions_loaded == 1
    assert odd.compare().equal
    assert all(row.is_equal for row in parity(odd.lake, odd.uri, odd.schema))
    assert target.compare().equal


def test_an_unreachable_server_is_told_without_the_password(target: Target) -> None:
    uri = "postgresql://bob:s3cret@127.0.0.1:1/market"
    with pytest.raises(LoadError) as caught:
        load(target.lake, uri)
    message = "".join(traceback.format_exception(caught.value))
    assert "127.0.0.1:1/market cannot be reached" in message
    assert "s3cret" not in message


def test_a_wrong_password_is_told_without_the_password(postgres: str) -> None:
    with Database(postgres) as database:
        hba = Path(database.query("SELECT current_setting('hba_file')")[0][0])
        if not hba.exists() or "host=/" not in postgres:
            pytest.skip("the server's pg_hba.conf is not ours to change")
        rules = hba.read_text()
        hba.write_text(f"local all locked scram-sha-256\n{rules}")
        database.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
        database.query("SELECT pg_reload_conf()")
        database.commit()
    try:
        uri = postgres.replace("postgres@", "locked:s3cret@")
        with pytest.raises(LoadError) as caught:
            Database(uri)
        message = "".join(traceback.format_exception(caught.value))
        assert "password authentication failed" in message
        assert "s3cret" not in message
    finally:
        hba.write_text(rules)


def test_the_repr_of_a_connection_shows_neither_user_nor_password(postgres: str) -> None:
    with Database(postgres.replace("postgres@", "postgres:s3cret@")) as database:
        assert "s3cret" not in repr(database)
        assert "s3cret" not in repr(vars(database))
