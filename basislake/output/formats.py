"""Output formats for rows of a query, and the format that belongs to a file's name."""

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
# These formats are compressed internally.
BINARY = ("parquet", "arrow")
_COMPRESSED = ".gz"


def format_of(asked: str | None, output: Path | None) -> tuple[str, bool]:
    """Return the format, and whether to compress it (gzip): the chosen format, else that of the
    file's name; without a file, a table.

    Raises:
        UsageError: a table cannot go into a file, or the file's name has an unknown ending.
    """
    if output is None:
        return asked or TABLE, False
    *_, before, last = ["", "", *(ending.lower() for ending in output.suffixes)]
    is_compressed = last == _COMPRESSED
    ending = before if is_compressed else last
    named = {end: name for name, ends in _ENDINGS.items() for end in ends}
    format_ = asked or named.get(ending)
    if format_ == TABLE:
        raise UsageError(f"A table can only be printed; a file can be {_listed()}.")
    if format_ is None:
        raise UsageError(
            f"The format of {output.name} is unknown. Use a name that ends in {_listed()}, or give "
            f"--format. Text may be compressed, e.g. rows.csv{_COMPRESSED}."
        )
    if is_compressed and format_ in BINARY:
        raise UsageError(
            f"{output.name} cannot be written: {format_} is compressed already. Use a name without "
            f"{_COMPRESSED}."
        )
    return format_, is_compressed


def _listed() -> str:
    *most, last = (ends[0] for ends in _ENDINGS.values())
    return f"{', '.join(most)} or {last}"
