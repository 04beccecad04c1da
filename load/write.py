"""Writes partitions to the database and deletes them: each change is one verified transaction."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import groupby, zip_longest
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from lake.errors import LoadError
from lake.table import Table
from load.ddl import (
    STAGED,
    add_key_sql,
    comments_sql,
    create_table_sql,
    delete_left_sql,
    insert_new_sql,
    lock_left_sql,
    qualified,
    range_index_sql,
    stage_sql,
    update_changed_sql,
    where_sql,
)
from load.failures import FAILURES, ServerError, reason
from load.foreign_keys import check_left
from load.ledger import Entry, Key, Ledger
from load.plan import Fill, PartitionJob
from load.postgres import Database
from load.source import Partition
from load.tables import RANGE_INDEXES, TABLES, all_parameters, parameters
from load.verify import Aggregate, all_figures_sql, figures, figures_sql, mismatches

# The lock of a load ends with its session, which an administrator may end; two loads of one
# partition then take turns. Otherwise the ledger could record one load and the table the other.
_IN_TURN_SQL = """
    SELECT pg_advisory_xact_lock(hashtextextended('basislake partition ' || name, 0))
    FROM unnest($1::text[]) AS name
"""


class Sent(NamedTuple):
    """Result of sending a partition.

    Attributes:
        rows: sent.
        appended: whether they were added to rows that did not change.
    """

    rows: int
    appended: bool = False


class _Content(NamedTuple):
    """A partition to send: its rows of PostgreSQL, and its new entry in the ledger."""

    job: PartitionJob
    frame: pl.DataFrame
    entry: Entry


class Writer:
    """Changes the partitions of one schema over one connection."""

    def __init__(self, database: Database, schema: str) -> None:
        """Use a connection, exclusively, for the tables of a schema."""
        self._database = database
        self._schema = schema
        self._ledger = Ledger(database, schema)

    def send(self, *jobs: PartitionJob) -> list[tuple[PartitionJob, Sent]]:
        """Make the database's rows equal to partitions of a table. Stored rows that are equal, byte
        for byte, are not touched. Of partitions whose earlier rows are all stored only the new ones
        are sent, in one transaction; each of the others is one.

        Raises:
            LoadError: one failed; its stored rows are unchanged. If the connection was lost during
                the commit, it has the old rows or all new ones.
        """
        sent = self._append([job for job in jobs if job.stored])
        done = {job.partition.key for job, _ in sent}
        return sent + [(job, self._replace(job)) for job in jobs if job.partition.key not in done]

    def _append(self, jobs: Sequence[PartitionJob]) -> list[tuple[PartitionJob, Sent]]:
        """Send the new rows at the ends of partitions, except those whose other rows changed since
        they were loaded; of none if the database does not take them, or had other rows.
        """
        if not jobs:
            return []
        table, found = jobs[0].partition.feed.table, []
        try:
            with self._transaction([job.partition.key for job in jobs], "loaded into"):
                for job in jobs:
                    rows = job.partition.read()
                    if job.held and job.partition.begins_with(rows, job.held):
                        found.append(_content(job, rows))
                if found:
                    self._ingest(table, *(each.frame.slice(each.job.stored) for each in found))
                    self._verify(table, found)
        except LoadError as exc:
            why = exc.__cause__
            is_about_rows = not isinstance(why, ServerError) or why.is_about_rows
            if not isinstance(why, LoadError) or not is_about_rows:
                raise
            return []  # a user changed rows, or added some
        return [(e.job, Sent(e.frame.height - e.job.stored, appended=True)) for e in found]

    def _replace(self, job: PartitionJob) -> Sent:
        key, table = job.partition.key, job.partition.feed.table
        with self._transaction([key], "loaded into"):
            content = _content(job, job.partition.read())
            if self._holds(key):
                self._merge(key, content.frame)
            else:
                self._ingest(table, content.frame)
            self._verify(table, [content])
        return Sent(content.frame.height)

    def _holds(self, key: Key) -> bool:
        """Whether the database has any row of a partition."""
        table = TABLES[key[0]]
        sql = f"SELECT EXISTS (SELECT FROM {qualified(table, self._schema)}{where_sql(table)})"
        return bool(self._database.query(sql, parameters(TABLES[key[0]], key[1]))[0][0])

    def _merge(self, key: Key, frame: pl.DataFrame) -> None:
        """Delete rows that were deleted in the lake, update changed ones, and add new ones."""
        table, schema = TABLES[key[0]], self._schema
        chosen = parameters(table, key[1])
        self._database.execute(stage_sql(table, schema))
        self._database.ingest("pg_temp", STAGED, [table.to_arrow(frame)], table.arrow_schema)
        self._database.execute(f"ANALYZE pg_temp.{STAGED}")
        # A locked row cannot be referred to between the check and its deletion.
        if self._database.query(lock_left_sql(table, schema), chosen)[0][0]:
            check_left(self._database, schema, key)
            self._database.execute(delete_left_sql(table, schema), chosen)
        self._database.execute(update_changed_sql(table, schema), chosen)
        self._database.execute(insert_new_sql(table, schema), chosen)

    def fill(self, fill: Fill, report: Callable[[PartitionJob], None]) -> None:
        """Create a table, send its partitions, then build its keys and indexes, and verify it: one
        transaction, so no session sees a part of it.

        Args:
            fill: the missing table, and its partitions.
            report: called after each sent partition.

        Raises:
            LoadError: it failed; the table does not exist, as before.
        """
        table, schema = fill.table, self._schema
        with self._transaction([(table.name, "")], "loaded into"):
            for sql in (create_table_sql(table, schema, keyed=False), *comments_sql(table, schema)):
                self._database.execute(sql)
            expected: dict[str, list[Aggregate]] = {}
            entries: list[tuple[PartitionJob, Entry]] = []
            with closing(self._pieces(fill, expected, entries, report)) as pieces:
                self._database.ingest(schema, table.name, pieces, table.arrow_schema)
            self._database.execute(add_key_sql(table, schema))
            for sql in index_sqls(table, schema):
                self._database.execute(sql)
            self._database.execute(f"ANALYZE {qualified(table, schema)}")
            self._verify_all(fill, expected)
            self._enter(*entries)

    def _pieces(
        self,
        fill: Fill,
        expected: dict[str, list[Aggregate]],
        entries: list[tuple[PartitionJob, Entry]],
        report: Callable[[PartitionJob], None],
    ) -> Generator[pa.Table]:
        """Read a table's partitions of one instrument while those of the previous one are sent."""
        table, version = fill.table, self._database.version
        groups = [list(own) for _, own in groupby(fill.jobs, lambda job: job.partition.instrument)]

        def read(jobs: list[PartitionJob]) -> tuple[pa.Table, list[Aggregate]]:
            frames = []
            for job in jobs:
                with _named(job.partition):
                    rows = job.partition.read()
                    entries.append((job, Entry(job.partition.digest(rows), rows.height)))
                    frames.append(job.partition.frame(rows))
            frame = pl.concat(frames)
            return table.to_arrow(frame), figures(table, frame, version)

        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(read, groups[0])
            for jobs, following in zip_longest(groups, groups[1:]):
                rows, expected[jobs[0].partition.instrument] = coming.result()
                if following:
                    coming = ahead.submit(read, following)
                yield rows
                for job in jobs:
                    report(job)

    def remove(self, key: Key) -> None:
        """Delete a partition that the lake no longer has, and its entry in the ledger.

        Raises:
            LoadError: it cannot be deleted; it is unchanged.
        """
        with self._transaction([key], "removed from"):
            self._merge(key, TABLES[key[0]].empty())
            self._ledger.delete(key)

    def _ingest(self, table: Table, *frames: pl.DataFrame) -> None:
        rows = map(table.to_arrow, frames)
        self._database.ingest(self._schema, table.name, rows, table.arrow_schema)

    def _verify(self, table: Table, sent: Sequence[_Content]) -> None:
        """Verify whole partitions, and write their entries into the ledger."""
        # Run deferred triggers and foreign keys now, before the comparison, not at the commit.
        self._database.execute("SET CONSTRAINTS ALL IMMEDIATE")
        parts = [content.job.partition.name for content in sent]
        expected = [figures(table, each.frame, self._database.version) for each in sent]
        sql = figures_sql(table, self._schema, expected[0])
        got = {row[0]: row[1:] for row in self._database.query(sql, all_parameters(parts))}
        for name, wanted in zip(parts, expected, strict=True):
            _check(wanted, got[name])
        self._enter(*((each.job, each.entry) for each in sent))

    def _verify_all(self, fill: Fill, expected: dict[str, list[Aggregate]]) -> None:
        """Verify all instruments of a table, in one pass over it."""
        sql = all_figures_sql(fill.table, self._schema, next(iter(expected.values())))
        got = {row[0]: row[1:] for row in self._database.query(sql)}
        for job in fill.jobs:
            name = job.partition.instrument
            if name in expected:
                wanted = expected.pop(name)
                with _named(job.partition):
                    _check(wanted, got.pop(name, (None,) * len(wanted)))
        if got:
            raise LoadError(f"It has rows that were not sent: {', '.join(sorted(got))}")

    def _enter(self, *loaded: tuple[PartitionJob, Entry]) -> None:
        self._ledger.write((job.partition.key, new, job.partition.batch) for job, new in loaded)

    @contextmanager
    def _transaction(self, keys: Sequence[Key], done: str) -> Iterator[None]:
        """Commit the block's changes to some partitions, or undo them, whatever ends the block."""
        try:
            self._database.begin()
            # In order, so that two loads never wait for each other.
            names = sorted(".".join((self._schema, *key)) for key in keys)
            self._database.query(_IN_TURN_SQL, (names,))
            yield
            self._database.commit()
        except BaseException as exc:
            self._database.undo()
            if not isinstance(exc, FAILURES):
                raise
            raise LoadError(self._message(keys, done, reason(exc))) from exc

    def _message(self, keys: Sequence[Key], done: str, why: str) -> str:
        (table, partition), *more = keys
        what = f"The partition {partition} of {table}" if partition else f"The table {table}"
        what += f" (and {len(more)} more of its transaction)" if more else ""
        where = f"{done} {self._database.shown}"
        if self._database.is_in_doubt:
            return (
                f"{what} may have been {where}. {why}. The connection was lost during the commit, "
                "so the server stored all rows with their entry in lake_loads, or nothing. Load "
                "again; the next load finds out and continues."
            )
        kept = "Its rows in the database are unchanged" if partition else "It does not exist"
        return (
            f"{what} was not {where}. {why}. {kept}, and everything loaded before it is kept. "
            "Load again to continue."
        )


def index_sqls(table: Table, schema: str) -> list[str]:
    """Return the statements that create a table's indexes in addition to its key."""
    columns = RANGE_INDEXES.get(table.name)
    return [range_index_sql(table, schema, columns)] if columns else []


def _content(job: PartitionJob, rows: pl.DataFrame) -> _Content:
    entry = Entry(job.partition.digest(rows), rows.height)
    return _Content(job, job.partition.frame(rows), entry)


def _check(expected: list[Aggregate], got: tuple[object, ...]) -> None:
    if wrong := mismatches(expected, got):
        raise LoadError(f"The rows in the database differ from those sent: {'; '.join(wrong)}")


@contextmanager
def _named(partition: Partition) -> Iterator[None]:
    try:
        yield
    except FAILURES as exc:
        raise LoadError(f"The partition {partition.name}: {reason(exc)}") from exc
