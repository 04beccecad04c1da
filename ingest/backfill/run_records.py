"""Records of backfills: plan, progress and result of each, for other terminals and later days.

A record is a JSON document `runs/ID.json` next to the tables, updated during the run; a lake
on disk also has `runs/ID.log`, with a line for each instrument.
"""

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from ingest.backfill.processes import Condition, condition, start_of
from lake import Lake, documents
from lake.errors import LakeError
from lake.properties.origin import first_clock

FOLDER = "runs"
# Names of runs begin with a year; other documents in the folder do not.
_NAMES = "[0-9]*"
_ROUND = "."
KEPT = 500

# A run updates its record about every second, so an older one is of a killed process. On this
# machine the process can be checked; only its pid may belong to another process by now.
_STALE = timedelta(seconds=30)
_STALE_HERE = timedelta(minutes=10)
_QUIET = timedelta(minutes=1)
_QUIET_FOLLOW = timedelta(minutes=10)
RUNNING, STUCK = "running", "stuck"
# The states of a run that has not ended.
GOING_ON = (RUNNING, STUCK)
_PID_START = "pid_start"
_RENEW_EVERY = timedelta(seconds=1)
# In an object store an update takes three requests, for which the run waits.
_RENEW_EVERY_REMOTE = timedelta(seconds=5)
_AHEAD = "exchange_ahead_s"
_SEEN = "exchange_now"
_NEEDED = {"run", "state", "host", "plan"}
# A run that was killed early, or of an older program, has not recorded it.
_NOTED_IN = 10
_MOST_AHEAD_S = 1e10
# No machine's clock is so far off; a larger difference means a simulated exchange.
_MOST_REAL_AHEAD_S = 3600.0
_JSON = orjson.OPT_UTC_Z | orjson.OPT_INDENT_2


