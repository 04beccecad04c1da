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

from lake import log
from lake.schema import PROPERTIES
from lake.snapshot import Snapshot, explained


def transact(
    base: Snapshot,
    actions: Sequence[AddAction | RemoveAction],
    lineage: Mapping[str, Any],
    *,
    mode: Literal["append", "overwrite"] = "append",
    filters: list[tuple[str, str, Any]] | None = None,
    counters: Mapping[str, int] | None = None,
) -> int:
    """Commit actions and return the new version; the table is made where it does not exist.

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
    told = {**lineage, log.IDENTITY: uuid4().hex}
    with explained(f"{table.name} cannot be committed at {base.uri}; it is as it was before"):
        delta = base.delta or _create(base, told)
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
        return DeltaTable(base.uri, storage_options=dict(base.options) or None).version()


def _create(base: Snapshot, told: Mapping[str, Any]) -> DeltaTable:
    table, options = base.table, dict(base.options) or None
    try:
        return DeltaTable.create(
            base.uri,
            schema=Schema.from_arrow(table.arrow_schema),
            partition_by=[table.partition] if table.partition else None,
            mode="error",
            configuration=PROPERTIES,
            storage_options=options,
            commit_properties=CommitProperties(custom_metadata=dict(told)),
            raise_if_key_not_exists=False,
        )
    except (DeltaError, OSError) as exc:
        if not DeltaTable.is_deltatable(base.uri, options):
            raise
        found = DeltaTable(base.uri, storage_options=options)
        if found.version() or not log.is_named(found, told[log.IDENTITY], -1):
            raise CommitFailedError(str(exc)) from exc
        return found


def _is_stored(base: Snapshot, identity: str) -> bool:
    """Whether a commit that ended in an error is in the log: a store may take a commit and its
    reply be lost, and its writer would then find its own commit in the way.
    """
    where = f"{base.table.name} at {base.uri}"
    with explained(f"whether a commit to {where} is stored cannot be seen; run the command again"):
        delta = DeltaTable(base.uri, storage_options=dict(base.options) or None)
        # Version 0 only made the table.
        return log.is_named(delta, identity, base.version or 0)
