"""Saved replies of the exchange, for a fault report about a changed exchange and later checks."""

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from basislake import PROGRAM
from ingest.assumptions.check import Judgement
from ingest.assumptions.evidence import Evidence
from ingest.backfill.run_records import FOLDER
from lake import Lake, documents
from lake.errors import UsageError

# The number changes with the format.
_EVIDENCE = "evidence_1"
_KEPT = 10


def save(lake: Lake, evidence: Evidence, outcomes: list[Judgement], at: datetime) -> str:
    """Save the replies in the lake's folder of runs; return the path.

    Args:
        lake: the lake, which need not exist yet.
        evidence: the replies, without passwords.
        outcomes: results of the checks.
        at: this machine's clock.

    Raises:
        LakeError: the lake cannot be written.
    """
    path = f"{FOLDER}/doctor-{at:%Y%m%dT%H%M%SZ}.json"
    document = {
        "program": PROGRAM,
        "at": at,
        "checks": outcomes,
        _EVIDENCE: evidence.as_json(),
    }
    documents.put(lake, path, orjson.dumps(document, option=orjson.OPT_UTC_Z).decode())
    documents.prune(lake, FOLDER, _KEPT, "doctor-*")
    return f"{lake.uri}/{path}"


def read(path: Path) -> Evidence:
    """Return the saved replies.

    Raises:
        UsageError: the file cannot be read, or has no replies.
    """
    try:
        document: dict[str, Any] = orjson.loads(path.read_bytes())
        return Evidence.of_json(document[_EVIDENCE])
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}.") from exc
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as exc:
        raise UsageError(
            f"{path} has no replies saved by `basislake doctor` of this version."
        ) from exc
