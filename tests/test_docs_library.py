"""The page docs/library.md: its session runs as it stands, and it lists the public names."""

import inspect
import re
import shutil
import sys
from pathlib import Path

import pytest

import lake
from lake import Lake, errors
from tests.market import ROOT
from tests.processes import finished

PAGE = ROOT / "docs" / "library.md"
# The future of the page is older than the small market.
TEXT = PAGE.read_text().replace("BTC-29MAR24", "BTC-5APR24")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(market_lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebook")
    shutil.copytree(market_lake.uri, folder / "lake-data")
    return folder


def test_the_first_block_is_two_lines_to_a_frame() -> None:
    assert len(BLOCKS) > 5
    assert len([line for line in BLOCKS[0].splitlines() if line]) == 2


def test_the_page_lists_the_public_names_with_their_parameters(tmp_path: Path) -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)(?:\((.*)\))?` \| .+ \|$", TEXT, re.MULTILINE))
    assert {f"lake.{name}" for name in lake.__all__} <= set(rows)
    owners = {"lake": lake, "Lake": lake.open(str(tmp_path)), "lake.errors": errors}
    for name, parameters in rows.items():
        owner, _, member = name.rpartition(".")
        found = getattr(owners[owner], member)
        if inspect.isroutine(found):
            assert re.findall(r"(\w+)(?:=None)?(?:,|$)", parameters) == [
                *inspect.signature(found).parameters
            ]
    imported = re.findall(r"^from (lake\S*) import (\w+)$", "\n".join(BLOCKS), re.MULTILINE)
    assert {".".join(pair) for pair in imported} <= set(rows)


@pytest.mark.slow
def test_the_session_runs_and_prints_rows(folder: Path) -> None:
    line = (sys.executable, "-c", "\n".join(BLOCKS))
    done = finished(*line, cwd=folder, env={"PYTHONPATH": str(ROOT)})
    assert done.code == 0, done.err
    assert "(3, 3)" in done.out
    assert "annualised_pct Float64 percent a year" in done.out
    assert "candels" in done.out


@pytest.mark.slow
def test_the_session_is_typed(folder: Path) -> None:
    script = folder / "session.py"
    script.write_text("\n".join(BLOCKS))
    done = finished(sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", script)
    assert done.code == 0, done.out
    assert (ROOT / "lake" / "py.typed").exists()
