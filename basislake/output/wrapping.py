"""Wraps prose to the width of a terminal; pure."""

import re
import textwrap

_COMMAND = re.compile(r"`[^`]*`")
_HARD_SPACE = "\N{NO-BREAK SPACE}"


def wrapped(text: str, available: int | None) -> str:
    """Return a line of prose broken between words, but not within a command in backticks.

    Args:
        text: one line; blanks at its start begin every line.
        available: characters of a line; None for lines of any length.
    """
    if available is None:
        return text
    indent = text[: len(text) - len(text.lstrip())]
    whole = _COMMAND.sub(lambda found: found[0].replace(" ", _HARD_SPACE), text)
    lines = textwrap.wrap(
        whole,
        available,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace(_HARD_SPACE, " ")
