"""Printed commands that users paste."""

import shlex
from itertools import pairwise

import pytest

from basislake.output.pasting import pasted

NAMES = ",".join(f"BTC-{day}APR24" for day in range(1, 29))
COMMAND = f"basislake backfill --instruments {NAMES} --lake 'my lake'"


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_long_command_fits_the_terminal_and_says_the_same_when_it_is_pasted(columns: int) -> None:
    text = pasted(COMMAND, columns)
    assert max(map(len, text.splitlines())) <= columns
    words = shlex.split(text.replace("\\\n", ""))
    values = [after for word, after in pairwise(words) if word[2:] == "instruments"]
    assert ",".join(values) == NAMES
    assert [word for word in words if word not in {"--instruments", *values}] == [
        "basislake", "backfill", "--lake", "my lake",
    ]  # fmt: skip


def test_a_command_that_fits_or_goes_into_a_pipe_stays_on_one_line() -> None:
    assert pasted("basislake plan", 80) == "  basislake plan"
    assert pasted(COMMAND, None) == f"  {COMMAND}"
