"""The report's page in a real headless Chromium, without a network: the drawing is right."""

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from basislake.report.facts import FIGURES, SECTIONS, Facts, from_json, gather, to_json
from basislake.report.page import page
from lake import Lake
from lake.tables import COVERAGE, INSTRUMENTS
from tests.ailing import LOST, UNANSWERED
from tests.browser import Browser, Page, browser, chromium
from tests.lakes import lake_of
from tests.reporting import MADE_AT

DRAWN = "document.documentElement?.dataset.drawn"
WORST = ["failed", "missing", "never_asked", "present", "no_data"]
HOSTILE = "</script><img src=x onerror='window.hacked=1'><a href='javascript:hacked=1'>BTC</a>"

# The colour at the middle of every cell of the heat map, off the picture that was drawn.
PIXELS = """
new Promise((done) => {
  const plot = document.querySelector("#coverage .plot");
  const drawn = plot.querySelector(".heatmaplayer image");
  const { xaxis, yaxis } = plot._fullLayout;
  const [left, top] = ["x", "y"].map((name) => Number(drawn.getAttribute(name)));
  const [months, names] = [plot.data[0].x, plot.data[0].y];
  const picture = new Image();
  picture.onload = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [drawn.width.baseVal.value, drawn.height.baseVal.value];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const cells = {};
    names.forEach((name, i) => months.forEach((month, j) => {
      const at = [xaxis.c2p(j) - left, yaxis.c2p(i) - top].map(Math.round);
      const [r, g, b, opacity] = context.getImageData(at[0], at[1], 1, 1).data;
      if (opacity) cells[name + " " + month] = [r, g, b];
    }));
    done(cells);
  };
  picture.src = drawn.getAttribute("href") ?? drawn.getAttribute("xlink:href");
})
"""


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this machine; `make browser` installs it, with root")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        browser(path, Path(folder)) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def facts(facts: Facts, carry_facts: Facts) -> Facts:
    """Of a lake that has something to draw in every figure."""
    rows = {each.name: carry_facts.rows[each.name] for each in SECTIONS["Carry"]}
    return replace(facts, rows={**facts.rows, **rows})


@pytest.fixture(scope="module")
def shown(facts: Facts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(page(facts))
    return path


@pytest.fixture
def tab(window: Browser) -> Iterator[Page]:
    opened = Page(window)
    yield opened
    opened.close()


@pytest.fixture
def opened(tab: Page, shown: Path) -> Page:
    """The page in a wide window."""
    tab.looks(1400)
    tab.open(shown, DRAWN)
    return tab


def check_quiet(tab: Page) -> None:
    """Nothing was complained of, and nothing was fetched."""
    assert tab.problems == []
    assert [url for url in tab.requested if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in tab.requested if url.startswith("file:")]) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1400, False), (390, True)])
def test_every_chart_is_drawn_and_the_page_never_scrolls_sideways(
    tab: Page, shown: Path, facts: Facts, width: int, *, dark: bool
) -> None:
    tab.looks(width, dark=dark)
    tab.open(shown, DRAWN)
    charts = [f.name for f in FIGURES if f.chart and any(facts.rows[f.name].values())]
    # No database was asked.
    assert {f.name for f in FIGURES if f.chart} - {*charts} == {"database-storage"}
    for name in charts:
        marks = f"#{name} .plot :is(.heatmaplayer image, .scatterlayer .trace, .barlayer .point)"
        assert tab.value(f"document.querySelectorAll({json.dumps(marks)}).length") > 0, name
    assert tab.value(DRAWN) == str(len(charts))
    assert tab.value("document.documentElement.scrollWidth") <= width
    outside = (
        "[...document.querySelectorAll('.plot svg')].filter((e) => "
        "e.getBoundingClientRect().right > innerWidth).length"
    )
    assert tab.value(outside) == 0
    ink, paper = (_rgb(tab.value(f"getComputedStyle(document.body).{name}")) for name in _INK)
    assert (sum(ink) > sum(paper)) == dark
    check_quiet(tab)


_INK = ("color", "backgroundColor")


def _rgb(text: str) -> list[int]:
    return [int(part) for part in text.removeprefix("rgb(").removesuffix(")").split(",")]


def colours(tab: Page) -> dict[str, list[int]]:
    """The page's colours of the statuses, also of those that are less than 1 % of a month."""
    found = {}
    for name in (*WORST, *(f"{status}-pale" for status in WORST)):
        value = f"getComputedStyle(document.documentElement).getPropertyValue('--{name}')"
        found[name] = list(bytes.fromhex(str(tab.value(value)).strip().removeprefix("#")))
    assert len({tuple(colour) for colour in found.values()}) == len(found)
    return found


