"""`fingerprint` and `diff`: whether two lakes, or two versions of one, hold the same rows."""

import click

import lake
from basislake.output import Progress, counted, print_json, say
from basislake.settings import check_exists
from basislake.tables import print_table
from lake import Lake
from lake.cores import cores
from lake.difference import COMPARED, Difference, differences
from lake.fingerprint import Fingerprint
from lake.fingerprint import fingerprint as fingerprint_of
from lake.tables import RAW_CANDLES
from lake.versions import PastLake


def travelled(where: Lake, at: int | None) -> Lake:
    """Return the lake as it was at a version, saying on stderr what was not built from it; the lake
    itself where no version is given.

    Raises:
        UsageError: there is no such version.
        LakeError: the lake cannot be read.
    """
    if at is None:
        return where
    past = PastLake(where, at)
    tables: dict[int | None, list[str]] = {}
    for table, raw_version in past.older().items():
        tables.setdefault(raw_version, []).append(table)
    for raw_version, names in tables.items():
        made = "not made yet" if raw_version is None else f"made from version {raw_version}"
        say(
            f"Note: at version {at}, {', '.join(names)}: {made}; "
            f"`basislake build --raw-version {at}` makes them of it."
        )
    return past


def fingerprint(
    where: Lake, at: int | None, *, verify: bool, threads: int | None, as_json: bool
) -> int:
    """See `basislake.commands.fingerprint`; return the exit code."""
    check_exists(where)
    past = travelled(where, at)
    workers = threads or cores()
    found = fingerprint_of(past, workers, verify=verify, report=Progress("partitions"))
    for path in found.damaged:
        told = "holds other rows than were written, or cannot be read"
        say(f"Damaged: {path} {told}; take it from a copy of the lake.")
    _print(found, as_json=as_json)
    return 1 if found.damaged else 0


def diff(a: int, b: int | None, where: Lake, other: str | None, *, as_json: bool) -> int:
    """See `basislake.commands.diff`; return the exit code."""
    check_exists(where)
    opposite = where if other is None else lake.open(other)
    check_exists(opposite)
    newest = opposite.snapshot(RAW_CANDLES).version
    found = differences(travelled(where, a), travelled(opposite, b))
    version = newest if b is None else b
    if as_json:
        print_json({"a": a, "b": version, "equal": not found, "differences": found})
        return 0
    place = "" if other is None else f" of {opposite.uri}"
    click.echo(
        f"A is version {a}, B version {version}{place}{', the newest' * (version == newest)}."
    )
    _show(found)
    return 0


def _print(found: Fingerprint, *, as_json: bool) -> None:
    if as_json:
        # Nothing but content: the objects of two equal lakes are equal.
        print_json(
            {
                "lake": found.lake,
                "tables": found.tables,
                "rows": found.rows,
                "damaged": found.damaged,
            }
        )
        return
    for name, digest in found.tables.items():
        click.echo(f"{digest}  {name}")
    click.echo(f"{found.lake}  lake")


def _show(found: list[Difference]) -> None:
    if not found:
        click.echo(f"No difference in {', '.join(table.name for table in COMPARED)}.")
        return
    rows = [[d.instrument, d.table, d.only_a, d.only_b, d.changed] for d in found]
    title = f"{counted(len({d.instrument for d in found}), 'instrument')} with other rows"
    columns = ["instrument", "table", "rows only in A", "rows only in B", "changed"]
    print_table(title, columns, rows)
