"""Puts commits of a copied lake into a table's log, each only where no commit of its version is.

On disk a file is linked to its place, which fails where one is. For a store the library offers no
such put to others, only to its own commits: so an empty commit of the library reserves the version,
and is replaced by the one that is copied. It names that one by its digest, so that a copy that was
killed in between goes on from there, and no other copy takes its place.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pyarrow.fs as pafs
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema
from deltalake.exceptions import CommitFailedError, DeltaError

from lake import conditional, files
from lake.errors import ConflictError
from lake.tables import Table

_RESERVED = "reserved_for"


class LogWriter:
    """Puts commits into one table's log, version after version."""

    def __init__(self, table: Table, uri: str, options: Mapping[str, str]) -> None:
        """Name the table; nothing is read or written.

        Args:
            table: the declaration.
            uri: the table's folder.
            options: storage options of the object store.
        """
        self._table = table
        self._uri = uri
        self._options = dict(options)
        self._delta: DeltaTable | None = None

    def put(self, version: int, path: str, data: bytes) -> None:
        """Put a commit.

        Args:
            version: that it makes; all before it are there.
            path: of its file, in the table's folder.
            data: all of the file.

        Raises:
            ConflictError: the version is there; it is as it was.
            LakeError: the store takes a second commit in place of the first.
            DeltaError, OSError: the store cannot be written; see `lake.guard.explained`.
        """
        if files.is_local(self._uri):
            is_ours = _is_linked(Path(self._uri) / path, data)
        else:
            conditional.check(self._uri, self._options)
            store = files.filesystem(self._uri, self._options)
            is_ours = self._is_reserved(store, version, path, sha256(data).hexdigest())
            if is_ours:
                files.put(store, path, data)
        if not is_ours:
            raise ConflictError(
                f"Another writer committed version {version} of {self._table.name} at {self._uri} "
                "while it was copied to. That commit is stored and nothing took its place. The "
                "rest was not copied; choose a place that is empty, where nothing else writes."
            )

    def _is_reserved(self, store: pafs.FileSystem, version: int, path: str, digest: str) -> bool:
        """Reserve a version for the commit of a digest; False where another commit is there."""
        try:
            self._reserve(version, digest)
        except (DeltaError, OSError):
            # Also where the store took the reservation and its reply was lost.
            self._delta = None
            if store.get_file_info(path).type == pafs.FileType.NotFound:
                raise
            return reserved_for(files.get(store, path)) == digest
        return True

    def _reserve(self, version: int, digest: str) -> None:
        table = self._table
        schema = Schema.from_arrow(table.arrow_schema)
        partition_by = [table.partition] if table.partition else None
        told = CommitProperties({_RESERVED: digest}, max_commit_retries=0)
        if version == 0:
            self._delta = DeltaTable.create(
                self._uri,
                schema,
                mode="error",
                partition_by=partition_by,
                storage_options=self._options or None,
                commit_properties=told,
            )
            return
        delta = self._delta or DeltaTable(self._uri, storage_options=self._options or None)
        if delta.version() < version - 1:
            delta.update_incremental()
        if delta.version() != version - 1:
            raise CommitFailedError(f"the newest version is {delta.version()}")
        delta.create_write_transaction(
            [],
            mode="append",
            schema=schema,
            partition_by=partition_by,
            commit_properties=told,
            post_commithook_properties=PostCommitHookProperties(
                create_checkpoint=False, cleanup_expired_logs=False
            ),
        )
        self._delta = delta


def reserved_for(commit: bytes) -> str | None:
    """Return the digest of the commit that a commit reserves its version for; None where it does
    not.
    """
    lines: list[dict[str, Any]] = [orjson.loads(line) for line in commit.splitlines()]
    infos = [line["commitInfo"] for line in lines if "commitInfo" in line]
    return next((info[_RESERVED] for info in infos if _RESERVED in info), None)


def _is_linked(target: Path, data: bytes) -> bool:
    """Put a file where none is, as a whole; False where one is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Readers of tables pass over such a name.
    half = target.with_name(f"{target.name}#{uuid4().int}")
    try:
        half.write_bytes(data)
        _link(half, target)
    except FileExistsError:
        return False
    finally:
        half.unlink(missing_ok=True)
    return True


def _link(half: Path, target: Path) -> None:
    try:
        target.hardlink_to(half)
    except OSError as exc:
        # No program commits to a table where there are no links, so none can be in the way.
        if exc.errno not in conditional.NO_LINKS:
            raise
        if target.exists():
            raise FileExistsError(target) from exc
        half.rename(target)
