"""The session of docs/library.md, run unchanged on a small lake."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lake import Lake
from tests.processes import PATIENCE_S

ROOT = Path(__file__).parent.parent
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


@pytest.mark.slow
def test_the_session_runs_and_prints_rows(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(BLOCKS)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert "(3, 3)" in done.stdout
    assert "annualised_pct Float64 percent a year" in done.stdout
    assert "candels" in done.stdout


@pytest.mark.slow
def test_the_session_is_typed(folder: Path) -> None:
    script = folder / "session.py"
    script.write_text("\n".join(BLOCKS))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout
    assert (ROOT / "lake" / "py.typed").exists()
