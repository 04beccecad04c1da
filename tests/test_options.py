"""Options with impossible values: wrong usage, never a traceback."""

from pathlib import Path

import click
import pytest

from basislake.cli.options import MOST_HOURS
from basislake.cli.parameter_types import CallsPerSecond, Number, Time
from docs.reference import verbs
from tests.lakes import lake_of
from tests.market import basislake

# Versions are looked up, and any number makes a market or draws faults.
UNBOUNDED = {"at", "a", "b", "raw_version", "seed", "fault_seed"}
NUMBERS = ["nan", "inf", "-inf", "-1", "0", "1e308", "9" * 20, "", "\x1b[31m", "☃\u202e"]
TIMES = ["nan", "", "-1", "1e308", "9" * 20, "0001-01-01", "9999-12-31T23:59-01:00", "2024-13-01"]
PARAMETERS = {
    f"{verb} {param.name}": (command, param)
    for verb, command in verbs()
    for param in command.params
    if isinstance(param.type, (click.IntRange, click.FloatRange, Time))
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_number_has_bounds_and_nonsense_is_wrong_usage(name: str) -> None:
    command, param = PARAMETERS[name]
    type_ = param.type
    if isinstance(type_, (click.IntRange, click.FloatRange)) and param.name not in UNBOUNDED:
        assert None not in (type_.min, type_.max)
        assert isinstance(type_, (click.IntRange, Number))
    for value in TIMES if isinstance(type_, Time) else NUMBERS:
        try:
            param.type_cast_value(click.Context(command), (value,) if param.multiple else value)
        except click.UsageError as exc:
            assert "range." not in exc.message  # noqa: PT017  (others pass)


def test_a_rate_is_auto_or_a_number_of_calls_a_second() -> None:
    parse = CallsPerSecond().convert
    assert [parse(given, None, None) for given in ("auto", "0", "2.5", "1e6")] == [
        "auto",
        0.0,
        2.5,
        1e6,
    ]
    for given in (*NUMBERS, "AUTO ", "1e7", "-0.1"):
        if given != "0":
            with pytest.raises(click.UsageError, match="neither 'auto' nor a number from 0 to"):
                parse(given, None, None)


@pytest.mark.parametrize(
    ("verb", "flag"),
    [("health", "--max-age"), ("maintain", "--older-than")],
)
def test_hours_may_be_a_hundred_years_and_no_more(tmp_path: Path, verb: str, flag: str) -> None:
    lake = lake_of(tmp_path, instruments=[])
    most = basislake(None, verb, "--lake", lake.uri, f"{flag}={MOST_HOURS}")
    assert "Traceback" not in most.err
    assert most.code == (1 if verb == "health" else 0)
    for hours in (MOST_HOURS + 1, "inf", "nan"):
        done = basislake(None, verb, "--lake", lake.uri, f"{flag}={hours}")
        assert (done.code, "Traceback" in done.err) == (2, False), hours
        assert f"Invalid value for '{flag}'" in done.err


@pytest.mark.parametrize("is_set", [False, True])
def test_bytes_that_are_no_text_are_wrong_usage(is_set: bool) -> None:  # noqa: FBT001
    flags = [] if is_set else ["--lake", "\udcff"]
    env = {"BASISLAKE_LAKE": "\udcff"} if is_set else None
    done = basislake(None, "status", *flags, env=env)
    assert (done.code, "Traceback" in done.err) == (2, False)
    assert "is not text in UTF-8" in done.err
