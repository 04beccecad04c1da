"""Messages of a command, and their stream, when something is missing or wrong."""

import json
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from basislake.simulator.server import SimulatedExchange
from lake import Lake
from load.postgres import Database
from tests.market import basislake, command
from tests.processes import ended, running, wait_until

AWAY = "postgresql://me:geheim@127.0.0.1:1/db"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("sql", "SELECT nonsense", "--json"), 2, "nonsense"),
        (("build", "--threads", "many", "--json"), 2, "many"),
        (("load", "--json", "--postgres", AWAY), 1, "cannot be reached"),
        (("explain", "BTC-28JUN19", "2019-06-01T00:00Z", "--json"), 2, "BTC-28JUN19"),
    ],
)
def test_what_ends_a_command_is_an_object_on_stdout_too_where_json_is_asked_for(
    known: Lake, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = basislake(None, *arguments, "--lake", known.uri)
    assert (done.code, done.json["exit_code"]) == (code, code)
    assert message in done.json["error"]
    assert message in done.err
    assert "geheim" not in done.out + done.err


def test_status_shows_the_lake_where_the_database_is_away(known: Lake) -> None:
    asked = ("status", "--lake", known.uri, "--postgres", AWAY, "--schema", "mine")
    done = basislake(None, *asked)
    assert done.code == 1
    assert "instruments" in done.out
    assert "PostgreSQL: cannot be queried." in done.out
    assert " ERROR PostgreSQL at 127.0.0.1:1/db cannot be reached" in done.err
    found: dict[str, Any] = basislake(None, *asked, "--json").json
    assert found["database"] is None
    assert "cannot be reached" in found["database_error"]
    assert [step["verb"] for step in found["next"]] == ["backfill"]
    # Pasted as it is, it works: that verb knows no database.
    (line,) = [line for line in done.out.splitlines() if "backfill" in line]
    assert "--postgres" not in line
    assert "--schema" not in line
    assert "geheim" not in done.out + done.err + json.dumps(found)


@pytest.mark.slow
def test_nobody_says_that_nothing_is_left_to_do_where_the_database_is_away(
    loaded: tuple[Lake, dict[str, Any]],
) -> None:
    lake, _ = loaded
    assert "Nothing is left to do." in basislake(None, "status", "--lake", lake.uri).out
    done = basislake(None, "status", "--lake", lake.uri, "--postgres", AWAY)
    assert done.code == 1
    assert "Nothing is left to do." not in done.out


@pytest.mark.slow
def test_a_run_whose_database_is_away_builds_and_reports_all_the_same(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    done = basislake(server, "run", "--lake", tmp_path / "lake", "--postgres", AWAY, "--json")
    assert done.code == 1
    assert done.json["build"]["basis_rows"] > 0
    assert "cannot be reached" in done.json["load"]["error"]
    # It is known from the beginning.
    assert " WARNING PostgreSQL at 127.0.0.1:1/db cannot be reached" in done.err.splitlines()[1]
    assert Path(done.json["report"]["path"]).exists()
    assert "geheim" not in done.out + done.err


@pytest.mark.parametrize("verb", ["run", "follow"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--postgres", "db.example/market"), "is not a URI like"),
        (("--postgres", "{}&dbname=nowhere"), 'database "nowhere" does not exist'),
        (("--postgres", "{}&sslmode=always"), 'invalid sslmode value: "always"'),
        (("--postgres", "postgresql:///x?service=nosuch"), 'service "nosuch" not found'),
        (("--postgres", "{}", "--schema", "s" * 64), "No schema can be called"),
        (("--postgres", "{}", "--schema", "others"), "tables with other columns or keys"),
    ],
)
def test_a_database_that_cannot_be_loaded_into_is_refused_before_anything_is_asked(
    server: SimulatedExchange,
    postgres: str,
    tmp_path: Path,
    verb: str,
    options: tuple[str, ...],
    message: str,
) -> None:
    with Database(postgres) as database:
        database.execute("CREATE SCHEMA IF NOT EXISTS others")
        database.execute("CREATE TABLE IF NOT EXISTS others.instruments (name text)")
        database.commit()
    done = basislake(
        server, verb, "--lake", tmp_path / "lake", *(text.format(postgres) for text in options)
    )
    assert done.code == 2, done.err
    assert message in done.err
    assert server.calls == []
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("format_", ["table", "csv", "json"])
def test_bytes_are_shown_as_postgresql_writes_them(known: Lake, format_: str) -> None:
    query = "SELECT 'ab'::BLOB AS b, NULL::BLOB AS none"
    done = basislake(None, "sql", query, "--format", format_, "--lake", known.uri)
    assert done.code == 0, done.err
    text = done.json[0]["b"] if format_ == "json" else done.out
    assert "\\x6162" in text


def test_intervals_are_shown_as_texts(known: Lake) -> None:
    query = """SELECT TIMESTAMP '2024-01-02 03:00' - TIMESTAMP '2024-01-01' AS "a""b", n
               FROM range(3) AS t(n) ORDER BY n DESC"""
    done = basislake(None, "sql", query, "--json", "--lake", known.uri)
    assert done.json == [{'a"b': "1 day 03:00:00", "n": n} for n in (2, 1, 0)]


ENDLESS = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range > sin(b.range)"


@pytest.mark.slow
def test_a_query_ends_also_if_another_signal_follows_at_once(known: Lake) -> None:
    with running(command(None, "sql", ENDLESS, "--lake", known.uri)) as process:
        wait_until(process, lambda: is_computing(process.pid))
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGHUP)
        assert ended(process).code != 0


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_query_ends_when_it_is_told_to(known: Lake, end: signal.Signals) -> None:
    with running(command(None, "sql", ENDLESS, "--lake", known.uri)) as process:
        wait_until(process, lambda: is_computing(process.pid))
        process.send_signal(end)
        done = ended(process)
    assert (done.code, done.out) == (128 + end, "")
    assert done.err.endswith(" INFO Interrupted.\n")


def is_computing(pid: int) -> bool:
    """Whether a thread of a process that is not its first has been busy."""
    return any(one.id != pid and one.user_time > 0.2 for one in psutil.Process(pid).threads())
