"""The page: HTML from facts, and nothing else; pure. Every text of the facts is escaped."""

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from html import escape
from importlib.resources import files

import orjson

from basislake.output import counted, size
from basislake.report.facts import FIGURES, Facts, to_json
from basislake.report.figures import Figure
from basislake.report.listing import count_of, listing, number, prose, time
from basislake.report.notices import notices

# The name of each part of the page, and the figures in it.
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Coverage", ("coverage",)),
    ("Basis", ("term-structure", "constant-maturity", "contracts", "untraded")),
    ("Quality", ("gaps", "verdicts", "rules", "unanswered", "instruments")),
    ("Upkeep", ("runs", "parity", "storage", "database-storage", "fingerprint")),
)
# plotly.js without maps and 3D, as its makers publish it; `make charts` fetches a version.
_LIBRARY = "plotly-cartesian.min.js"
_WHOLE_PERCENT = 100
_MOST_BELOW_WHOLE = 99.999
_BY_NAME = {figure.name: figure for figure in FIGURES}
_FACTS = re.compile(r'<script type="application/json" id="facts">(.*?)</script>', re.DOTALL)
# What would end the element, or a line where JavaScript once saw one.
_UNSAFE_IN_SCRIPT = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def page(facts: Facts) -> str:
    """Return the page: one HTML file that needs no network, whose scripts may reach none."""
    styles, drawing, library = _asset("page.css"), _asset("charts.js"), _asset(_LIBRARY)
    allowed = " ".join(f"'sha256-{_hash(script)}'" for script in (library, drawing))
    policy = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:"
    charts = orjson.dumps({f.name: f.chart for f in FIGURES if f.chart})
    body = "\n".join([_header(facts), "<main>", *_sections(facts), "</main>", _footer(facts)])
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(facts.lake)}: basislake report</title>
<link rel="icon" href="data:,">
<style>
{styles}</style>
</head>
<body>
{body}
<script type="application/json" id="facts">{_in_script(to_json(facts))}</script>
<script type="application/json" id="charts">{_in_script(charts)}</script>
<script>{library}</script>
<script>{drawing}</script>
</body>
</html>
"""


def facts_in(text: str) -> str | None:
    """Return the facts that a page holds, as JSON; None where it holds none."""
    found = _FACTS.search(text)
    return found[1] if found else None


def _header(facts: Facts) -> str:
    summary = facts.first("summary")
    links = "".join(f'<a href="#{_id(name)}">{name}</a>' for name, _ in SECTIONS)
    fingerprint = escape(str(facts.rows["fingerprint"]["sha256"][-1]))
    told = [
        f"Made {time(facts.made_at)} by {escape(facts.program)}",
        f"as of batch {facts.as_of}" if facts.as_of else "nothing fetched yet",
    ]
    if summary["first_ts"]:
        told.append(f"candles from {time(summary['first_ts'])} to {time(summary['end_ts'])}")
    listed = "".join(
        f'<li class="{notice.level}">{prose(notice.text)}</li>' for notice in notices(facts)
    )
    return f"""<header>
