"""The page: HTML from facts only; pure. Every text of the facts is escaped."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

import orjson

from basislake.report.facts import FIGURES, SECTIONS, Facts, to_json
from basislake.report.figures import X_TITLES, Chart, Figure, Listing
from basislake.report.listing import count_of, listing, prose, time
from basislake.report.notices import notices
from basislake.report.ticker import cards, tiles
from lake.counted_words import counted

# Concatenated to one script, in this order.
_SCRIPTS = ("base.js", "drawers.js", "carry.js", "tables.js", "page.js")
# plotly.js without maps and 3D, as published; `make charts` downloads a version.
_LIBRARY = "plotly-cartesian.min.js"
_FACTS = re.compile(r'<script type="application/json" id="facts">(.*?)</script>', re.DOTALL)
# Characters that could end the script element, or a line in older JavaScript.
_UNSAFE_IN_SCRIPT = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def page(facts: Facts) -> str:
    """Return the page: one HTML file that needs no network, and whose scripts cannot use one."""
    styles, library = _asset("page.css"), _asset(_LIBRARY)
    drawing = "\n".join(_asset(name) for name in _SCRIPTS)
    hashes = (b64encode(sha256(script.encode()).digest()) for script in (library, drawing))
    allowed = " ".join(f"'sha256-{found.decode()}'" for found in hashes)
    policy = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:"
    charts = orjson.dumps({f.name: _drawn(f.chart, f.listing) for f in FIGURES})
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
    """Return the facts embedded in a page, as JSON, or None."""
    found = _FACTS.search(text)
    return found[1] if found else None


def _drawn(chart: Chart | None, listed: Listing | None) -> dict[str, Any]:
    """The declaration of a figure for the page's script."""
    found = asdict(chart) | {"x_title": chart.x_title or X_TITLES[chart.x]} if chart else {}
    return found | {"listing": listed}


def _header(facts: Facts) -> str:
    summary = facts.first("summary")
    links = "".join(f'<a href="#{_id(name)}">{name}</a>' for name in SECTIONS)
    parts = [f"as of batch {facts.as_of}" if facts.as_of else "nothing fetched yet"]
    if summary["first_ts"]:
        parts.append(f"candles from {time(summary['first_ts'])} to {time(summary['end_ts'])}")
    parts.append(f"written {time(facts.made_at)} by {escape(facts.program)}")
    listed = "".join(
        f'<li class="{notice.level}">{prose(notice.text)}</li>' for notice in notices(facts)
    )
    return f"""<header>
<h1>{escape(facts.lake)}</h1>
<p class="meta">{" · ".join(parts)}</p>
<ul class="notices">{listed}</ul>
</header>
<nav aria-label="Parts"><div>{links}</div></nav>"""


def _sections(facts: Facts) -> Iterable[str]:
    for name, figures in SECTIONS.items():
        shown = [f for f in figures if f.name in _SPECIAL or count_of(facts.rows[f.name])]
        parts = [
            _SPECIAL[figure.name](figure, facts)
            if figure.name in _SPECIAL
            else _figure(figure, facts, is_wide=is_wide)
            for figure, is_wide in zip(shown, widths(shown), strict=True)
        ]
        empty = [_figure(figure, facts) for figure in figures if figure not in shown]
        if empty:
            parts.append(f'<div class="empties">{"".join(empty)}</div>')
        heading = f'<h2 id="{_id(name)}">{name}</h2>'
        yield f'<section>{heading}\n<div class="figures">{"".join(parts)}</div></section>'


def widths(figures: Sequence[Figure]) -> list[bool]:
    """Whether each figure takes the full width, as does one without a neighbour."""
    found: list[bool] = []
    is_half_full = False
    for figure in figures:
        is_wide = figure.is_wide or figure.name in _SPECIAL
        if is_wide and is_half_full:
            found[-1] = True
        is_half_full = not is_wide and not is_half_full
        found.append(is_wide)
    if is_half_full:
        found[-1] = True
    return found


def _cards(figure: Figure, facts: Facts) -> str:
    about = _about(figure, facts)
    shown = cards(facts) or '<p class="plain">No perpetual has candles yet.</p>'
    return f'<figure id="{figure.name}" class="wide cards">{shown}{about}</figure>'


def _tiles(figure: Figure, facts: Facts) -> str:
    shown = f'<dl class="tiles">{tiles(facts)}</dl>'
    return f'<figure id="{figure.name}" class="wide bare">{shown}{_about(figure, facts)}</figure>'


def _figure(figure: Figure, facts: Facts, *, is_wide: bool = False) -> str:
    rows = facts.rows[figure.name]
    count = count_of(rows)
    heading = f"<h3>{escape(figure.title)}</h3><p class='caption'>{prose(figure.caption)}</p>"
    parts = [f'<div class="top"><div>{heading}</div><div class="controls"></div></div>']
    if figure.chart and count:
        label = escape(f"Chart: {figure.title}. {figure.caption}", quote=True)
        parts += [
            '<ul class="legend"></ul>',
            f'<div class="plot" role="img" aria-label="{label}"></div>',
            '<p class="plain plain-only">A script draws this chart, but it did not run.</p>',
        ]
    elif figure.chart and not figure.listing:
        parts.append(f'<p class="plain">{prose(figure.empty)}</p>')
    if figure.listing:
        parts.append(listing(figure.listing, rows))
    wide = ' class="wide"' if is_wide else ""
    return f'<figure id="{figure.name}"{wide}>{"".join(parts)}{_about(figure, facts)}</figure>'


def _about(figure: Figure, facts: Facts) -> str:
    """The meaning of a figure and its query, collapsed."""
    rows = counted(count_of(facts.rows[figure.name]), "row")
    units = "; ".join(f"{name} in {unit}" for name, unit in figure.units.items())
    more = f" Units: {escape(units)}." if units else ""
    return (
        f"<details><summary>About: {escape(figure.title)}</summary>"
        f"<p>{prose(figure.meaning)}</p>"
        f"<p>Figure <code>{figure.name}</code>: {rows}; report.json has all of them.{more} The "
        "query:</p>"
        f"<pre><code>{escape(facts.queries[figure.name])}</code></pre></details>"
    )


_SPECIAL: dict[str, Callable[[Figure, Facts], str]] = {"quotes": _cards, "summary": _tiles}


def _footer(facts: Facts) -> str:
    fingerprint = escape(str(facts.rows["fingerprint"]["sha256"][-1]))
    return (
        f"<footer><p>As of batch {facts.as_of}, fingerprint <code>{fingerprint}</code>. "
        "<code>basislake report --verify</code> runs every query above again, as of this batch, "
        "and names the differences.</p><p>Charts: plotly.js, embedded. This page loads nothing "
        "from the network and sends nothing.</p></footer>"
    )


def _in_script(json: bytes) -> str:
    return json.decode().translate(_UNSAFE_IN_SCRIPT)


def _asset(name: str) -> str:
    return files("basislake.report").joinpath(name).read_text(encoding="utf-8")


def _id(section: str) -> str:
    return f"part-{section.lower()}"
