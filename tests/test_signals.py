"""Commands that a signal ends, or whose reader or terminal goes away."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

import lake
from basislake.simulator.server import SimulatedExchange
from ingest.backfill.run_records import runs
from lake import Lake
from tests.gates import Gate
from tests.market import ROOT, command
from tests.processes import PATIENCE_S, Start, ended, line_of, wait_until
from tests.terminals import in_a_terminal

MANY = "SELECT * FROM range(100000)"


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        ("--help",),
        ("completion", "bash"),
        ("status", "--lake", "{}"),
        ("status", "--json", "--lake", "{}"),
        ("sql", MANY, "--format", "csv", "--lake", "{}"),
        ("sql", MANY, "--format", "parquet", "--lake", "{}"),
        ("sql", MANY, "--format", "json", "--lake", "{}"),
    ],
)
def test_a_command_whose_reader_is_gone_ends_without_a_word(
    known: Lake, given: tuple[str, ...]
) -> None:
    line = command(None, *(text.format(known.uri) for text in given))
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_a_command_whose_streams_are_closed_works_all_the_same(known: Lake, tmp_path: Path) -> None:
    script = 'exec "$@" 0<&- 1>&- 2>&-'
    output = tmp_path / "rows.csv"
    line = command(None, "sql", "SELECT 1 AS n", "--lake", known.uri, "--output", output)
    done = subprocess.run(["/bin/sh", "-c", script, "sh", *line], check=False, cwd=ROOT)
    assert (done.returncode, output.read_text()) == (0, "n\n1\n")


@pytest.mark.slow
@pytest.mark.parametrize("nohup", [False, True])
def test_a_backfill_whose_terminal_is_closed_saves_what_came_unless_it_is_to_go_on(
    server: SimulatedExchange, tmp_path: Path, *, nohup: bool
) -> None:
    line = command(server, "backfill", "--lake", tmp_path)
    with Gate(server, 20) as gate, in_a_terminal(line, nohup=nohup) as (process, terminal):
        wait_until(None, lambda: gate.is_holding)
        os.close(terminal)
        if nohup:
            gate.open()
        assert process.wait(PATIENCE_S) == (0 if nohup else 129)
    records = runs(lake.open(str(tmp_path)), 1)
    assert records[0]["state"] == ("done" if nohup else "interrupted")


DELETING = """
import sys
from threading import Event
from basislake.cli.signals import Interruptions

class Waiting:
    def __del__(self):
        print("deleted", flush=True)
        Event().wait()

interruptions = Interruptions()
interruptions.listen()
try:
    Waiting()
    Event().wait()
except KeyboardInterrupt:
    sys.exit(interruptions.exit_code)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_an_object_is_deleted_ends_the_command(
    started: Start, number: signal.Signals
) -> None:
    process = started(DELETING)
    assert line_of(process) == "deleted\n"
    process.send_signal(number)
    done = ended(process)
    assert done.code == 128 + number
    assert done.err == ""


AT_LOCKS = """
import signal, sys, threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from random import uniform
from basislake.cli.signals import Interruptions

Interruptions().listen()
main, number = threading.get_ident(), int(sys.argv[1])
for _ in range(200):
    pool = ThreadPoolExecutor(4)
    sending = threading.Timer(uniform(0.002, 0.02), signal.pthread_kill, (main, number))
    try:
        sending.start()
        futures = set()
        while True:
            futures |= {pool.submit(pow, 2, 9) for _ in range(20 - len(futures))}
            _, futures = wait(futures, 0, FIRST_COMPLETED)
    except KeyboardInterrupt:
        pool.shutdown()
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_moment_leaves_no_lock_of_a_future_closed(
    started: Start, number: signal.Signals
) -> None:
    done = ended(started(AT_LOCKS, int(number)))
    assert (done.code, done.err) == (0, "")
