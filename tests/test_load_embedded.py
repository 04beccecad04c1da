import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lake.errors import LoadError
from load.embedded import embedded
from load.postgres import Database
from tests.loading import small_lake
from tests.market import basislake
from tests.processes import PATIENCE_S, wait_until
from tests.servers import Data
from tests.tiers import slow_but

HOLDING_SOURCE = """
import sys, time
from pathlib import Path
from load.embedded import embedded
with embedded(Path(sys.argv[1])) as uri:
    print(uri, flush=True)
    time.sleep(600)
"""


NAMES = ["a" * 120, "with space", "it's ü & (co), 100% #1"]


@pytest.mark.parametrize("name", slow_but(NAMES[2:], NAMES))
def test_an_embedded_server_runs_in_a_folder_with_a_long_or_odd_name(
    tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name / "lake" / "postgres"
    for _ in range(2):  # made, stopped, started again
        with embedded(folder) as uri, Database(uri) as database:
            setting = "SELECT current_setting('unix_socket_permissions')"
            assert database.query(setting) == [("0700",)]  # no other user of this machine
        with pytest.raises(LoadError, match="cannot be reached"):
            Database(uri)


def test_an_embedded_server_is_stopped_though_a_killed_program_used_it(
    server_data: Data, tmp_path: Path
) -> None:
    folder = tmp_path / "pg"
    server_data(folder)
    with embedded(folder):
        (folder / ".handle_pids.json").write_text("[999999999]")
    with embedded(folder) as uri:
        pass
    with pytest.raises(LoadError, match="cannot be reached"):
        Database(uri)


def test_a_folder_that_the_server_cannot_use_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with (
        pytest.raises(LoadError, match="set BASISLAKE_POSTGRES"),
        embedded(tmp_path / 'quo"te' / "pg"),
    ):
        pass
    assert not (tmp_path / 'quo"te').exists()


def is_running(folder: Path) -> bool:
    mark = folder / "postmaster.pid"
    return mark.exists() and psutil.pid_exists(int(mark.read_text().split()[0]))


def test_an_embedded_server_listens_on_no_network(server_data: Data, tmp_path: Path) -> None:
    server_data(tmp_path / "pg")
    with embedded(tmp_path / "pg") as uri, Database(uri) as database:
        assert database.query("SELECT current_setting('listen_addresses')") == [("",)]
        pid = int((tmp_path / "pg" / "postmaster.pid").read_text().split()[0])
        server = psutil.Process(pid)
        for process in (server, *server.children(recursive=True)):
            assert process.net_connections("inet") == []


def test_an_embedded_server_that_is_killed_comes_back_with_all_that_was_loaded(
    server_data: Data, tmp_path: Path
) -> None:
    lake = small_lake(tmp_path / "lake")
    options = ("--lake", lake.uri, "--json")
    folder = tmp_path / "lake" / "postgres"
    server_data(folder)
    assert basislake(None, "load", *options, "--keep").code == 0
    os.kill(int((folder / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    again = basislake(None, "load", *options)
    assert again.code == 0, again.err
    assert again.json["partitions_unchanged"] == 5
    assert basislake(None, "load", "--verify", *options).code == 0
    assert not is_running(folder)


def test_an_embedded_server_is_taken_over_from_a_killed_command(
    server_data: Data, tmp_path: Path
) -> None:
    lake = small_lake(tmp_path / "lake")
    folder = tmp_path / "lake" / "postgres"
    server_data(folder)
    with embedded(folder) as uri:
        pass
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING_SOURCE, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline().strip() == uri
    process.kill()
    process.communicate()
    assert is_running(folder)
    assert basislake(None, "load", "--lake", lake.uri).code == 0
    assert not is_running(folder)


def test_a_process_number_that_is_anothers_by_now_is_not_taken_for_the_server(
    server_data: Data, tmp_path: Path
) -> None:
    folder = tmp_path / "pg"
    server_data(folder)
    with embedded(folder) as uri:
        mark = (folder / "postmaster.pid").read_text().split("\n")
    # As after a restart of the machine.
    (folder / "postmaster.pid").write_text("\n".join([str(os.getpid()), *mark[1:]]))
    with embedded(folder) as uri, Database(uri) as database:
        assert database.query("SELECT 1") == [(1,)]
    assert not is_running(folder)


def test_a_kept_server_says_how_to_connect_and_goes_on_until_it_is_stopped(
    server_data: Data, tmp_path: Path
) -> None:
    lake = small_lake(tmp_path / "lake")
    folder = tmp_path / "lake" / "postgres"
    server_data(folder)
    kept = basislake(None, "load", "--lake", lake.uri, "--keep")
    assert kept.code == 0, kept.err
    lines = [line.strip() for line in kept.err.splitlines()]
    connect = lines[next(i for i, line in enumerate(lines) if "Connect:" in line) + 1]
    stop = lines[lines.index("Stop it:") + 1]
    assert is_running(folder)
    counted = subprocess.run(  # noqa: S602  (the line is meant for a shell)
        f"{connect} -Atc 'SELECT count(*) FROM futures_ohlcv'",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert counted.stdout.strip() == "16"
    assert basislake(None, "status", "--lake", lake.uri).code == 0
    assert is_running(folder)
    subprocess.run(stop, shell=True, check=True)  # noqa: S602
    wait_until(None, lambda: not is_running(folder))


@pytest.mark.parametrize("argument", [[], ["--no-keep"]])
def test_a_server_ends_with_the_command_unless_it_is_to_be_kept(
    server_data: Data, tmp_path: Path, argument: list[str]
) -> None:
    lake = small_lake(tmp_path / "lake")
    folder = tmp_path / "lake" / "postgres"
    server_data(folder)
    assert basislake(None, "load", "--lake", lake.uri).code == 0
    assert not is_running(folder)
    assert basislake(None, "load", "--lake", lake.uri, "--keep").code == 0
    assert basislake(None, "load", "--lake", lake.uri, *argument).code == 0
    assert is_running(folder) == (argument == [])
    assert basislake(None, "load", "--lake", lake.uri, "--no-keep").code == 0
    assert not is_running(folder)


def test_two_programs_share_a_server_and_the_last_one_stops_it(
    server_data: Data, tmp_path: Path
) -> None:
    folder = tmp_path / "pg"
    server_data(folder)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING_SOURCE, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    uri = process.stdout.readline().strip()
    with embedded(folder) as same:
        assert same == uri
    assert is_running(folder)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)
    assert not is_running(folder)