class RunRecord:
    """The record of a running backfill.

    Attributes:
        id: of the run; sorts by the time it started.
        facts: the record, as plain values.
    """

    def __init__(
        self,
        lake: Lake,
        program: str,
        plan: Mapping[str, Any],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Write the first state.

        Args:
            lake: to write to.
            program: name and version.
            plan: figures of the plan.
            now: this machine's clock, UTC.

        Raises:
            LakeError: the lake cannot be written.
        """
        self._lake = lake
        self._now = now
        started_at = now()
        # The microsecond orders runs that began in the same second.
        moment = f"{started_at.microsecond:05x}{uuid4().hex[:3]}"
        self.id = f"{started_at:%Y%m%dT%H%M%SZ}-{moment}"
        self.facts: dict[str, Any] = {
            "run": self.id,
            "state": RUNNING,
            "started_at": started_at,
            "updated_at": started_at,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            _PID_START: start_of(os.getpid()),
            "program": program,
            "plan": dict(plan),
        }
        self._rounds = 0
        self._put()
        documents.prune(lake, FOLDER, KEPT, _NAMES)

    def next_round(self) -> str:
        """Return the name of the next round of a long run: steps missing in two rounds count as
        missing in two runs.
        """
        self._rounds += 1
        return f"{self.id}{_ROUND}{self._rounds}"

    def saw_clock(self, exchange_now: datetime) -> None:
        """Record the exchange's clock, and how far it is ahead of this machine's, for later days: a
        simulated market has its own time.
        """
        self.facts[_SEEN] = exchange_now
        self.facts[_AHEAD] = (exchange_now - self._now()).total_seconds()

    @property
    def log(self) -> Path | None:
        """The file with a line for each instrument; None if the lake is not on this disk."""
        return Path(self._lake.uri) / FOLDER / f"{self.id}.log" if self._lake.is_local else None

    def renew(self, facts: Callable[[], Mapping[str, Any]]) -> None:
        """Update the record, about once a second, in an object store once in five seconds;
        `facts` returns the changes.
        """
        every = _RENEW_EVERY if self._lake.is_local else _RENEW_EVERY_REMOTE
        if self._now() - self.facts["updated_at"] >= every:
            self._update(facts())

    def tell(self, instrument: str, status: str, figures: Mapping[str, object]) -> None:
        """Add an instrument's line to the log: time, name, status and figures as `name=value`."""
        if self.log is None:
            return
        shown = " ".join(f"{name}={_plain(value)}" for name, value in figures.items())
        try:
            with self.log.open("a", encoding="utf-8") as log:
                log.write(f"{self._now():%Y-%m-%dT%H:%M:%SZ} {instrument} {status} {shown}\n")
        except OSError:
            # The log is for people; its content is in the lake, and if the disk is full, the
            # commit reports that.
            return

    def end(self, state: str, facts: Mapping[str, Any]) -> None:
        """Write the last state."""
        self._update({**facts, "state": state})

    def _update(self, facts: Mapping[str, Any]) -> None:
        self.facts.update(facts, updated_at=self._now())
        try:
            self._put()
        except LakeError:
            # The run itself will report a problem with the lake when it commits.
            return

    def _put(self) -> None:
        documents.put(
            self._lake, f"{FOLDER}/{self.id}.json", orjson.dumps(self.facts, option=_JSON).decode()
        )


def runs(lake: Lake, newest: int, now: datetime | None = None) -> list[dict[str, Any]]:
    """Return the records of the newest runs, the last first; times are texts.

    A record in state `running` becomes `killed` if its process no longer exists, and `stuck` if the
    process exists and was stopped, or has written nothing for a minute. Runs that have not ended
    also have `quiet_seconds`, since the last update, and on this machine `is_stopped`.

    Args:
        lake: to read.
        newest: maximal number of records.
        now: this machine's clock, UTC.
    """
    at = now or datetime.now(UTC)
    found = documents.texts(lake, FOLDER, f"{_NAMES}.json", newest)
    records = [record for text in found.values() if (record := _read(text))]
    return [{**record, **_state(record, at)} for record in records]


def run_of(name: str) -> str:
    """Return the name of the run of a round, or of a run itself."""
    return name.partition(_ROUND)[0]


def exchange_ahead(lake: Lake) -> timedelta:
    """Return how far the exchange's clock was ahead of the machine that last read it; zero if no
    record has it.
    """
    seen = last_clock(lake, runs(lake, _NOTED_IN))
    return timedelta(seconds=seen.ahead_s) if seen else timedelta(0)


@dataclass(frozen=True, slots=True)
class ExchangeClock:
    """The exchange's clock as last seen.

    Attributes:
        seen: the exchange's time then, UTC.
        ahead_s: seconds that it was ahead of the clock of the program's machine.
    """

    seen: datetime
    ahead_s: float

    def at(self, now: datetime) -> datetime:
        """Return the exchange's time now. The clock of a simulated market, which is far from ours,
        may have stopped since; then the time last seen.

        Args:
            now: this machine's clock, UTC.
        """
        is_simulated = abs(self.ahead_s) > _MOST_REAL_AHEAD_S
        return self.seen if is_simulated else now + timedelta(seconds=self.ahead_s)


def last_clock(lake: Lake, records: Iterable[Mapping[str, Any]]) -> ExchangeClock | None:
    """Return the exchange's clock as last seen; None if nothing recorded it.

    Args:
        lake: to read.
        records: of its runs, the last first.

    Raises:
        LakeError: the lake cannot be read.
    """
    noted = first_clock(lake)
    found = next((clock for record in records if (clock := _clock_of(record))), None)
    return found or (ExchangeClock(*noted) if noted else None)


def _clock_of(record: Mapping[str, Any]) -> ExchangeClock | None:
    ahead_s = record.get(_AHEAD)
    if not isinstance(ahead_s, int | float) or not abs(ahead_s) < _MOST_AHEAD_S:
        return None
    ahead = timedelta(seconds=ahead_s)
    try:
        return ExchangeClock(datetime.fromisoformat(str(record.get(_SEEN))), ahead_s)
    except ValueError:
        return ExchangeClock(datetime.fromisoformat(record["updated_at"]) + ahead, ahead_s)


def _read(text: str) -> dict[str, Any] | None:
    """The record in a document; None if the document is not a record, e.g. after an edit."""
    try:
        record = orjson.loads(text)
        times = [datetime.fromisoformat(record[name]) for name in ("started_at", "updated_at")]
        is_sound = record["pid"] == int(record["pid"]) and all(time.tzinfo for time in times)
        return record if is_sound and record.keys() >= _NEEDED else None
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def _state(record: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The current state of a run; if it has not ended, also how long it has been quiet."""
    if record["state"] != RUNNING:
        return {}
    age = now - datetime.fromisoformat(record["updated_at"])
    quiet = {"quiet_seconds": max(0.0, age.total_seconds())}
    if record["host"] != socket.gethostname():
        return quiet if age <= _STALE else {"state": "killed"}
    found = condition(record["pid"], record.get(_PID_START))
    if found is Condition.GONE or (found is Condition.UNSURE and age > _STALE_HERE):
        return {"state": "killed"}
    # Builds and maintenance of a follow take minutes.
    is_quiet = age > (_QUIET_FOLLOW if "follow" in record else _QUIET)
    is_stopped = found is Condition.STOPPED
    state = STUCK if is_stopped or is_quiet else RUNNING
    return {**quiet, "state": state, "is_stopped": is_stopped}


def _plain(value: object) -> str:
    text = str(value)
    is_plain = text and not any(c.isspace() or c == '"' for c in text)
    return text if is_plain else orjson.dumps(text).decode()