<p class="name">basislake report</p>
<h1>{escape(facts.lake)}</h1>
<p class="meta">{" · ".join(told)}<br>fingerprint <code>{fingerprint}</code></p>
<ul class="notices">{listed}</ul>
{_tiles(facts)}
<nav>{links}</nav>
</header>"""


def _tiles(facts: Facts) -> str:
    of = facts.first("summary")
    storage = sum(facts.rows["storage"]["bytes"])
    covered = of["covered_pct"]
    tiles = [
        ("Instruments", number(of["instruments"]), f"{number(of['in_scope'])} in the lake's scope"),
        ("With candles", number(of["with_candles"]), "of them"),
        ("Candles", number(of["candles"]), f"{number(of['raw_candles'])} as received"),
        ("Covered", "-" if covered is None else _percent(covered),
         f"{number(of['due_minutes'] - of['present_minutes'])} minutes absent"),
        ("Basis rows", number(of["basis_rows"]), f"{number(of['unmatched'])} unmatched"),
        ("Refused", number(of["quarantined"]), "candles in quarantine"),
        ("Storage", size(storage), _a_candle(storage, of["raw_candles"])),
        ("PostgreSQL", *_database(facts)),
    ]  # fmt: skip
    listed = "".join(
        f"<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>"
        for name, value, note in tiles
    )
    return f'<dl class="tiles" id="summary">{listed}</dl>\n{_told(_BY_NAME["summary"], facts)}'


def _sections(facts: Facts) -> Iterable[str]:
    for name, figures in SECTIONS:
        parts = "\n".join(_figure(_BY_NAME[figure], facts) for figure in figures)
        heading = f'<h2 id="{_id(name)}">{name}</h2>'
        yield f'<section>{heading}\n<div class="figures">{parts}</div></section>'


def _figure(figure: Figure, facts: Facts) -> str:
    rows = facts.rows[figure.name]
    count = count_of(rows)
    parts = [f'<div class="top"><h3>{escape(figure.title)}</h3><div class="controls"></div></div>']
    if figure.chart and count:
        label = escape(f"Chart: {figure.title}", quote=True)
        parts += [
            '<ul class="legend"></ul>',
            f'<div class="plot" role="img" aria-label="{label}"></div>',
        ]
        parts.append(
            '<p class="plain plain-only">The chart is drawn by a script, which did not run.</p>'
        )
    elif figure.chart and not figure.listing:
        parts.append('<p class="plot plain">Nothing to draw yet.</p>')
    if figure.listing:
        parts.append(listing(figure.listing, rows))
    wide = ' class="wide"' if figure.is_wide else ""
    return f'<figure id="{figure.name}"{wide}>{"".join(parts)}{_told(figure, facts)}</figure>'


def _told(figure: Figure, facts: Facts) -> str:
    rows = counted(count_of(facts.rows[figure.name]), "row")
    units = "; ".join(f"{name} in {unit}" for name, unit in figure.units.items())
    more = f" Units: {escape(units)}." if units else ""
    return (
        f'<p class="told">{prose(figure.meaning)}</p>'
        f"<details><summary>Query <code>{figure.name}</code>, {rows}</summary>"
        f"<p>All rows are in report.json, under this name.{more}</p>"
        f"<pre><code>{escape(facts.queries[figure.name])}</code></pre></details>"
    )


def _footer(facts: Facts) -> str:
    return (
        f"<footer><p>As of batch {facts.as_of}. <code>basislake report --verify</code> asks every "
        "query above again, as of this batch, and names what differs."
        "</p><p>Charts: plotly.js, in this page. Nothing is fetched, and nothing is sent.</p>"
        "</footer>"
    )


def _in_script(json: bytes) -> str:
    text = json.decode()
    for character, safe in _UNSAFE_IN_SCRIPT.items():
        text = text.replace(character, safe)
    return text


def _asset(name: str) -> str:
    return files("basislake.report").joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return b64encode(sha256(script.encode()).digest()).decode()


def _percent(value: float) -> str:
    """As many digits as keep what is not whole from being told as whole."""
    return "100 %" if value == _WHOLE_PERCENT else f"{min(value, _MOST_BELOW_WHOLE):.3f} %"


def _a_candle(size_bytes: int, candles: int) -> str:
    return f"{size_bytes / candles:.1f} bytes a candle" if candles else "no candle yet"


def _database(facts: Facts) -> tuple[str, str]:
    parity = facts.rows["parity"]
    if not facts.has_database:
        return "-", "not asked"
    rows = f"{sum(parity['database_rows']):,} rows"
    return ("equal" if all(parity["is_equal"]) else "differs"), rows


def _id(section: str) -> str:
    return f"part-{section.lower()}"
