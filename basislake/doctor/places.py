"""Checks of the lake's folder or store, the route to the exchange, and the database."""

import os
import subprocess
import tempfile
from pathlib import Path

from basislake.cli.defaults import EMBEDDED
from basislake.doctor.machine_input import MachineInput
from basislake.pipeline.database_access import rights
from ingest.assumptions.check import Check, CheckResult, UnseenError, differs, ok
from ingest.backfill.locks import SubjectLocks
from ingest.deribit.hosts import shown
from ingest.deribit.http import route
from lake.coverage import Subject
from lake.errors import LakeError, LoadError, UsageError
from lake.library_errors import explained
from lake.location import conditional_put
from lake.machine.shared_folder import SETTING
from load.embedded.programs import NEWEST, Programs

_PROBE = Subject("candles", "probe")
_ANSWER_S = 20.0


def _folder(here: MachineInput) -> CheckResult:
    if not here.lake.is_local:
        return _store(here)
    place = here.folder
    is_new = place != Path(here.lake.uri)
    if not place.is_dir():
        return differs(f"{place} is a file")
    if not os.access(place, os.W_OK | os.X_OK):
        return differs(f"{place} is not writable")
    if not conditional_put.has_links(place):
        return differs(f"the file system of {place} has no hard links")
    return ok(f"{'can be created' if is_new else 'writable'}, with hard links")


def _store(here: MachineInput) -> CheckResult:
    try:
        with explained(f"the store of {here.lake.uri} cannot be written"):
            keeps = conditional_put.keeps_first(here.lake.uri, here.lake.options)
    except LakeError as exc:
        return differs(str(exc).rstrip("."))
    if keeps is None:
        raise UnseenError("two test commits never coincided")
    if keeps:
        return ok("the store refuses the second of two simultaneous commits")
    return differs("a second commit replaces the first (If-None-Match is ignored)")


def _locks(here: MachineInput) -> CheckResult:
    given = here.environ.get(SETTING)
    place = Path(given) if given else here.folder if here.lake.is_local else None
    if place is not None and not place.is_dir():
        place = None
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as folder:
            first, second = (SubjectLocks(Path(folder)) for _ in range(2))
            try:
                is_kept = first.take(_PROBE) and not second.take(_PROBE)
            finally:
                first.release_all()
                second.release_all()
    except (LakeError, OSError) as exc:
        return differs(str(exc).rstrip("."))
    lake = f"{SETTING}={given}" if given else "in the lake's folder"
    if place is None:
        lake = "in a folder of this machine"
    return ok(lake) if is_kept else differs(f"two processes got the same lock {lake}")


def _way(here: MachineInput) -> CheckResult:
    ways = []
    for host, url in (("www", here.settings.url), ("history", here.settings.history_url)):
        try:
            way = route(url)
        except UsageError as exc:
            return differs(str(exc).rstrip("."))
        through = f"through {shown(way.proxy)} ({way.proxy_from})" if way.proxy else "no proxy"
        trusted = f", certificates of {way.certificates_from}" if way.certificates_from else ""
        ways.append((host, f"{through}{trusted}"))
    distinct = {each for _, each in ways}
    return ok(distinct.pop() if len(distinct) == 1 else "; ".join(map(": ".join, ways)))


def _database(here: MachineInput) -> CheckResult:
    if here.target.postgres != EMBEDDED:
        try:
            return ok(rights(here.target))
        except (LoadError, UsageError) as exc:
            return differs(str(exc).rstrip("."))
    if not here.lake.is_local:
        return differs("none: the embedded one needs a lake on disk; give --postgres URI")
    try:
        program = Programs.of(NEWEST) / "postgres"
        done = subprocess.run(  # noqa: S603  (PostgreSQL's own)
            [program, "--version"], capture_output=True, text=True, timeout=_ANSWER_S, check=True
        )
    except (LoadError, OSError, subprocess.SubprocessError) as exc:
        return differs(str(exc).rstrip("."))
    return ok(f"embedded, {done.stdout.strip().replace('postgres (PostgreSQL)', 'PostgreSQL')}")


CHECKS: tuple[Check[MachineInput], ...] = (
    Check(
        name="lake",
        relied_on="the lake is writable, and a second commit cannot replace the first",
        then="basislake refuses the first commit there and stores nothing, as writers could lose"
        " each other's rows.",
        costs_data=True,
        look=_folder,
    ),
    Check(
        name="locks",
        relied_on="processes of this machine can use file locks",
        then=f"A backfill ends before its first call; set {SETTING} to another folder.",
        costs_data=True,
        look=_locks,
    ),
    Check(
        name="proxies",
        relied_on="proxies and certificates of the environment are usable",
        then="Every command that calls the exchange ends at once with exit code 2.",
        costs_data=True,
        look=_way,
    ),
    Check(
        name="postgres",
        relied_on="PostgreSQL 14 or newer, where the user may create tables",
        then="A load refuses the database and changes nothing; the lake is complete without it.",
        costs_data=False,
        look=_database,
    ),
)
