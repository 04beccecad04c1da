"""A market of real size, with the contracts that Deribit's rules gave since 2018."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from basislake.simulator.contracts import (
    WEEKLY_LIFE,
    dated_name,
    fridays,
    is_month_end,
    is_quarter_end,
    listed_contract,
    milliseconds,
)
from basislake.simulator.market import Contract
from basislake.simulator.universe import Universe, make_universe

_PERPETUAL_OPENINGS = {
    "BTC": datetime(2018, 8, 14, 10, 24, tzinfo=UTC),
    "ETH": datetime(2019, 3, 14, 13, 0, tzinfo=UTC),
}
_FIRST_EXPIRY = datetime(2019, 6, 28, 8, tzinfo=UTC)
# From this expiry on every Friday has a future; before there were only quarterlies.
_FIRST_WEEKLY = datetime(2021, 4, 2, 8, tzinfo=UTC)
_MONTHLY_LIFE = timedelta(days=60)
_EARLY_QUARTERLY_LIFE = timedelta(days=270)
_QUARTERLY_LIFE = timedelta(days=365)


def full_universe(seed: int, now: datetime, *, until: datetime | None = None) -> Universe:
    """Make a universe of both perpetuals and of all dated futures that expire from June 2019 on.

    At the end of October 2025 these are about 500 contracts and 45 million candles. Candles are
    computed only on request.

    Args:
        seed: of the market.
        now: the exchange's clock.
        until: contracts listed until then are included, for a clock that runs on from `now`; by
            default those listed by `now`.

    Raises:
        ValueError: a time lacks its time zone.
    """
    last = until or now
    last_ms = milliseconds(last)
    contracts = [
        contract
        for coin, opening in _PERPETUAL_OPENINGS.items()
        for contract in _coin_contracts(seed, coin, opening, last)
        if contract.is_listed(last_ms)
    ]
    first = min(_PERPETUAL_OPENINGS.values())
    return make_universe(seed, contracts, milliseconds(first), milliseconds(now))


def _coin_contracts(seed: int, coin: str, opening: datetime, last: datetime) -> Iterator[Contract]:
    yield listed_contract(seed, coin, f"{coin}-PERPETUAL", opening, None)
    for expiry in fridays(_FIRST_EXPIRY, last + _QUARTERLY_LIFE):
        life = _life(expiry)
        if life is not None:
            name, begin = dated_name(coin, expiry), max(opening, expiry - life)
            yield listed_contract(seed, coin, name, begin, expiry)


def _life(expiry: datetime) -> timedelta | None:
    """How long the future of a Friday is listed; None if there is none."""
    if expiry < _FIRST_WEEKLY:
        return _EARLY_QUARTERLY_LIFE if is_quarter_end(expiry) else None
    if is_quarter_end(expiry):
        return _QUARTERLY_LIFE
    return _MONTHLY_LIFE if is_month_end(expiry) else WEEKLY_LIFE
