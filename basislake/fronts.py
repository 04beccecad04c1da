"""The front quarterly future of each coin in its newest minute: what the basis is now."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from lake import Lake
from lake.snapshot import Snapshot
from lake.tables import BASIS, INSTRUMENTS
from lake.terms import QUARTERLY


@dataclass(frozen=True, slots=True)
class Front:
    """A coin's basis at one minute.

    Attributes:
        coin: base coin.
        instrument: the quarterly that expires first of those that are open then; where there is
            none, the future that expires last.
        ts: the newest minute that it has a basis in.
        days_to_expiry: from then.
        future_close: quote per base.
        perpetual_close: quote per base.
        basis_pct: percent of the perpetual's close.
        annualised_pct: percent a year; None in the last hour.
    """

    coin: str
    instrument: str
    ts: datetime
    days_to_expiry: float
    future_close: float
    perpetual_close: float
    basis_pct: float
    annualised_pct: float | None


def fronts(where: Lake) -> list[Front]:
    """Return the front quarterly of each coin that has a basis.

    Raises:
        LakeError: the lake cannot be read.
    """
    still = where.state()
    basis, known = still.snapshot(BASIS), still.read(INSTRUMENTS).filter(kind="future")
    ends = {name: file[-1].last for name, file in basis.by_partition().items()}
    found = []
    for (coin,), futures in known.partition_by("base", as_dict=True).items():
        lives = [
            (row["expires_at"], row["instrument"], row["term"])
            for row in futures.sort("expires_at").iter_rows(named=True)
            if row["instrument"] in ends
        ]
        newest = max((end for _, name, _ in lives if (end := ends[name])), default=None)
        if newest and (name := _front(lives, newest)):
            found.append(Front(str(coin), name, **_newest(basis, name)))
    return sorted(found, key=lambda front: front.coin)


def _front(lives: Iterable[tuple[datetime, str, str]], newest: datetime) -> str | None:
    """The name of the front, of (expiry, name, term) by expiry."""
    alive = [(name, term) for expires_at, name, term in lives if expires_at > newest]
    quarterlies = [name for name, term in alive if term == QUARTERLY]
    return next(iter(quarterlies), alive[-1][0] if alive else None)


def _newest(basis: Snapshot, name: str) -> dict[str, Any]:
    last = max(basis.of(name), key=lambda file: (file.last is not None, file.last))
    columns = list(Front.__dataclass_fields__)[2:]
    rows = basis.rows_of([last], pl.col("ts") == last.last) if last.last else basis.rows_of([last])
    return rows.sort("ts").tail(1).select(columns).row(0, named=True)
