"""The declaration of a check, and its result; pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Verdict(StrEnum):
    """Whether an assumption holds."""

    OK = "ok"
    DIFFERS = "differs"
    CANNOT_TELL = "cannot tell"


class UnseenError(Exception):
    """The evidence does not show what a check needs; the message is the reason."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of a check.

    Attributes:
        verdict: whether the assumption holds.
        seen: what the evidence shows, a phrase.
        is_harmless: whether this failure costs no data, although other failures of the check do.
    """

    verdict: Verdict
    seen: str
    is_harmless: bool = False


@dataclass(frozen=True, slots=True)
class Check(Generic[T]):
    """One assumption about the exchange.

    Attributes:
        name: of the check.
        relied_on: the assumption, a phrase.
        then: what basislake does if it fails, a sentence.
        costs_data: whether data could be lost or wrong if it fails.
        look: evaluates it; raises an `UnseenError` if the evidence is not conclusive.
    """

    name: str
    relied_on: str
    then: str
    costs_data: bool
    look: Callable[[T], CheckResult]

    def outcome(self, at: T) -> "Judgement":
        """Evaluate the check, and return the finding with its meaning."""
        try:
            found = self.look(at)
        except UnseenError as exc:
            found = CheckResult(Verdict.CANNOT_TELL, str(exc))
        differs = found.verdict is Verdict.DIFFERS
        return Judgement(
            name=self.name,
            relied_on=self.relied_on,
            seen=found.seen,
            verdict=found.verdict,
            then=self.then,
            is_data_at_risk=differs and self.costs_data and not found.is_harmless,
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """Judgement of a check; see `Check` and `CheckResult`.

    Attributes:
        is_data_at_risk: whether it fails in a way that could lose or corrupt data.
    """

    name: str
    relied_on: str
    seen: str
    verdict: Verdict
    then: str
    is_data_at_risk: bool


def ok(seen: str) -> CheckResult:
    """The assumption holds."""
    return CheckResult(Verdict.OK, seen)


def differs(seen: str, *, is_harmless: bool = False) -> CheckResult:
    """The assumption fails."""
    return CheckResult(Verdict.DIFFERS, seen, is_harmless)
