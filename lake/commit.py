"""Atomic commits to a table: files are added and removed together, or not at all."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from lake.errors import ConflictError
from lake.library_errors import explained
from lake.location import conditional_put
from lake.properties.table_properties import PROPERTIES
from lake.snapshot import Snapshot, open_table
from lake.tables import INSTRUMENTS

if TYPE_CHECKING:
    import tenacity

    from lake.lake import Lake

# Identifies a commit in the log, so that its writer finds it if the store's reply was lost.
_IDENTITY = "commit"
# Each conflict means that another writer has committed to the table.
_TRIES = 100
_MARK_TRIES = 10


def transact(
    base: Snapshot,
    removed: Sequence[RemoveAction],
    added: Sequence[AddAction],
    lineage: Mapping[str, Any],
    counters: Mapping[str, int],
    *,
    is_whole: bool = False,
) -> DeltaTable:
    """Commit the adding and removing of files; a missing table is created. Return the table after
    the commit, which may include later commits of other writers.

    It succeeds only if the transaction ids have the same numbers as in `base`, and the removed
    files still exist: of two writers that set one id from the same base, or remove one file, only
    one succeeds, whichever program the other is. See `Lake.commit` for arguments and errors.
    """
    info = {**lineage, _IDENTITY: uuid4().hex}
    name, gone = base.table.name, {action.path for action in removed}
    with explained(f"{name} cannot be committed at {base.uri}; the table is unchanged"):
        conditional_put.check(base.uri, base.options)
        held = {name: base.counter(name) for name in counters}
        delta = _opened(base) if base.delta else _create(base)
        for _ in range(_TRIES):
            _check_alike(base, delta, gone, held, is_whole=is_whole)
            try:
                _write(base, delta, [*removed, *added], info, counters)
            except (DeltaError, OSError) as exc:
                if _is_stored(base, delta.version(), info[_IDENTITY]):
                    return _renewed(base)
                if not isinstance(exc, CommitFailedError):
                    raise
            else:
                delta.update_incremental()
                return delta
            delta = _renewed(base)
        raise CommitFailedError("others kept committing")


def set_properties(
    base: Snapshot, properties: Mapping[str, str], lineage: Mapping[str, Any]
) -> None:
    """Set properties of a table; a missing table is created without rows.

    Raises:
        ConflictError: another writer was faster; nothing was stored.
        LakeError: the store cannot be written.
    """
    with explained(f"properties of {base.table.name} cannot be set at {base.uri}"):
        conditional_put.check(base.uri, base.options)
        if base.delta is None:
            _create(base, properties)
            return
        base.delta.alter.set_table_properties(
            dict(properties),
            raise_if_not_exists=False,
            commit_properties=CommitProperties(custom_metadata=dict(lineage)),
        )


def set_lake_properties(
    lake: "Lake", properties_of: Callable[[Snapshot], Mapping[str, str]], program: str
) -> None:
    """Set properties of the whole lake, stored in its table of instruments; retried if another
    writer was faster. A missing lake is created.

    Args:
        lake: to write to.
        properties_of: computes the properties by name from the table; empty to change nothing.
        program: name and version, for the lineage.

    Raises:
        ConflictError: other writers kept writing that table; nothing was changed.
        LakeError: the lake cannot be read or written; nothing was changed.
    """

    def set_once() -> None:
        base = lake.snapshot(INSTRUMENTS)
        if properties := properties_of(base):
            set_properties(base, properties, {"program": program})

    retrying(_MARK_TRIES)(set_once)


def retrying(tries: int) -> "tenacity.Retrying":
    """Return what repeats a call at once, up to so many times, if another writer was faster."""
    import tenacity  # noqa: PLC0415  (it takes a tenth of a second, and reading needs none)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(ConflictError),
        stop=tenacity.stop_after_attempt(tries),
        reraise=True,
    )


def _write(
    base: Snapshot,
    delta: DeltaTable,
    actions: list[RemoveAction | AddAction],
    info: Mapping[str, Any],
    counters: Mapping[str, int],
) -> None:
    """Commit the next version after the open one, or fail."""
    table = base.table
    delta.create_write_transaction(
        actions,
        mode="append",
        schema=Schema.from_arrow(table.arrow_schema),
        partition_by=[table.partition] if table.partition else None,
        commit_properties=CommitProperties(
            custom_metadata=dict(info),
            max_commit_retries=0,
            app_transactions=[Transaction(name, number) for name, number in counters.items()],
        ),
    )


def _create(base: Snapshot, properties: Mapping[str, str] | None = None) -> DeltaTable:
    """Create the table as version 0, or open it if another writer has just created it."""
    table = base.table
    try:
        # Without retries: the library would create the table that another writer has just created
        # again, as its next version.
        return DeltaTable.create(
            base.uri,
            schema=Schema.from_arrow(table.arrow_schema),
            partition_by=[table.partition] if table.partition else None,
            mode="error",
            configuration={**PROPERTIES, **(properties or {})},
            storage_options=dict(base.options) or None,
            commit_properties=CommitProperties(max_commit_retries=0),
            raise_if_key_not_exists=False,
        )
    except (DeltaError, OSError):
        found = open_table(table, base.uri, base.options)
        if found is None:
            raise
        if properties or found.version():
            raise CommitFailedError("another writer made the table") from None
        return found


def _check_alike(
    base: Snapshot,
    delta: DeltaTable,
    gone: set[str],
    counters: Mapping[str, int],
    *,
    is_whole: bool,
) -> None:
    """Refuse a table if another writer has changed what this commit was computed from."""
    is_counted = any((delta.transaction_version(n) or 0) != held for n, held in counters.items())
    paths = _paths(delta) if gone or is_whole else set()
    is_other = is_whole and paths != {file.path for file in base.files}
    if is_counted or is_other or not gone <= paths:
        raise ConflictError(
            f"{base.table.name} cannot be committed at {base.uri}; the table is unchanged: another "
            "writer was faster. Run the command again."
        )


def _paths(delta: DeltaTable) -> set[str]:
    return set(delta.get_add_actions().column("path").to_pylist())


def _opened(base: Snapshot) -> DeltaTable:
    """The open table of the base, if no earlier commit has advanced it; else it is opened again.
    The commit advances it to the next version.
    """
    is_own = base.delta is not None and base.delta.version() == base.version
    return base.delta if base.delta is not None and is_own else _renewed(base)


def _renewed(base: Snapshot) -> DeltaTable:
    found = open_table(base.table, base.uri, base.options)
    if found is None:
        raise CommitFailedError("the table was deleted")
    return found


def _is_stored(base: Snapshot, version: int, identity: str) -> bool:
    """Whether a failed commit is in the log after a version: a store may accept a commit while its
    reply is lost, and the writer would then conflict with its own commit.
    """
    where = f"{base.table.name} at {base.uri}"
    with explained(f"it is unknown whether {where} has the commit; run the command again"):
        delta = _renewed(base)
        newer = delta.version() - version
        return newer > 0 and any(entry.get(_IDENTITY) == identity for entry in delta.history(newer))