def expected_cells(lake: Lake, coin: str) -> dict[str, str]:
    """The colour's name of every cell, by a count of every minute of `coverage`."""
    names = lake.read(INSTRUMENTS).filter(base=coin)["instrument"]
    last = pl.col("end") - pl.duration(minutes=1)
    counted = (
        lake.read(COVERAGE)
        .filter(pl.col("instrument").is_in(names.implode()))
        .select("instrument", "status", pl.datetime_ranges("start", last, "1m").alias("ts"))
        .explode("ts")
        .group_by("instrument", pl.col("ts").dt.strftime("%Y-%m").alias("month"), "status")
        .len()
    )
    cells = {}
    for (name, month), rows in counted.group_by("instrument", "month"):
        counts = dict(rows.select("status", "len").iter_rows())
        worst = next(status for status in WORST if status in counts)
        is_pale = counts[worst] < sum(counts.values()) / 100
        cells[f"{name} {month}"] = f"{worst}-pale" if is_pale else worst
    return cells


@pytest.mark.slow
def test_the_heat_map_is_drawn_in_the_colours_of_the_coverage_table_also_when_the_scheme_changes(
    opened: Page, ailing: Lake
) -> None:
    check_heat_map(opened, ailing)
    first = "document.querySelector('#storage .plot').data[0].marker.color"
    before, light = opened.value(first), colours(opened)
    opened.looks(1400, dark=True)
    opened.wait(f"{first} !== '{before}'")
    assert colours(opened) != light
    check_heat_map(opened, ailing)
    check_quiet(opened)


def check_heat_map(tab: Page, lake: Lake) -> None:
    palette = colours(tab)
    seen = set()
    for coin in ("BTC", "ETH"):
        tab.value(
            "[...document.querySelectorAll('#coverage button')]"
            f".find((b) => b.textContent === '{coin}').click()"
        )
        tab.wait(f"document.querySelector('#coverage .plot').dataset.drawn === '{coin}'")
        expected = expected_cells(lake, coin)
        assert tab.value(PIXELS) == {cell: palette[name] for cell, name in expected.items()}
        seen |= set(expected.values())
    assert seen >= {"failed", "missing-pale", "present"}


@pytest.mark.slow
def test_a_chosen_time_and_a_chosen_contract_are_what_is_drawn(opened: Page, facts: Facts) -> None:
    rows = pl.DataFrame(facts.rows["term-structure"], strict=False)
    minute = "2024-03-31 23:59"
    opened.value(
        "(() => { const date = document.querySelector('#term-structure input[type=date]');"
        "date.value = '2024-03-31'; date.dispatchEvent(new Event('change')); })()"
    )
    opened.wait(f"document.querySelector('#term-structure .plot').dataset.drawn === '{minute}'")
    for row in rows.filter(minute=minute).iter_rows(named=True):
        roots, values = _trace(opened, "term-structure", row["coin"])
        assert [root**2 for root in roots] == pytest.approx(row["days"])
        assert values == row["annualised_pct"]
    name = "BTC-12APR24"
    opened.value(
        "(() => { const field = document.querySelector('#contracts input[list]');"
        f"field.value = '{name.lower()}'; field.dispatchEvent(new Event('change')); }})()"
    )
    opened.wait(f"document.querySelector('#contracts .plot').dataset.drawn === '{name}'")
    contracts = pl.DataFrame(facts.rows["contracts"], strict=False)
    (own,) = contracts.filter(instrument=name).rows(named=True)
    drawn = opened.value("document.querySelector('#contracts .plot').data[2]")
    assert drawn["y"] == own["last_basis_pct"]
    days = [step * own["step_minutes"] / 1440 for step in own["step"]]
    assert drawn["x"] == pytest.approx(days)
    check_quiet(opened)


def _trace(opened: Page, figure: str, name: str) -> list[list[float]]:
    """Both axes of a line that is drawn solid."""
    solid = f"t.name === '{name}' && t.line.dash === 'solid'"
    found: Any = opened.value(
        f"(() => {{ const t = document.querySelector('#{figure} .plot').data.find((t) => {solid});"
        "return [t.x, t.y]; })()"
    )
    return [list(axis) for axis in found]


@pytest.mark.slow
def test_every_axis_has_a_title(opened: Page) -> None:
    untitled = opened.value(
        "[...document.querySelectorAll('.plot')].flatMap((plot) => Object.entries(plot.layout)"
        ".filter(([name, axis]) => /^[xy]axis/.test(name) && !axis.title?.text)"
        ".map(([name]) => plot.closest('figure').id + ' ' + name))"
    )
    assert untitled == []


