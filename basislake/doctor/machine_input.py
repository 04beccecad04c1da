"""Input of the checks of this machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from basislake.settings.database_target import Target
from basislake.settings.exchange import ExchangeSettings
from ingest.assumptions.evidence import Evidence
from lake import Lake


@dataclass(frozen=True, slots=True)
class MachineInput:
    """A machine, a lake and a database.

    Attributes:
        lake: the lake, which need not exist yet.
        settings: of the exchange.
        target: the database.
        environ: environment variables.
        evidence: the exchange's replies, None if it was not called.
    """

    lake: Lake
    settings: ExchangeSettings
    target: Target
    environ: Mapping[str, str] = field(repr=False)
    evidence: Evidence | None = None

    @property
    def folder(self) -> Path:
        """The lake's folder, or its nearest existing parent, which may be a file."""
        place = Path(self.lake.uri)
        return next(each for each in (place, *place.parents) if each.exists())
