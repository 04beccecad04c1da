"""What the checks of this machine look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from basislake.exchange_settings import ExchangeSettings
from basislake.target import Target
from ingest.assumptions.evidence import Evidence
from lake import Lake


@dataclass(frozen=True, slots=True)
class Here:
    """A machine, a lake and a database.

    Attributes:
        where: the lake, which need not be there yet.
        settings: of the exchange.
        target: the database.
        environ: environment variables.
        evidence: what the exchange answered, None where it was not asked.
    """

    where: Lake
    settings: ExchangeSettings
    target: Target
    environ: Mapping[str, str] = field(repr=False)
    evidence: Evidence | None = None

    @property
    def folder(self) -> Path:
        """The lake's folder, or the nearest above that is there; a file where one is in the way."""
        place = Path(self.where.uri)
        return next(each for each in (place, *place.parents) if each.exists())
