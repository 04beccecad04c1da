"""Rows for the driver: one small Arrow batch after the other."""

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

# The driver encodes one Arrow batch at a time; this many rows keep its buffer to a few megabytes.
_ROWS_PER_BATCH = 65_536


class Batches:
    """The batches of an iterable of Arrow tables.

    Attributes:
        raised: the exception of the iterable; the driver keeps only its text.
    """

    def __init__(self, pieces: Iterable[pa.Table], check: Callable[[], None]) -> None:
        """Prepare; nothing is read yet.

        Args:
            pieces: of rows.
            check: called before each batch; may raise.
        """
        self.raised: BaseException | None = None
        self._pieces = iter(pieces)
        self._check = check
        self._ready: list[pa.RecordBatch] = []

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Return itself."""
        return self

    def __next__(self) -> pa.RecordBatch:
        """Return the next batch, reading a piece if the previous one is used up."""
        try:
            self._check()
            while not self._ready:
                self._ready = next(self._pieces).to_batches(max_chunksize=_ROWS_PER_BATCH)
            return self._ready.pop(0)
        except StopIteration:
            raise
        except BaseException as exc:
            self.raised = exc
            raise
