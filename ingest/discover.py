"""Discovery: reads the lists of instruments of both hosts into the `instruments` table."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import polars as pl

from ingest.deribit.client import Exchange
from ingest.deribit.hosts import check_hosts
from ingest.deribit.instrument_records import (
    COINS,
    Instrument,
    LeftOut,
    ParsedRecords,
    Refused,
    read_records,
)
from lake import Lake
from lake.batches import append, commit_batch
from lake.commit import retrying
from lake.errors import ClosedDoorError, ExchangeError, UnreachableError
from lake.instrument_names import remember
from lake.properties.origin import check_origin, set_origin
from lake.table import BATCH
from lake.tables import INSTRUMENTS, RAW_CANDLES, RECORDS

# A simultaneous discovery makes the commit restart.
_COMMIT_TRIES = 10


class ListOf(NamedTuple):
    """A list of instruments.

    Attributes:
        coin: base coin of the futures.
        expired: whether it lists expired futures, not open ones.
    """

    coin: str
    expired: bool

    def __str__(self) -> str:
        """Return it as words in a sentence."""
        return f"the list of {'expired' if self.expired else 'active'} {self.coin} futures"


@dataclass(frozen=True, slots=True)
class Discovery:
    """Result of one discovery.

    Attributes:
        known: the whole `instruments` table afterwards.
        new: names that were not in the lake.
        changed: names whose listing or expiry changed.
        left_out_records: sound records outside of basislake's market, such as linear futures.
        refused: records that cannot be read.
        failed: lists that could not be read, or are incomplete, a sentence each; the lake keeps
            their instruments.
    """

    known: pl.DataFrame
    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    left_out_records: list[LeftOut] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def left_out(self) -> dict[str, int]:
        """Number of records outside of basislake's market, by reason."""
        return dict(Counter(record.reason for record in self.left_out_records))

    @property
    def is_complete(self) -> bool:
        """Whether no record that could be a dated BTC or ETH future is missing."""
        return not self.failed and not any(refused.could_be_dated for refused in self.refused)


def discover(exchange: Exchange, lake: Lake, program: str) -> Discovery:
    """Read every coin's futures from both hosts, and store changes.

    Active instruments come from `www`, expired ones from the `history` host. The lake keeps an
    instrument that is on no list any more. A list that cannot be read, or is incomplete, is
    reported; the records of the other lists are stored nevertheless.

    Args:
        exchange: to call.
        lake: whose `instruments` table is updated.
        program: name and version, for the commit's lineage.

    Raises:
        ClosedDoorError: `www` refuses all calls; nothing was stored.
        UnreachableError: there is no connection to `www`; nothing was stored.
        UsageError: the lake holds data of another exchange, or the hosts are of two exchanges.
        LakeError: the lake cannot be read or written.
    """
    check_hosts(exchange.name, exchange.history_name)
    check_origin(lake, exchange.name)
    lists, failed = _lists(exchange)
    failed += not_whole(lists, lake.snapshot(INSTRUMENTS).read())
    listing = read_records(record for records in lists.values() for record in records)
    # A record that cannot be read is on a list nevertheless.
    complete = not failed and not any(record.could_be_dated for record in listing.refused)
    origin = exchange.name, _clock(exchange, lake)
    store = retrying(_COMMIT_TRIES)
    before, known = store(_store, lake, listing, origin, program, complete=complete)
    remember(lake.uri, known["instrument"])
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
        # A record may be on the lists of both coins.
        left_out_records=list(dict.fromkeys(listing.left_out)),
        refused=listing.refused,
        failed=failed,
    )


def _clock(exchange: Exchange, lake: Lake) -> datetime | None:
    """The exchange's clock, if the lake has no exchange yet."""
    if lake.snapshot(INSTRUMENTS).origin:
        return None
    with suppress(ExchangeError):
        return exchange.server_time(most_retries=1)
    return None


def _store(
    lake: Lake,
    listing: ParsedRecords,
    origin: tuple[str, datetime | None],
    program: str,
    *,
    complete: bool,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Update the table, and return it before and after."""
    if listing.instruments:
        name, clock = origin
        set_origin(lake, name, program, clock)
    base = lake.snapshot(INSTRUMENTS)
    before = base.read()
    known = merge_known(before, listing.instruments.values(), complete=complete)
    changed = known.join(before, on=known.columns, how="anti", nulls_equal=True)
    if changed.height:
        info = {"program": program}
        number = commit_batch(lake, lake.snapshot(RAW_CANDLES), (), info)
        at = pl.lit(datetime.now(UTC), INSTRUMENTS.polars_schema["listed_at"])
        records = changed.with_columns(program=pl.lit(program), at=at)
        number, _ = append(lake, RECORDS, records, number, info)
        lake.replace(base, known, info, {BATCH: number})
    return before, known


def merge_known(
    before: pl.DataFrame, found: Iterable[Instrument], *, complete: bool
) -> pl.DataFrame:
    """Return the `instruments` table with found records replacing known ones of the same name.

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


def not_whole(lists: Mapping[ListOf, Sequence[object]], known: pl.DataFrame) -> list[str]:
    """Return a sentence for each incomplete list, so that no conclusion is drawn from what it
    lacks; pure.

    The list of a coin's active futures always contains its perpetual, and expired futures stay on
    their list for ever.

    Args:
        lists: as the exchange sent them, unparsed.
        known: the `instruments` table.
    """
    found = {which: _names(records, which.coin) for which, records in lists.items()}
    if known.is_empty() and len(lists) == 2 * len(COINS) and not any(found.values()):
        return ["the exchange lists no future at all."]
    failed = []
    for which, names in found.items():
        had = known.filter(base=which.coin)
        if which.expired:
            ended = set(had.filter(kind="future", active=False)["instrument"])
            held = len(ended & names)
            if held < len(ended) / 2:
                failed.append(f"{which} holds {held} of the {len(ended)} that the lake has.")
        else:
            is_traded = not had.is_empty() or names or found.get(ListOf(which.coin, expired=True))
            if is_traded and f"{which.coin}-PERPETUAL" not in names:
                failed.append(f"{which} does not hold {which.coin}-PERPETUAL, so it is incomplete.")
    return failed


def _names(records: Iterable[object], coin: str) -> set[str]:
    """The instruments of a coin among unparsed records."""
    found = read_records(records).instruments.values()
    return {instrument.instrument for instrument in found if instrument.base == coin}


def _lists(exchange: Exchange) -> tuple[dict[ListOf, list[object]], list[str]]:
    """The lists that could be read, unparsed, and a sentence for each that could not."""
    lists: dict[ListOf, list[object]] = {}
    failed = []
    # Active ones first: a future that expires between the two calls is on both lists.
    for expired in (False, True):
        for coin in COINS:
            which = ListOf(coin, expired)
            try:
                lists[which] = exchange.instruments(coin, expired=expired)
            except (ClosedDoorError, UnreachableError) as exc:
                if not expired:
                    # Without `www` there are neither candles nor a clock.
                    raise
                failed.append(f"the lists of expired futures: {_sentence(exc)}")
                break
            except ExchangeError as exc:
                failed.append(f"{which}: {_sentence(exc)}")
    return lists, failed


def _sentence(error: ExchangeError) -> str:
    """The message, which may end in the exchange's own words, with a full stop."""
    return f"{str(error).rstrip('.')}."
