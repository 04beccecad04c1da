"""How many examples a property is tried with: few in `make test`, all in `make test-slow`."""

from hypothesis import settings

QUICK, LONG = 20, 100


def examples(long: int, **others: object) -> settings:
    """Settings of a property whose examples are dear: so many in the long run."""
    share = settings().max_examples / LONG
    return settings(max_examples=max(1, round(long * share)), **others)  # type: ignore[arg-type]
