"""Durations, sizes, ages and shares as text for people."""

from datetime import timedelta

from lake.counted_words import counted

_KILO = 1000
_LEAST_SHARE = 0.01


def duration(seconds: float) -> str:
    """Return a length of time for people, to the second."""
    return str(timedelta(seconds=round(seconds)))


def size(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < _KILO:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _KILO
    return f"{count:.1f} TB"


def age(seconds: float) -> str:
    """Return how long ago something was, for people, in its largest unit."""
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count = int(seconds // length)
        if count > 0:
            return f"{counted(count, name)} ago"
    return "just now"


def percent(part: float, whole: float) -> str:
    """Return a share for people; 100 % only if nothing is missing, and 0 % only for nothing."""
    if not whole:
        return "-"
    share = part / whole * 100
    if 0 < share < _LEAST_SHARE:
        return f"< {_LEAST_SHARE} %"
    if 100 - _LEAST_SHARE < share < 100:  # noqa: PLR2004  (per cent)
        return f"> {100 - _LEAST_SHARE} %"
    return f"{share:.2f} %".replace(".00 %", " %")
