"""What the exchange answered, saved for a report of a changed exchange, and judged again later."""

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from basislake import PROGRAM
from ingest.assumptions.check import Judgement
from ingest.assumptions.evidence import Evidence
from ingest.runs import FOLDER
from lake import Lake, documents
from lake.errors import UsageError

# Its number changes when its form does.
_EVIDENCE = "evidence_1"
_KEPT = 10


def save(where: Lake, evidence: Evidence, outcomes: list[Judgement], at: datetime) -> str:
    """Save the replies in the lake's folder of runs; return where that is.

    Args:
        where: the lake, which need not be there yet.
        evidence: what was seen; it holds no password.
        outcomes: what was found in it.
        at: this machine's clock.

    Raises:
        LakeError: the lake cannot be written.
    """
    path = f"{FOLDER}/doctor-{at:%Y%m%dT%H%M%SZ}.json"
    document = {
        "program": PROGRAM,
        "at": at,
        "checks": [as_json(each) for each in outcomes],
        _EVIDENCE: evidence.as_json(),
    }
    documents.put(where, path, orjson.dumps(document, option=orjson.OPT_UTC_Z).decode())
    documents.prune(where, FOLDER, _KEPT, "doctor-*")
    return f"{where.uri}/{path}"


def read(path: Path) -> Evidence:
    """Return what was saved.

    Raises:
        UsageError: the file cannot be read, or is no such file.
    """
    try:
        document: dict[str, Any] = orjson.loads(path.read_bytes())
        return Evidence.of_json(document[_EVIDENCE])
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}.") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise UsageError(
            f"{path} holds no replies that `basislake doctor` of this version saved."
        ) from exc


def as_json(outcome: Judgement) -> dict[str, Any]:
    """Return an outcome as plain values."""
    return {
        "name": outcome.name,
        "verdict": outcome.verdict.value,
        "seen": outcome.seen,
        "relied_on": outcome.relied_on,
        "then": outcome.then,
        "is_data_at_risk": outcome.is_data_at_risk,
    }