@pytest.mark.slow
def test_tables_are_searched_and_sorted_and_lead_to_charts_and_gaps(
    opened: Page, facts: Facts
) -> None:
    rows = pl.DataFrame(facts.rows["instruments"], strict=False)
    names = (
        "[...document.querySelectorAll('#instruments tbody tr')].filter((row) => !row.hidden)"
        ".map((row) => row.cells[0].textContent)"
    )
    opened.value("document.querySelectorAll('#instruments th button')[4].click()")
    by_candles = rows.sort("present_minutes", descending=True, maintain_order=True)
    assert opened.value(names) == by_candles["instrument"].to_list()
    assert opened.value("document.querySelectorAll('#instruments th')[4].ariaSort") == "descending"
    opened.value(
        "(() => { const field = document.querySelector('#instruments input[type=search]');"
        "field.value = 'eth quarterly'; field.dispatchEvent(new Event('input')); })()"
    )
    is_eth = pl.col("instrument").str.starts_with("ETH")
    wanted = by_candles.filter(is_eth, term="quarterly")
    assert opened.value(names) == wanted["instrument"].to_list() != []
    name = wanted["instrument"][0]
    opened.value(
        "[...document.querySelectorAll('#instruments button.link')]"
        f".find((b) => b.textContent === '{name}').click()"
    )
    opened.wait(f"document.querySelector('#contracts .plot').dataset.drawn === '{name}'")
    assert opened.value("document.activeElement.id") == "contracts"
    check_quiet(opened)


@pytest.mark.slow
def test_a_cell_of_the_heat_map_leads_to_its_gaps(opened: Page) -> None:
    click = (
        "(() => {{ const plot = document.querySelector('#coverage .plot');"
        "plot.emit('plotly_click', {{ points: [{{ x: '{month}', y: '{name}' }}] }}); }})()"
    )
    name = next(iter(LOST))
    many = "document.querySelectorAll('#gaps tbody tr:not([hidden])').length"
    for month, count in (("2024-03", 1), ("2024-04", 0)):
        opened.value(click.format(month=month, name=name))
        assert opened.value(many) == count
        found = opened.value("document.querySelector('#gaps .found').textContent")
        assert found.startswith(f"{count} of 2 rows: gaps of {name} in {month}.")
    check_quiet(opened)


@pytest.mark.slow
def test_values_far_from_all_others_do_not_rule_an_axis_and_are_marked(
    tab: Page, facts: Facts, tmp_path: Path
) -> None:
    hurt = json.loads(to_json(facts))
    for found in hurt["figures"]:
        if found["name"] == "front-quarterly":
            found["columns"]["annualised_pct"][7] = 578.0
        if found["name"] == "runs":
            # Two backfills of one second are two bars.
            found["columns"] = {name: 2 * cells for name, cells in found["columns"].items()}
    path = tmp_path / "index.html"
    path.write_text(page(from_json(json.dumps(hurt), "here")))
    tab.looks(1400)
    tab.open(path, DRAWN)
    top = "document.querySelector('#front-quarterly .plot').layout.yaxis.range?.[1]"
    assert tab.value(f"{top} < 100")
    mark = "document.querySelector('#front-quarterly .outside').textContent"
    assert re.search(r"lies? outside the axis: (from .* to )?578\.0 %", tab.value(mark))
    tab.value("document.querySelector('#front-quarterly .outside button').click()")
    tab.wait("document.querySelector('#front-quarterly .plot')._fullLayout.yaxis.range[1] > 500")
    assert tab.value("document.querySelectorAll('#runs .barlayer .point').length") == 4
    assert tab.value("document.querySelectorAll('#runs .yaxislayer-above text').length") == 2
    check_quiet(tab)


@pytest.mark.slow
def test_hostile_names_are_shown_and_never_run(tab: Page, facts: Facts, tmp_path: Path) -> None:
    hurt = json.loads(to_json(facts).replace(UNANSWERED[0].encode(), b"@hostile@"))
    text = json.dumps(hurt).replace("@hostile@", HOSTILE).replace('"BTC"', json.dumps(HOSTILE))
    path = tmp_path / "index.html"
    path.write_text(page(from_json(text, "here")))
    tab.looks(1400)
    tab.open(path, DRAWN)
    assert tab.value("window.hacked") is None
    assert tab.value("document.querySelectorAll('img, a[href^=javascript], svg a').length") == 0
    assert tab.value("document.querySelector('#instruments td').textContent") == HOSTILE
    assert tab.value("document.querySelector('#coverage button').textContent") in (HOSTILE, "ETH")
    assert tab.problems == []


@pytest.mark.slow
def test_an_empty_lakes_page_is_quiet(tab: Page, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(page(gather(lake_of(tmp_path / "lake", instruments=[]), MADE_AT, None, 1)))
    tab.looks(390)
    tab.open(path, DRAWN)
    assert tab.value(DRAWN) == "0"
    assert "The lake is empty" in tab.value("document.body.textContent")
    check_quiet(tab)
