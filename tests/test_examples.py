"""The notebook-style examples, as scripts on a small lake."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from basislake.sql.examples import text_of
from basislake.verbs.demo import FIGURES, TENOR_SQL
from lake import Lake
from tests.processes import PATIENCE_S

FOLDER = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))


@pytest.fixture(scope="module")
def lake(market_lake: Lake) -> Lake:
    return market_lake


def run(script: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        env={"PYTHONPATH": str(FOLDER.parent), "POLARS_TABLE_WIDTH": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_is_one_in_polars_one_in_duckdb_and_one_of_carry_in_both() -> None:
    names = [script.name for script in SCRIPTS]
    assert names == ["carry.py", "duckdb_basis.py", "polars_basis.py"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_runs_as_a_script_and_prints_figures_of_the_lake(
    lake: Lake, carry_lake: Lake, script: Path
) -> None:
    out = run(script, (carry_lake if script.stem == "carry" else lake).uri)
    assert out.count("shape: ") >= 3
    assert "BTC" in out
    assert "ETH" in out


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_is_made_of_cells_and_opens_the_lake_in_two_lines(script: Path) -> None:
    cells = re.split(r"^# %%", script.read_text(), flags=re.MULTILINE)[1:]
    prose = [cell for cell in cells if cell.startswith(" [markdown]")]
    assert len(prose) >= 4
    assert all(line.startswith("#") for cell in prose for line in cell.split("\n")[1:] if line)
    assert './demo-lake"' in script.read_text()
    code = cells[1]
    assert code.count("lake.open(") == code.count("import lake") == 1


def test_one_label_of_time_left_means_the_same_wherever_it_is_printed() -> None:
    spans: dict[str, set[tuple[int, int]]] = {}
    for sql in (TENOR_SQL, text_of("@by-time-left")):
        lower = 0
        for upper, label in re.findall(r"<= (\d+) THEN '(.*?)'", sql):
            spans.setdefault(label, set()).add((lower, int(upper)))
            lower = int(upper)
        spans.setdefault(re.findall(r"ELSE '(.*?)'", sql)[0], set()).add((lower, 0))
    assert len(spans) > 6
    assert all(len(found) == 1 for found in spans.values()), spans


@pytest.mark.parametrize("title", [title for title, _ in FIGURES])
def test_each_figure_of_the_demo_shows_both_coins_above_their_perpetuals(
    lake: Lake, title: str
) -> None:
    rows = lake.sql(dict(FIGURES)[title])
    coin = rows["coin" if "coin" in rows.columns else "instrument"].str.head(3)
    for name in ("BTC", "ETH"):
        annualised = rows.filter(coin == name)["annualised_pct"].drop_nulls()
        assert len(annualised) > 0
        assert 0 < annualised.median() < 30  # type: ignore[operator]
