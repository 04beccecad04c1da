"""Checks of this machine: Python, cores, memory, disk and clock."""

import os
import platform
import re
import resource
import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version

from basislake.cli.defaults import EMBEDDED
from basislake.doctor.machine_input import MachineInput
from basislake.output.units import size
from basislake.pipeline.estimates import Estimate, estimate
from ingest.assumptions.check import Check, CheckResult, UnseenError, differs, ok
from ingest.assumptions.evidence import UNREADABLE, Evidence
from ingest.backfill.run_records import last_clock, runs
from ingest.datasets.candles import CANDLES, candles_of
from ingest.plan.planner import Planner
from ingest.plan.scope import scope_of
from ingest.plan.windows import Plan
from lake.counted_words import counted
from lake.machine.cores import cores
from lake.machine.memory import memory
from lake.tables import INSTRUMENTS
from lake.time.intervals import Span
from lake.time.steps import MINUTES

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)>=([0-9.]+)")
_SHOWN = ("polars", "duckdb", "deltalake", "pyarrow")
_LEAST_FILES = 256
# The most that any stage needs, whatever the size of the lake.
_LEAST_MEMORY = 2 * 1024**3
_MOST_AHEAD_S = 30.0
# Records of runs that may have the exchange's clock.
_RUNS = 10


def _python(_: MachineInput) -> CheckResult:
    found = f"Python {platform.python_version()}"
    try:
        needed = [match for text in requires("basislake") or [] if (match := _needed(text))]
    except PackageNotFoundError:
        raise UnseenError(f"{found}; basislake is not installed as a package") from None
    versions = {name: _version(name) for name, _ in needed}
    old = [
        f"{name} {versions[name] or 'absent'}, {least} needed"
        for name, least in needed
        if _numbers(versions[name]) < _numbers(least)
    ]
    if old:
        return differs("; ".join(old))
    shown = ", ".join(f"{name} {versions.get(name) or version(name)}" for name in _SHOWN)
    return ok(f"{found}; {shown}, {len(needed) - len(_SHOWN)} more")


def _needed(text: str) -> tuple[str, str] | None:
    """A package and its oldest version; None for an optional requirement."""
    match = _REQUIREMENT.fullmatch(text.strip())
    return (match[1], match[2]) if match else None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _cores(_: MachineInput) -> CheckResult:
    return ok(f"{counted(cores(), 'core')} of {os.cpu_count()}")


def _memory(_: MachineInput) -> CheckResult:
    found = memory()
    if found is None:
        raise UnseenError("the system does not report it")
    phrase = f"{size(found)} usable"
    return ok(phrase) if found >= _LEAST_MEMORY else differs(phrase)


def _files(_: MachineInput) -> CheckResult:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return ok("no limit")
    return ok(f"{soft:,}") if soft >= _LEAST_FILES else differs(f"{soft:,}")


def _disk(here: MachineInput) -> CheckResult:
    if not here.lake.is_local:
        raise UnseenError("the lake is in a store")
    free = shutil.disk_usage(here.folder).free
    planned = _planned(here)
    if planned is None:
        raise UnseenError(f"{size(free)} free; without the exchange there is no plan")
    needed, parts = planned.lake_bytes, "for the lake"
    if here.target.postgres == EMBEDDED:
        needed, parts = needed + planned.database_bytes, "for lake and PostgreSQL"
    phrase = f"{size(free)} free, {size(needed)} planned {parts}"
    return ok(phrase) if free > needed else differs(phrase)


def _planned(here: MachineInput) -> Estimate | None:
    """Disk space of the rest of the lake's scope; without a lake, of everything."""
    known = here.lake.snapshot(INSTRUMENTS).read()
    if known.height:
        kinds = dict(known.select("instrument", "kind").iter_rows())
        at = _now(here)
        if at is None:
            return None
        selection = replace(scope_of(here.lake), data=(CANDLES.choice,))
        return estimate(Planner(here.lake, selection, at).plans(), kinds)
    plans = list(_plans_of_lists(here.evidence)) if here.evidence else []
    names = [plan.subject.name for plan in plans]
    kinds = {n: "perpetual" if n.endswith("-PERPETUAL") else "future" for n in names}
    return estimate(plans, kinds) if plans else None


def _now(here: MachineInput) -> datetime | None:
    """The exchange's clock, or an estimate from the last run."""
    if here.evidence and here.evidence.now_ms:
        return _time(here.evidence.now_ms)
    seen = last_clock(here.lake, runs(here.lake, _RUNS))
    return seen.at(datetime.now(UTC)) if seen else None


def _plans_of_lists(evidence: Evidence) -> Iterable[Plan]:
    for seen in evidence.calls.values():
        if not isinstance(seen.result, dict) or UNREADABLE in seen.result:
            continue
        for name, facts in seen.result.get("instruments", {}).items():
            until = _time(evidence.now_ms or 0)
            expires_ms = facts["expires_ms"]
            end = min(until, _time(expires_ms)) if expires_ms else until
            lived = Span(MINUTES.floor(_time(facts["listed_ms"])), MINUTES.floor(end))
            yield Plan(candles_of(name), (lived,), (lived,))


def _time(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def _clock(here: MachineInput) -> CheckResult:
    evidence = here.evidence
    if evidence is None:
        raise UnseenError("the exchange was not called")
    if evidence.ahead_ms is None:
        raise UnseenError("the exchange did not report its time")
    ahead_s = evidence.ahead_ms / 1000
    if evidence.exchange == "localhost" and abs(ahead_s) > _MOST_AHEAD_S:
        return ok("the simulated exchange has its own clock")
    phrase = f"{abs(ahead_s):.1f} s {'behind' if ahead_s > 0 else 'ahead of'} the exchange's"
    return ok(phrase) if abs(ahead_s) <= _MOST_AHEAD_S else differs(phrase)


CHECKS: tuple[Check[MachineInput], ...] = (
    Check(
        name="python",
        relied_on="packages have the declared versions or newer ones",
        then="An old package may fail at any step. Install basislake again, or run `make setup`.",
        costs_data=False,
        look=_python,
    ),
    Check(
        name="cores",
        relied_on="tasks run on the cores that this process may use",
        then="Builds and loads take longer on fewer cores.",
        costs_data=False,
        look=_cores,
    ),
    Check(
        name="memory",
        relied_on=f"at least {_LEAST_MEMORY // 1024**3} GiB are usable",
        then="The system may kill a command; committed data is safe, and a rerun does the rest.",
        costs_data=False,
        look=_memory,
    ),
    Check(
        name="open-files",
        relied_on=f"{_LEAST_FILES} files may be open at once",
        then="A command that opens too many fails with a message; `ulimit -n` allows more.",
        costs_data=False,
        look=_files,
    ),
    Check(
        name="disk",
        relied_on="the planned data fits the disk",
        then="A commit that does not fit fails; committed data is safe. `basislake scope` limits "
        "what is fetched, `--no-load` skips PostgreSQL.",
        costs_data=False,
        look=_disk,
    ),
    Check(
        name="clock",
        relied_on=f"this machine's clock is right to {_MOST_AHEAD_S:g} s",
        then="Candles follow the exchange's clock; only the times of runs and logs are wrong.",
        costs_data=False,
        look=_clock,
    ),
)
