"""`doctor`: checks whether this machine and the exchange behave as basislake assumes."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.text import Text

from basislake.doctor import machine, places
from basislake.doctor.machine_input import MachineInput
from basislake.doctor.saved_replies import read, save
from basislake.output.columns import Heading, Kind
from basislake.output.json_output import print_json
from basislake.output.screen import say
from basislake.output.tables import paragraph, print_table
from basislake.settings.database_target import Target
from basislake.settings.exchange import ExchangeSettings
from ingest.assumptions.asking import ask_all
from ingest.assumptions.catalogue import judge
from ingest.assumptions.check import Judgement, Verdict
from ingest.assumptions.evidence import Evidence, moment
from ingest.deribit.http import route
from lake import Lake
from lake.counted_words import counted
from lake.errors import LakeError, UsageError

_STYLES = {Verdict.OK: "green", Verdict.DIFFERS: "yellow", Verdict.CANNOT_TELL: "dim"}
_AT_RISK = "bold red"
# For one call.
_PATIENCE_S = 10.0
_COLUMNS = (
    "check",
    "result",
    "seen",
    Heading("assumption", rank=1),
    # Not wrapped, so it is shown only if there is room; differences are reported below.
    Heading("if it differs", Kind.VERBATIM, rank=2),
)


def doctor(
    lake: Lake,
    settings: ExchangeSettings,
    target: Target,
    *,
    asks_exchange: bool,
    replay: Path | None,
    as_json: bool,
) -> int:
    """See `basislake.cli.commands.doctor`; return the exit code."""
    started_s = time.monotonic()
    evidence, path = None, None
    here: list[Judgement] = []
    if replay:
        evidence = read(replay)
    else:
        if asks_exchange and _can_call(settings):
            say("Asking the exchange: 18 calls.")
            quick = replace(settings, timeout_s=min(settings.timeout_s, _PATIENCE_S))
            with quick.open() as exchange:
                evidence = ask_all(exchange)
        surroundings = MachineInput(lake, settings, target, os.environ, evidence)
        here = [check.outcome(surroundings) for check in (*machine.CHECKS, *places.CHECKS)]
    there = judge(evidence) if evidence else []
    if evidence and not replay:
        path = _saved(lake, evidence, there)
    seconds = time.monotonic() - started_s
    outcomes = [*here, *there]
    at_risk = [each.name for each in outcomes if each.is_data_at_risk]
    if as_json:
        print_json(
            {
                "exchange": evidence.exchange if evidence else None,
                "exchange_now": _now(evidence),
                **{verdict.name.lower(): _count(outcomes, verdict) for verdict in Verdict},
                "data_at_risk": at_risk,
                "machine": here,
                "assumptions": there,
                "calls": len(evidence.calls) if evidence else 0,
                "evidence": str(replay) if replay else path,
                "seconds": round(seconds, 3),
            }
        )
    else:
        _show(here, there, evidence)
        _conclude(outcomes, at_risk, path)
    return 1 if at_risk else 0


def _can_call(settings: ExchangeSettings) -> bool:
    """Whether the environment allows calls; the check of proxies reports why not."""
    try:
        for url in (settings.url, settings.history_url):
            route(url)
    except UsageError:
        return False
    return True


def _saved(lake: Lake, evidence: Evidence, outcomes: list[Judgement]) -> str | None:
    try:
        return save(lake, evidence, outcomes, datetime.now(UTC))
    except LakeError as exc:
        say(f"Warning: the replies were not saved. {exc}")
        return None


def _now(evidence: Evidence | None) -> datetime | None:
    if evidence is None or evidence.now_ms is None:
        return None
    return datetime.fromtimestamp(evidence.now_ms / 1000, UTC)


def _count(outcomes: Sequence[Judgement], verdict: Verdict) -> int:
    return sum(each.verdict is verdict for each in outcomes)


def _show(here: list[Judgement], there: list[Judgement], evidence: Evidence | None) -> None:
    if here:
        print_table("This machine", _COLUMNS, [_row(each) for each in here])
    if here and there:
        click.echo()
    if evidence:
        at = f", {moment(evidence.now_ms)}" if evidence.now_ms else ""
        print_table(f"The exchange: {evidence.exchange}{at}", _COLUMNS, [_row(e) for e in there])


def _row(outcome: Judgement) -> list[object]:
    style = _AT_RISK if outcome.is_data_at_risk else _STYLES[outcome.verdict]
    return [
        outcome.name,
        Text(outcome.verdict.value, style=style),
        outcome.seen,
        outcome.relied_on,
        outcome.then,
    ]


def _conclude(outcomes: list[Judgement], at_risk: list[str], path: str | None) -> None:
    click.echo()
    for each in outcomes:
        if each.verdict is Verdict.DIFFERS:
            label = "Problem" if each.is_data_at_risk else "Warning"
            say(f"{label}: {each.name}: assumed: {each.relied_on}. Seen: {each.seen}. {each.then}")
    if path:
        say(f"Replies: {path}")
    counts = ", ".join(
        f"{count} {verdict.value}" for verdict in Verdict if (count := _count(outcomes, verdict))
    )
    verdict = f"data at risk by {', '.join(at_risk)}" if at_risk else "no data at risk"
    paragraph(f"{counted(len(outcomes), 'check')}: {counts}; {verdict}.")
