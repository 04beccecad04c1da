"""Which cases of a test are in the slow tier; see CONTRIBUTING.md."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def slow_but(quick: Collection[Any], cases: Iterable[Any]) -> list[Any]:
    """Cases of a test, all of them slow but these."""
    return [case if case in quick else _slow(case) for case in cases]


def _slow(case: Any) -> Any:  # noqa: ANN401  (whatever a test is given)
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.slow)
