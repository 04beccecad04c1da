"""One atomic step of a table: files come and go together, or not at all."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import uuid4

from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Schema,
    Transaction,
)
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from lake import conditional, log
from lake.guard import explained
from lake.schema import PROPERTIES
from lake.snapshot import Snapshot, open_table


def transact(
    base: Snapshot,
    actions: Sequence[AddAction | RemoveAction],
    lineage: Mapping[str, Any],
    *,
    mode: Literal["append", "overwrite"] = "append",
    filters: list[tuple[str, str, Any]] | None = None,
    counters: Mapping[str, int] | None = None,
) -> int:
    """Commit actions; the table is made where it does not exist. Return its newest version then,
    which is another writer's where one has committed since.

    Args:
        base: the version that the change was worked out from.
        actions: files that come and go.
        lineage: kept in the commit.
        mode: `overwrite` also removes what the filters choose, all files by default.
        filters: on the partition column, as delta-rs takes them.
        counters: numbers to set; of two writers that set one from the same base only one succeeds.

    Raises:
        ConflictError: another writer was faster; nothing was stored.
        LakeError: the store cannot be written; nothing was stored, or the message says that it
            cannot be told.
    """
    table = base.table
    told = _named(lineage)
    with explained(f"{table.name} cannot be committed at {base.uri}; it is as it was before"):
        conditional.check(base.uri, base.options)
        delta = base.delta or _create(base, lineage)
        try:
            delta.create_write_transaction(
                list(actions),
                mode=mode,
                schema=Schema.from_arrow(table.arrow_schema),
                partition_by=[table.partition] if table.partition else None,
                partition_filters=filters,
                commit_properties=CommitProperties(
                    custom_metadata=told,
                    app_transactions=[Transaction(n, v) for n, v in (counters or {}).items()],
                ),
                post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
            )
        except (DeltaError, OSError):
            if not _is_stored(base, told[log.IDENTITY]):
                raise
        return base.newest().version()


def mark(base: Snapshot, properties: Mapping[str, str], lineage: Mapping[str, Any]) -> None:
    """Set properties of a table; the table is made, without rows, where it does not exist.

    Args:
        base: the newest version.
        properties: by name.
        lineage: kept in the commit.

    Raises:
        ConflictError: another writer was faster; nothing was stored.
        LakeError: the store cannot be written.
    """
    with explained(f"{base.table.name} cannot be marked at {base.uri}"):
        conditional.check(base.uri, base.options)
        if base.delta is None:
            _create(base, lineage, properties)
            return
        base.delta.alter.set_table_properties(
            dict(properties),
            raise_if_not_exists=False,
            commit_properties=CommitProperties(custom_metadata=dict(lineage)),
        )


def _create(
    base: Snapshot, lineage: Mapping[str, Any], properties: Mapping[str, str] | None = None
) -> DeltaTable:
    """Make the table, as its version 0, which nobody has written to yet.

    Raises:
        CommitFailedError: another writer made it, or wrote to it since.
    """
    table = base.table
    told = _named(lineage)
    try:
        # Without tries of its own: the library would make the table that another writer has just
        # made again, as its next version.
        made = DeltaTable.create(
            base.uri,
            schema=Schema.from_arrow(table.arrow_schema),
            partition_by=[table.partition] if table.partition else None,
            mode="error",
            configuration={**PROPERTIES, **(properties or {})},
            storage_options=dict(base.options) or None,
            commit_properties=CommitProperties(told, max_commit_retries=0),
            raise_if_key_not_exists=False,
        )
    except (DeltaError, OSError) as exc:
        found = open_table(table, base.uri, base.options)
        if found is None:
            raise
        made = found
        if not log.is_named(made, told[log.IDENTITY], -1):
            raise CommitFailedError(str(exc)) from exc
    if made.version():
        # What others wrote since would be taken for known, and no conflict be seen with it.
        raise CommitFailedError("another writer wrote to the new table")
    return made


def _named(lineage: Mapping[str, Any]) -> dict[str, Any]:
    return {**lineage, log.IDENTITY: uuid4().hex}


def _is_stored(base: Snapshot, identity: str) -> bool:
    """Whether a commit that ended in an error is in the log: a store may take a commit and its
    reply be lost, and its writer would then find its own commit in the way.
    """
    where = f"{base.table.name} at {base.uri}"
    with explained(f"whether a commit to {where} is stored cannot be seen; run the command again"):
        delta = open_table(base.table, base.uri, base.options)
        since = -1 if base.version is None else base.version
        return delta is not None and log.is_named(delta, identity, since)
