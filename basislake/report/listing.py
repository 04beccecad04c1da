"""HTML tables of a figure's rows, with values in a readable form; pure, and escaped."""

import re
from html import escape

from basislake.output.units import size
from basislake.report.facts import Rows
from basislake.report.figures import Listing

NOTHING, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
_CODE = re.compile(r"`([^`]+)`")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::[\d.]+)?(?:Z|\+00:00)")
_SIZES = ("bytes",)
# Shares: only exactly 100 % is shown as 100 %.
_SHARES = ("sound_pct", "pct")
_WHOLE_PERCENT, _MOST_BELOW_WHOLE, _LEAST_ABOVE_NONE = 100, 99.999, 0.001
_MOST_DIGITS = 3
_LONG = {"reason": "text", "names": "text", "sha256": "hash"}
# The page's colour for the word in a cell.
_COLOURS = {
    "verdict": {
        "failed": "failed",
        "not asked": "never_asked",
        "partly asked": "never_asked-pale",
        "empty": "no_data",
        "not built": "missing-pale",
        "gaps": "missing",
        "refused candles": "venue",
        "suspect candles": "missing-pale",
        "sound": "present",
    },
    "state": {"failed": "failed", "killed": "failed", "interrupted": "missing", "refused": "venue",
              "empty": "no_data", "done": "present", "sound": "present", "missing": "missing",
              "suspect": "missing-pale", "never asked": "never_asked", "not built": "no_data",
              "proved": "present", "the two sums differ": "failed",
              "the two prices differ": "failed",
              "a row was rejected": "venue", "a row is not fetched yet": "never_asked",
              "a row is not listed by the exchange": "missing",
              "delivered, and not in instruments": "missing-pale"},
    "outcome": {"refused": "venue", "kept": "missing-pale"},
    "is_equal": {"True": "present", "False": "failed"},
}  # fmt: skip


def listing(declared: Listing, rows: Rows) -> str:
    """Return the first rows of a figure as a table and the number of further ones, or a sentence if
    there are no rows.
    """
    count = count_of(rows)
    if not count:
        return f'<p class="plain">{prose(declared.empty)}</p>'
    shown = min(count, declared.rows)
    classes = {name: _class(name, rows[name]) for name in declared.columns}
    digits = {name: _digits(name, rows[name]) for name in declared.columns}
    heads = "".join(
        f'<th scope="col"{classes[name]}>{escape(title)}</th>'
        for name, title in declared.columns.items()
    )
    lines = "".join(
        "<tr>"
        + "".join(_cell(name, rows[name][n], classes[name], digits[name]) for name in classes)
        + "</tr>"
        for n in range(shown)
    )
    more = (
        f'<p class="more">And {count - shown:,} more in report.json.</p>' if count > shown else ""
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>{more}"
    )


def count_of(rows: Rows) -> int:
    """How many rows there are."""
    return len(next(iter(rows.values()), []))


def prose(text: str) -> str:
    """Return a text as HTML, with text in backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def time(text: str) -> str:
    """Return a time to the minute."""
    return escape(_TIME.sub(r"\1 \2 UTC", text))


def number(value: object, digits: int = 2) -> str:
    """Return a number with commas between thousands, or a dash for None."""
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return f"{value:,.{digits}f}".replace("-", MINUS)
    return f"{value:,}".replace("-", MINUS) if isinstance(value, int) else escape(str(value))


def share(percent: float) -> str:
    """Return a percentage: 100 and 0 only if it is exactly that."""
    if percent in (0, _WHOLE_PERCENT):
        return f"{percent:.0f}"
    return f"{min(max(percent, _LEAST_ABOVE_NONE), _MOST_BELOW_WHOLE):.{_MOST_DIGITS}f}"


def _class(name: str, values: list[object]) -> str:
    if any(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return ' class="n"'
    return f' class="{_LONG[name]}"' if name in _LONG else ""


def _digits(name: str, values: list[object]) -> int:
    """The most decimals of any value of the column, so that all values line up."""
    if name in _SHARES:
        return _MOST_DIGITS
    floats = (value for value in values if isinstance(value, float))
    decimals = (f"{value:.{_MOST_DIGITS}f}".rstrip("0").partition(".")[2] for value in floats)
    return max((len(found) for found in decimals), default=0)


def _cell(name: str, value: object, class_: str, digits: int) -> str:
    dot = _COLOURS.get(name, {}).get(str(value))
    mark = f'<i class="dot" style="background:var(--{dot})"></i>' if dot else ""
    return f"<td{class_}>{mark}{_text(name, value, digits)}</td>"


def _text(name: str, value: object, digits: int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in _SIZES and isinstance(value, int):
        return size(value)
    if name in _SHARES and isinstance(value, float):
        return share(value)
    if isinstance(value, str):
        return escape(_TIME.sub(r"\1 \2", value))
    return number(value, digits)
