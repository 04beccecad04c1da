"""Output to a terminal, and output to a pipe."""

import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from basislake.output.tables import bar
from basislake.output.units import age, percent
from tests.lakes import LISTED_AT, ask, candle, instrument, interval, lake_of
from tests.market import ROOT, Ran, basislake, command
from tests.processes import PATIENCE_S, Start, ended, line_of

ESCAPE = "\x1b"
MINUTE_LATER = LISTED_AT.replace(minute=1)


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What the command writes to a real terminal, results and all else."""
    outer, inner = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    process = subprocess.Popen(
        command(None, *arguments),
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env={**kept, "TERM": "xterm-256color", "PYTHONUTF8": "1", **environment},
        cwd=ROOT,
    )
    os.close(inner)
    text = b""
    try:
        while data := os.read(outer, 4096):
            text += data
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(outer)
        process.wait(PATIENCE_S)
    return text.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = lake_of(
        tmp_path_factory.mktemp("lake"),
        instruments=[instrument("BTC-PERPETUAL")],
        raw_candles=[
            {k: v for k, v in candle("BTC-PERPETUAL", LISTED_AT, 5.0).items() if k in RAW}
        ],
        coverage=[
            interval("BTC-PERPETUAL", LISTED_AT, MINUTE_LATER, "present"),
        ],
    )
    ask(lake, 1, ("BTC-PERPETUAL", MINUTE_LATER, LISTED_AT.replace(hour=1), "failed"))
    return Path(lake.uri)


RAW = {"instrument", "ts", "open", "high", "low", "close", "volume", "cost"}


def test_a_terminal_gets_colours_and_bars_and_a_pipe_the_same_words_plain(folder: Path) -> None:
    shown = on_a_terminal("status", "--lake", str(folder), COLUMNS="200")
    piped = basislake(None, "status", "--lake", folder)
    assert ESCAPE in shown
    assert "━" in shown
    # An hour without an answer has a cell in a bar of years.
    assert "!" in shown
    assert not re.search(rf"{ESCAPE}|━|!", piped.out + piped.err)
    plain = re.sub(rf"{ESCAPE}\[[\d;]*m", "", shown)
    assert set(piped.out.split()) <= set(plain.split())
    assert piped.code == 1


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_color_and_a_dumb_terminal_get_no_escapes(
    folder: Path, environment: dict[str, str]
) -> None:
    assert ESCAPE not in on_a_terminal("status", "--lake", str(folder), **environment)
    examples = on_a_terminal("sql", "--examples", **environment)
    assert ESCAPE not in examples
    assert "@curve" in examples


def test_an_error_is_red_on_a_terminal_and_names_the_next_command(tmp_path: Path) -> None:
    shown = on_a_terminal("status", "--lake", str(tmp_path / "none"), COLUMNS="40")
    assert re.match(rf"{ESCAPE}\[31m{ESCAPE}\[1mError:", shown)
    command = f"`basislake run --lake {tmp_path / 'none'}`"
    assert command in shown
    # Words wrap, and what is to be pasted does not.
    lines = re.sub(rf"{ESCAPE}\[\d*m", "", shown).splitlines()
    assert all(len(line) <= 40 or command in line or " " not in line for line in lines)


def test_a_table_shows_text_as_it_is(folder: Path) -> None:
    query = "SELECT '[bold]a[/bold] :smile: [x' AS \"[red]name\""
    done: Ran = basislake(None, "sql", query, "--lake", folder)
    assert [line.rstrip() for line in done.out.splitlines()] == [
        "1 row",
        "[red]name",
        "[bold]a[/bold] :smile: [x",
    ]


@pytest.mark.parametrize(
    ("parts", "drawn"),
    [
        ([("present", 10)], "━" * 14),
        ([("present", 1e9), ("missing", 1)], "━" * 13 + "▪"),
        ([("present", 1), ("never_asked", 1)], "━" * 7 + "╌" * 7),
        ([("present", 0)], ""),
    ],
)
def test_a_bar_shares_its_cells_and_leaves_nothing_out(
    parts: list[tuple[str, float]], drawn: str
) -> None:
    assert bar(parts).plain == drawn


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 0, "-"), (0, 9, "0 %"), (9, 9, "100 %"), (1, 8, "12.50 %"), (1, 10**9, "< 0.01 %"),
     (10**9 - 1, 10**9, "> 99.99 %")],
)  # fmt: skip
def test_a_share_says_all_or_nothing_only_where_that_is_so(
    part: int, whole: int, said: str
) -> None:
    assert percent(part, whole) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "just now"), (59, "just now"), (60, "1 minute ago"), (7200, "2 hours ago"),
     (86_400 * 962.5, "962 days ago")],
)  # fmt: skip
def test_an_age_is_said_in_its_largest_unit(seconds: float, said: str) -> None:
    assert age(seconds) == said


# Says that it begins; Ctrl-C before the program's first line is none of the program's.
LOADING = """
import sys
from basislake.__main__ import main
sys.argv = ["basislake", "exchange", "--quarterlies", "1"]
try:
    print("loading", flush=True)
    main()
except KeyboardInterrupt as exc:
    if exc.__traceback__.tb_next:
        raise
    sys.exit(130)
"""


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1, 0.2, 0.4])
def test_ctrl_c_while_the_program_is_loaded_shows_no_traceback(
    started: Start, after_s: float
) -> None:
    process = started(LOADING)
    assert line_of(process) == "loading\n"
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert "Traceback" not in done.err
    assert done.code in {0, 130}
