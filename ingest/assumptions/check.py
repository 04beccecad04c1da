"""The declaration of a check, and what it finds; pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Verdict(StrEnum):
    """Whether something is as basislake relies on."""

    OK = "ok"
    DIFFERS = "differs"
    CANNOT_TELL = "cannot tell"


class UnseenError(Exception):
    """What a check looks at was not there to be seen; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        verdict: whether it is as basislake relies on.
        seen: what was seen, a phrase.
        is_harmless: of a difference, whether it costs no data although others of its kind would.
    """

    verdict: Verdict
    seen: str
    is_harmless: bool = False


@dataclass(frozen=True, slots=True)
class Check(Generic[T]):
    """One thing that basislake relies on.

    Attributes:
        name: of the check.
        relied_on: what basislake relies on, a phrase.
        then: what basislake does where it differs, a sentence.
        costs_data: whether data could be lost or wrong where it differs.
        look: how it is looked at; raises an `UnseenError` where nothing can be seen.
    """

    name: str
    relied_on: str
    then: str
    costs_data: bool
    look: Callable[[T], Finding]

    def outcome(self, at: T) -> "Judgement":
        """Look, and return what was found with what it means."""
        try:
            found = self.look(at)
        except UnseenError as exc:
            found = Finding(Verdict.CANNOT_TELL, str(exc))
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
    """What came of a check; see `Check`.

    Attributes:
        name: of the check.
        relied_on: what basislake relies on.
        seen: what was seen.
        verdict: whether it is as basislake relies on.
        then: what basislake does where it differs.
        is_data_at_risk: whether it differs so that data could be lost or wrong.
    """

    name: str
    relied_on: str
    seen: str
    verdict: Verdict
    then: str
    is_data_at_risk: bool


def ok(seen: str) -> Finding:
    """It is as relied on."""
    return Finding(Verdict.OK, seen)


def differs(seen: str, *, is_harmless: bool = False) -> Finding:
    """It is not as relied on."""
    return Finding(Verdict.DIFFERS, seen, is_harmless)
