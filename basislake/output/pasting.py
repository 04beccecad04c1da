"""Commands printed for pasting, on lines that fit the terminal."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

_INDENT, _FURTHER = "  ", "      "
_GOES_ON = " \\"
_NAMES = "--instruments "


def called() -> str:
    """Return how to call the command from here, by its name or its path, for commands to paste."""
    if shutil.which("basislake") or Path(sys.argv[0]).name != "basislake":
        return "basislake"
    return os.path.relpath(sys.argv[0])


def pasted(command: str, columns: int | None) -> str:
    r"""Return a command on indented lines, each but the last ending with a backslash; pure.

    Lines break before an option; a long list of instruments becomes several options. A single word
    may still be longer than the line.

    Args:
        command: on one line.
        columns: of the terminal, None for lines of any length.
    """
    if columns is None or len(_INDENT + command) <= columns:
        return _INDENT + command
    room = columns - len(_FURTHER + _GOES_ON)
    words = [part for word in re.split(r" (?=--)", command) for part in _parts(word, room)]
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return _INDENT + f"{_GOES_ON}\n{_FURTHER}".join(lines)


def _parts(word: str, room: int) -> Iterator[str]:
    """An option; several options for a long list of instruments."""
    if not word.startswith(_NAMES):
        yield word
        return
    names = ""
    for name in word.removeprefix(_NAMES).split(","):
        if names and len(f"{_NAMES}{names},{name}") > room:
            yield _NAMES + names
            names = name
        else:
            names = f"{names},{name}" if names else name
    yield _NAMES + names
