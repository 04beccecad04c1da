"""The formats that rows of a query are written in, and which one a file's name asks for."""

from collections.abc import Mapping
from pathlib import Path

from lake.errors import UsageError

TABLE = "table"
# Each format and the endings of its files; the first is the usual one.
_ENDINGS: Mapping[str, tuple[str, ...]] = {
    "csv": (".csv",),
    "tsv": (".tsv",),
    "json": (".json",),
    "ndjson": (".ndjson", ".jsonl"),
    "parquet": (".parquet",),
    "arrow": (".arrow", ".feather"),
}
FORMATS = (TABLE, *_ENDINGS)
# These are compressed inside, where a reader can still skip.
BINARY = ("parquet", "arrow")
_COMPRESSED = ".gz"


def format_of(asked: str | None, output: Path | None) -> tuple[str, bool]:
    """Return the format to write in, and whether to compress it (gzip): the format asked for, else
    that of the file's name; a table on the screen.

    Raises:
        UsageError: a table is asked for in a file, or the file's name asks for what there is not.
    """
    if output is None:
        return asked or TABLE, False
    *_, before, last = ["", "", *(ending.lower() for ending in output.suffixes)]
    is_compressed = last == _COMPRESSED
    ending = before if is_compressed else last
    named = {end: name for name, ends in _ENDINGS.items() for end in ends}
    format_ = asked or named.get(ending)
    if format_ == TABLE:
        raise UsageError(f"A table is for the screen; write {_listed()} to a file.")
    if format_ is None:
        raise UsageError(
            f"The name {output.name} does not say in which format to write. Let it end in "
            f"{_listed()}, or give --format; text may be compressed, e.g. rows.csv{_COMPRESSED}."
        )
    if is_compressed and format_ in BINARY:
        raise UsageError(
            f"{output.name} cannot be written: {format_} is compressed already. Leave "
            f"{_COMPRESSED} off its name."
        )
    return format_, is_compressed


def _listed() -> str:
    *most, last = (ends[0] for ends in _ENDINGS.values())
    return f"{', '.join(most)} or {last}"
