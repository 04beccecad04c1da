"""The number of examples of properties: few in `make test`, many in `make test-slow`."""

from typing import Any

from hypothesis import HealthCheck, settings

_QUICK, _LONG = 20, 100
_FEWER = 5

# How long it takes to draw an example says something of the machine only.
_CALM = [HealthCheck.too_slow]
# The same, of a property whose examples share a fixture of the test.
SHARING = [*_CALM, HealthCheck.function_scoped_fixture]


def register() -> None:
    """Make both known, and use the quick one; `--hypothesis-profile long` is heeded later."""
    calm = settings(deadline=None, suppress_health_check=_CALM)
    settings.register_profile("quick", calm, max_examples=_QUICK)
    settings.register_profile("long", calm, max_examples=_LONG)
    settings.load_profile("quick")


def is_long() -> bool:
    """Whether many examples are asked for."""
    return settings().max_examples == _LONG


def examples(long: int, **others: Any) -> settings:  # noqa: ANN401  (whatever settings take)
    """Settings of a property whose examples are dear: so many in the long run, and a fifth of them
    in a quick one.
    """
    return settings(max_examples=long if is_long() else max(1, long // _FEWER), **others)
