"""`report`: writes the report page, verifies an existing one, and writes the evidence files."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from basislake.output.json_output import print_json
from basislake.output.progress import Progress
from basislake.output.screen import say
from basislake.output.tables import paragraph, print_table
from basislake.output.units import size
from basislake.pipeline.build_as_of import opened
from basislake.report.evidence import ReportEvidence, evidence
from basislake.report.make import Report, make
from basislake.report.verify import Verified
from basislake.report.verify import verify as verified_report
from basislake.settings.database_target import Target
from basislake.settings.named_lake import check_exists
from lake import Lake
from lake.counted_words import counted
from lake.errors import UsageError
from lake.machine.cores import cores


def report(
    lake: Lake,
    target: Target,
    output: Path | None,
    evidence_folder: Path | None,
    threads: int | None,
    as_of: int | datetime | None,
    *,
    verify: bool,
    as_json: bool,
) -> int:
    """See `basislake.cli.commands.report`; return the exit code."""
    if verify and (evidence_folder or as_of is not None):
        raise UsageError(
            "--verify writes nothing; it cannot be combined with --evidence or --as-of."
        )
    check_exists(lake)
    workers = threads or cores()
    with target.known(lake) as uri:
        loaded = replace(target, postgres=uri) if uri else None
        if verify:
            return _verify(lake, output, loaded, workers, as_json=as_json)
        with opened(lake, as_of) as still:
            line = Progress("figures")
            made, facts = make(still, output, datetime.now(UTC), loaded, workers, line)
            found = evidence(still, facts, evidence_folder) if evidence_folder else None
    if as_json:
        print_json({**asdict(made), **({"evidence": found} if found else {})})
    else:
        show_report(made)
        if found:
            _show_evidence(found)
    return 1 if found and any(c.passed is False for c in found.criteria) else 0


def _verify(
    lake: Lake, output: Path | None, loaded: Target | None, threads: int, *, as_json: bool
) -> int:
    found = verified_report(lake, output, loaded, threads, Progress("figures"))
    if as_json:
        print_json(found)
    else:
        _show_verified(found)
    return 1 if found.differing else 0


def show_report(made: Report) -> None:
    """Print a summary of the report on stdout."""
    rows = [
        ["page", made.path],
        ["the same as JSON", made.json_path],
        ["size of the page", size(made.bytes)],
        ["made in", f"{made.seconds:.1f} s"],
        ["as of batch", str(made.as_of)],
        ["figures", str(made.queries)],
    ]
    print_table("Report", ["what", "value"], rows)


def _show_evidence(found: ReportEvidence) -> None:
    paragraph(f"Evidence: {', '.join(found.files)} in {found.folder}")
    for criterion in found.criteria:
        paragraph(f"{criterion.name}: {criterion.verdict}: {criterion.figure}")
    failed = [c.name for c in found.criteria if c.passed is False]
    if failed:
        say(
            f"Not met: {'; '.join(failed)}, so the exit code is 1. All files are written; "
            "acceptance.txt describes each criterion, and `basislake report --help` explains them."
        )


def _show_verified(found: Verified) -> None:
    for title, findings in (("Differs", found.differing), ("Cannot be compared", found.open)):
        if findings:
            print_table(title, ["figure", "why"], [[f.figure, f.reason] for f in findings])
    if not found.differing:
        paragraph(
            f"{found.path}: all {counted(found.queries - len(found.open), 'figure')} agree with "
            f"the lake as of batch {found.as_of}."
        )
