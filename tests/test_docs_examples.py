"""The examples of the help texts, run one after the other as they stand, as a stranger would.

The first of each verb, and what a shell has to read, in a shell; the others in this process, which
takes no second to start.
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click
import pytest

from basislake.cli import defaults
from basislake.report.facts import from_json
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import weekly_universe
from docs.reference import verbs
from tests import session
from tests.market import ROOT, Ran, basislake
from tests.processes import finished
from tests.reporting import figure

# In the order a stranger would run them; `demo` has a test below, and `exchange`, which serves
# without end, its own.
ORDER = (
    "instruments", "plan", "backfill", "build", "load", "run", "status", "report", "sql", "curve",
    "carry",
    "explain", "fingerprint", "diff", "completion",
)  # fmt: skip
VERBS = dict(verbs())
# The examples name minutes of the 28th and a contract that expired on the 29th.
OPENED = datetime.fromisoformat("2024-03-27T00:00:00Z")
NOW = datetime.fromisoformat("2024-03-30T12:00:30Z")
THEIR_DATABASE = "postgresql://me@db.example/market"
# Each starts a process; the results are the same.
FEWER_WORKERS = "--workers 4", "--workers 2"


def example_lines(command: click.Command) -> list[str]:
    text = (command.help or "").split("Example:", 1)[1]
    return [line.strip() for line in text.splitlines() if "basislake " in line]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A folder with `basislake` on the PATH, and for an exchange a short market like the demo's."""
    folder = tmp_path_factory.mktemp("stranger")
    program = folder / "bin" / "basislake"
    program.parent.mkdir()
    start = "from basislake.__main__ import main\nif __name__ == '__main__':\n    main()\n"
    program.write_text(f"#!{sys.executable}\n{start}")
    program.chmod(0o755)
    with SimulatedExchange(weekly_universe(defaults.SEED, OPENED, NOW)) as server:
        variables = {
            **session.places(),
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "PWD": str(folder),
            "PYTHONPATH": str(ROOT),
            "BASISLAKE_EXCHANGE_URL": server.www_url,
            "BASISLAKE_HISTORY_URL": server.history_url,
            "BASISLAKE_RATE": "0",
            # Other tests use the same database, and expect nothing in the usual schema.
            "BASISLAKE_SCHEMA": "examples",
        }
        yield variables


@pytest.mark.slow
def test_the_examples_of_the_help_texts_work_one_after_the_other(
    environment: dict[str, str], postgres: str
) -> None:
    folder = Path(environment["PWD"])
    try:
        for name in ORDER:
            lines = [
                line.replace(THEIR_DATABASE, shlex.quote(postgres)).replace(*FEWER_WORKERS)
                for line in example_lines(VERBS[name])
            ]
            assert lines, name
            for line in lines:
                in_shell = line == lines[0] or bool(re.search("[|>$]", line))
                run(line, folder, environment, in_shell=in_shell)
    finally:
        # One of the examples leaves the embedded PostgreSQL running.
        stopped = basislake(None, "status", "--no-keep", env=environment, folder=folder)
    assert stopped.code == 0, stopped.err


def run(line: str, folder: Path, environment: dict[str, str], *, in_shell: bool) -> None:
    """Run a line of an example as a shell does."""
    if "./copy" in line and not (folder / "copy").exists():
        without = shutil.ignore_patterns("postgres")
        shutil.copytree(folder / "lake-data", folder / "copy", ignore=without)
    if "monthly.sql" in line:
        (folder / "monthly.sql").write_text("SELECT count(*) AS minutes FROM basis;\n")
    if re.search(r"completion (zsh|fish)", line):  # see test_completion.py
        return
    if in_shell:
        done = shell(line, folder, environment)
    else:
        _, *arguments = shlex.split(line, comments=True)
        done = basislake(None, *arguments, env=environment, folder=folder)
    # Whether the criteria are met is for the evidence to say.
    codes = {0, 1} if "--evidence" in line else {0}
    assert done.code in codes, f"{line}\n{done.out}{done.err}"
    assert "Traceback" not in done.err, line


def shell(line: str, folder: Path, environment: dict[str, str]) -> Ran:
    return finished("/bin/bash", "-c", line, cwd=folder, env=environment)


@pytest.mark.slow
def test_the_demo_leaves_its_report_beside_its_lake(environment: dict[str, str]) -> None:
    folder = Path(environment["PWD"])
    env = {name: value for name, value in environment.items() if name != "BASISLAKE_SCHEMA"}
    # The other example says where instead.
    done = shell(example_lines(VERBS["demo"])[0], folder, env)
    assert done.code == 0, done.err
    report = Path("demo-lake", "report")
    assert re.search(rf"Open the report in a browser: \S*{report}/index.html", done.out), done.out
    facts = from_json((folder / report / "report.json").read_bytes(), "here")
    assert figure(facts, "parity")["is_equal"].all()
    # What it says to try works as it stands.
    hints = done.out.partition("Next, try\n")[2].splitlines()
    lines = [shlex.split(hint) for hint in hints[::2]]  # each with what it does below it
    assert [line[1] for line in lines] == ["status", "sql", "instruments"]
    for line in lines[:2]:
        words = (word for word in line[1:] if word != "--keep")
        tried = basislake(None, *words, env=env, folder=folder)
        assert (tried.code, tried.err) == (0, "")
    assert lines[2][2:] == ["--lake", "./lake-data"]


def test_what_is_run_are_verbs() -> None:
    assert set(ORDER) <= set(VERBS)
