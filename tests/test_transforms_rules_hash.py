"""Changed rules cause a full build, whatever the version of the program."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from lake import Lake
from tests.market import ROOT
from tests.processes import finished

ALL_BROKEN = """

ERRORS = (*ERRORS, Rule("any", "Every candle breaks it.", pl.lit(value=True)))
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The rules of a copy of the program, to be edited."""
    program = tmp_path / "program"
    copy = shutil.copytree(ROOT / "transforms", program / "transforms")
    for name in ("basislake", "ingest", "lake", "load"):
        (program / name).symlink_to(ROOT / name)
    return copy / "rules.py"


def ran(rules: Path, *arguments: str) -> str:
    """Run Python where `transforms` is the copy, and all else is the program under test."""
    program = rules.parent.parent
    env = {**os.environ, "PYTHONPATH": str(program)}
    done = finished(sys.executable, *arguments, cwd=program, env=env)
    assert done.code == 0, done.err
    return done.out


def hashed(rules: Path) -> str:
    return ran(rules, "-c", "from transforms.rules_hash import rules_hash; print(rules_hash())")


def test_the_hash_is_of_the_rules_and_not_of_the_machine(rules: Path) -> None:
    first = hashed(rules)
    source = rules.read_text()
    rules.write_bytes(source.replace("\n", "\r\n").encode())
    assert hashed(rules) == first
    rules.write_text(source.replace("<= 0", "<= 1"))
    assert hashed(rules) != first


def test_rules_without_sources_have_a_hash_of_their_compiled_code(rules: Path) -> None:
    compiled: set[str] = set()
    for source in (rules.read_text(), rules.read_text().replace("<= 0", "<= 1")):
        rules.write_text(source)
        ran(rules, "-m", "compileall", "-b", "-f", "-q", "transforms")
        kept = {path: path.read_text() for path in rules.parent.glob("*.py")}
        for path in kept:
            path.unlink()
        compiled.add(hashed(rules))
        for path, text in kept.items():
            path.write_text(text)
    assert len(compiled) == 2


@pytest.mark.slow
def test_a_changed_rule_builds_everything_again_and_the_old_one_brings_all_back(
    rules: Path, lake: Lake
) -> None:
    build = ("-m", "basislake", "build", "--json", "--lake", lake.uri)
    before = json.loads(ran(rules, *build))
    assert (before["rebuilt"], before["quarantined"]) == (0, 0)
    source = rules.read_text()
    rules.write_text(source + ALL_BROKEN)
    changed = json.loads(ran(rules, *build))
    assert (changed["unchanged"], changed["candles"]) == (0, 0)
    assert changed["quarantined"] == before["candles"]
    assert json.loads(ran(rules, *build))["rebuilt"] == 0
    rules.write_text(source)
    again = json.loads(ran(rules, *build))
    assert (again["candles"], again["unchanged"]) == (before["candles"], 0)
