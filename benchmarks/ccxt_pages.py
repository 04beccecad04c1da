"""Candle pagination by ccxt, in its own environment; `backfill.py` creates that and starts this.

    python ccxt_pages.py EXCHANGE_URL LIVES

LIVES is a JSON file of `[instrument, first, end]`, UTC milliseconds. Prints one JSON object. What
ccxt gives is counted and dropped; nothing is written.
"""

import importlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

_PAGE = 5_000
_MINUTE_MS = 60_000


def main() -> None:
    """Fetch, and print the measurements."""
    url, lives = sys.argv[1:]
    client = _client(url, json.loads(Path(lives).read_text()))
    before_s, start_s = _cpu_s(), time.monotonic()
    pages = candles = 0
    for name, first, end in json.loads(Path(lives).read_text()):
        for since in range(first, end, _PAGE * _MINUTE_MS):
            # After its expiry, an expired future's candles continue, flat.
            is_last = since + _PAGE * _MINUTE_MS >= end
            params = {"until": end - _MINUTE_MS} if is_last else {}
            candles += len(client.fetch_ohlcv(name, "1m", since, _PAGE, params))
            pages += 1
    figures = {
        "candles": candles,
        "calls": pages,
        "seconds": time.monotonic() - start_s,
        "cpu_s": _cpu_s() - before_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }
    print(json.dumps(figures))


def _client(url: str, lives: list[tuple[str, int, int]]) -> Any:  # noqa: ANN401  (ccxt is of another environment)
    """A client of the exchange without a limit; ccxt itself lists no expired futures."""
    client = importlib.import_module("ccxt").deribit({"enableRateLimit": False})
    client.urls["api"] = {"rest": url}
    client.set_markets([{"id": name, "symbol": name, "spot": False} for name, _, _ in lives])
    return client


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
