"""Text of a query: from the command line, a file, the standard input, or the name of an example."""

import sys
from pathlib import Path

from basislake.sql.examples import text_of
from lake.errors import UsageError

STDIN = "-"
_ENDING = ".sql"


def query_text(given: str) -> str:
    """Return the SQL that an argument names.

    Args:
        given: the path of a file that ends in .sql, `-` for the standard input, @NAME of an
            example, or the SQL itself.

    Raises:
        UsageError: there is no such file or example query, or the text is not UTF-8.
    """
    if given == STDIN:
        return _decoded(sys.stdin.buffer.read(), "The standard input")
    path = Path(given)
    if given.endswith(_ENDING) and (len(given.split()) == 1 or path.is_file()):
        try:
            return _decoded(path.read_bytes(), given)
        except OSError as exc:
            raise UsageError(f"{given} cannot be read: {exc.strerror or exc}.") from exc
    return text_of(given)


def _decoded(text: bytes, name: str) -> str:
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise UsageError(f"{name} is not text in UTF-8.") from exc
