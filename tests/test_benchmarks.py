"""The lakes of the benchmarks: they are made by the tables' present declarations, and can be built
and followed.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.build_lake import late, stage
from lake import Lake
from lake.tables import CANDLES, COVERAGE

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_a_lake_of_the_benchmarks_is_staged_built_and_grows(tmp_path: Path) -> None:
    stage(str(tmp_path), 1)
    late(str(tmp_path))
    lake = Lake(str(tmp_path))
    assert lake.read(COVERAGE)["status"].unique().to_list() == ["present"]
    command = [sys.executable, "-m", "benchmarks.build", "full", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert lake.snapshot(CANDLES).rows > 7_000_000


@pytest.mark.slow
def test_a_market_of_the_benchmarks_is_followed_for_two_days() -> None:
    command = [sys.executable, "-m", "benchmarks.year", "2", "2"]
    ended = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert "A year of" in ended.stdout
