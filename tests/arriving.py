"""Raw candles that arrive in small batches, as a backfill commits them, and builds of them."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import timedelta
from tempfile import TemporaryDirectory

import polars as pl

from lake import Lake
from lake.files.slices import slices
from lake.history.as_of import past
from lake.tables import BASIS, CANDLES, PERIODS, QUALITY, QUARANTINE, WARNINGS
from lake.time.intervals import MINUTE
from tests.lakes import append, ask, instrument, record
from tests.spiked import EXPIRIES, START
from transforms.build import build

PROGRAM = "basislake test"
WHOLE = (QUARANTINE, PERIODS, WARNINGS, QUALITY)


def prepare(lake: Lake, raw: Mapping[str, pl.DataFrame], later: timedelta = timedelta(0)) -> None:
    """Records of all instruments, and these asked for, complete from the first; no candles.

    Args:
        lake: an empty lake.
        raw: candles that will come.
        later: how much later they are than those of `tests.spiked`.
    """
    records = [
        {
            **instrument(name, expires_at + later if expires_at else None),
            "base": "BTC",
            "listed_at": START + later,
        }
        for name, expires_at in EXPIRIES.items()
    ]
    number = record(lake, records)
    tiles = ((n, START + later, frame["ts"][-1], "present") for n, frame in raw.items())
    ask(lake, number, *tiles)


def arrive(
    lake: Lake,
    parts: Mapping[str, Sequence[pl.DataFrame]],
    repeats: Mapping[str, int] | None = None,
) -> None:
    """Commit raw candles as the next batch, each frame a file, with rows of `asks` whose answers
    had so many repeats.
    """
    number = append(lake, parts)
    for name, frames in parts.items():
        times = pl.concat([frame["ts"] for frame in frames]).sort()
        tile = (name, times[0], times[-1] + MINUTE, "present")
        ask(lake, number, tile, duplicates=(repeats or {}).get(name, 0))


def built_elsewhere(lake: Lake, executor: Executor, as_of: int | None = None) -> dict[str, object]:
    """All that a build makes of a lake's raw tables, as of a batch or now, in an empty lake."""
    with TemporaryDirectory() as folder:
        target = Lake(folder)
        build(past(lake, as_of) if as_of else lake, executor, PROGRAM, target=target)
        return contents(target)


def contents(lake: Lake) -> dict[str, object]:
    """All that a build makes, by content."""
    still = lake.state()
    parts: dict[str, object] = {
        f"{table.name}/{own.name}": own.digest()
        for table in (CANDLES, BASIS)
        for own in slices(still.snapshot(table))
    }
    whole = {table.name: still.read(table).rows() for table in WHOLE}
    return {**parts, **whole}


@contextmanager
def new_lake(raw: Mapping[str, pl.DataFrame], later: timedelta = timedelta(0)) -> Iterator[Lake]:
    """A prepared lake, deleted afterwards; see `prepare`."""
    with TemporaryDirectory() as folder:
        lake = Lake(folder)
        prepare(lake, raw, later)
        yield lake
