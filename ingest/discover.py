"""Discovery: which instruments there are, from both hosts, into the `instruments` table."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import polars as pl
import tenacity

from ingest.exchange import Exchange
from ingest.hosts import check_hosts
from ingest.records import COINS, Instrument, Listing, Refused, read_records
from lake import Lake
from lake.errors import ClosedDoorError, ConflictError, ExchangeError, UnreachableError
from lake.origin import check_origin, claim
from lake.tables import INSTRUMENTS

# A second discovery at the same time makes the commit start over.
_COMMIT_TRIES = 10


@dataclass(frozen=True, slots=True)
class Discovery:
    """What one discovery found.

    Attributes:
        known: the whole `instruments` table afterwards.
        new: names that the lake did not know before.
        changed: names whose life differs from what the lake knew.
        left_out: records out of scope, counted by reason.
        refused: records that cannot be read.
        failed: lists that could not be had, a sentence each; what the lake knew of them is kept.
    """

    known: pl.DataFrame
    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether nothing that could be a dated BTC or ETH future is missing."""
        return not self.failed and not any(refused.could_be_dated for refused in self.refused)


def discover(exchange: Exchange, lake: Lake, program: str) -> Discovery:
    """Ask both hosts for every coin's futures, and store what is new.

    Active instruments come from `www`, expired ones from the `history` host. An instrument that the
    lake knows and no list holds any more is kept. A list that cannot be had is named; the others
    are stored all the same.

    Args:
        exchange: to ask.
        lake: whose `instruments` table is brought up to date.
        program: name and version, for the commit's lineage.

    Raises:
        ClosedDoorError: the exchange refuses all calls.
        UnreachableError: there is no connection to `www`; nothing was stored.
        UsageError: the lake holds another exchange's market, or the two hosts are of two.
        LakeError: the lake cannot be read or written.
    """
    check_hosts(exchange.name, exchange.history_name)
    check_origin(lake, exchange.name)
    listing, failed = _listings(exchange)
    store = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(ConflictError),
        stop=tenacity.stop_after_attempt(_COMMIT_TRIES),
        reraise=True,
    )
    before, known = store(_store, lake, listing, exchange.name, program, complete=not failed)
    lives = dict(
        zip(before["instrument"], before.select("listed_at", "expires_at").rows(), strict=True)
    )
    return Discovery(
        known=known,
        new=sorted(set(listing.instruments) - set(lives)),
        changed=sorted(
            name
            for name, found in listing.instruments.items()
            if name in lives and lives[name] != (found.listed_at, found.expires_at)
        ),
        left_out=listing.left_out,
        refused=listing.refused,
        failed=failed,
    )


def _store(
    lake: Lake, listing: Listing, origin: str, program: str, *, complete: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bring the table up to date, and return it as it was and as it is."""
    if listing.instruments:
        claim(lake, origin, program)
    base = lake.snapshot(INSTRUMENTS)
    before = base.read()
    known = merge_known(before, listing.instruments.values(), complete=complete)
    if known.height:
        lake.replace(base, known, {"program": program})
    return before, known


def merge_known(
    before: pl.DataFrame, found: Iterable[Instrument], *, complete: bool
) -> pl.DataFrame:
    """Return the `instruments` table with what was found in place of what was known by the name.

    Args:
        before: the table as it was.
        found: on the exchange's lists.
        complete: whether all lists were read; then an instrument found on none is no longer active.
    """
    rows = pl.DataFrame([asdict(i) for i in found], schema=INSTRUMENTS.polars_schema)
    kept = before.join(rows, on="instrument", how="anti")
    if complete:
        kept = kept.with_columns(active=pl.lit(value=False))
    return INSTRUMENTS.cast(pl.concat([kept.select(rows.columns), rows]))


def _listings(exchange: Exchange) -> tuple[Listing, list[str]]:
    records: list[object] = []
    failed = []
    asks = (
        ("active", exchange.active_instruments),
        # After the active ones: what expires between the two calls is then on both lists.
        ("expired", exchange.expired_instruments),
    )
    for which, ask in asks:
        for coin in COINS:
            try:
                records += ask(coin)
            except ClosedDoorError:
                raise
            except UnreachableError as exc:
                if which == "active":
                    # Without it there are neither candles nor a clock.
                    raise
                failed.append(f"the lists of {which} futures: {exc}")
                break
            except ExchangeError as exc:
                failed.append(f"the list of {which} {coin} futures: {exc}")
    return read_records(records), failed
