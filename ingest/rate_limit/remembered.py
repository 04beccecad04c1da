"""The rate that an exchange permitted, stored on this machine for the next run.

It is only a start value: if the file cannot be used, calls continue without it.
"""

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ingest.rate_limit.allowance import AUTO, CALLS, Rate
from lake.machine.shared_folder import state_folder

# Starting from scratch takes some seconds, so an old rate is not worth a refusal.
_LONGEST_S = 7 * 86_400.0
# A rate similar to the stored one is written again only after so long.
_FRESH_S = 3_600.0
_SAME = 0.01


class Remembered:
    """The rate of one exchange, in a small file that is replaced as a whole."""

    def __init__(self, url: str, environment: Mapping[str, str] = os.environ) -> None:
        """Name the file; nothing is read or written.

        Args:
            url: of the exchange; each host has a rate of its own.
            environment: environment variables, which determine the file.
        """
        folder = state_folder(environment)
        self._path = folder / f"rate-{host_tag(url)}.json" if folder else None

    def read(self, now: float) -> float | None:
        """Return calls a second, None if no usable rate is stored.

        Args:
            now: seconds since 1970.
        """
        found = self._found(now)
        return found[0] if found else None

    def write(self, calls_per_second: float, now: float) -> None:
        """Store a rate, if the file can be written."""
        found = self._found(now)
        if found and now - found[1] < _FRESH_S:
            known = found[0]
            if abs(calls_per_second - known) <= _SAME * known:
                return
        if self._path is None:
            return
        own = self._path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            own.write_text(json.dumps({"calls_per_second": calls_per_second, "at": now}) + "\n")
            own.replace(self._path)

    def _found(self, now: float) -> tuple[float, float] | None:
        """The rate and the time of its writing; a future time is of another clock."""
        if self._path is None:
            return None
        try:
            held: Any = json.loads(self._path.read_bytes())
            rate, at = float(held["calls_per_second"]), float(held["at"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        is_rate = 0 < rate <= CALLS.calls_per_second
        return (rate, at) if is_rate and 0 <= now - at <= _LONGEST_S else None


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected rate of a backfill.

    Attributes:
        calls_per_second: 0 without a limit.
        rate_source: `given` (the setting is a number), `remembered`, or `published`.
    """

    calls_per_second: float
    rate_source: str


def expected(rate: Rate, remembered: float | None) -> Expected:
    """Return the expected rate of a backfill; pure."""
    if rate != AUTO:
        return Expected(0.0 if math.isinf(rate) else rate, "given")
    if remembered:
        return Expected(remembered, "remembered")
    return Expected(CALLS.calls_per_second, "published")


def host_tag(url: str) -> str:
    """A name for the exchange at a URL: its host and port, without a password."""
    host = url.rpartition("://")[2].partition("/")[0].rpartition("@")[2]
    return sha256(host.encode()).hexdigest()[:12]
