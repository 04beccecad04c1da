"""The scripts of `completion`, in the real shells."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from basislake.simulator.server import SimulatedExchange
from lake.instrument_names import known_names, remember
from tests.market import ROOT, basislake
from tests.processes import finished

# What each shell should complete, and how it shows the candidates.
ASKED = {
    "bash": """
        eval "$(basislake completion bash)"
        complete -p basislake >&2 || exit 1
        COMP_WORDS=(basislake sql @cu) COMP_CWORD=2
        _basislake_completion basislake
        printf '%s\\n' "${COMPREPLY[@]}" "breaks:$COMP_WORDBREAKS"
    """,
    "zsh": """
        autoload -U compinit && compinit -u -d "$PWD/zcompdump"
        eval "$(basislake completion zsh)"
        [[ ${_comps[basislake]} == _basislake_completion ]] && print @curve breaks:
    """,
    "fish": """
        basislake completion fish | source
        complete -C "basislake sql @cu"
        echo breaks:
    """,
}


@pytest.mark.parametrize("shell", ASKED)
def test_a_shell_completes_by_the_script(shell: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} on this machine")
    program = tmp_path / "basislake"
    program.write_text(f"#!{sys.executable}\nfrom basislake.cli.main import main\nmain()\n")
    program.chmod(0o755)
    line = [shell, *(["-f"] if shell == "zsh" else []), "-c", ASKED[shell]]
    path = f"{tmp_path}:{os.environ['PATH']}"
    env = {"PATH": path, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = finished(*line, cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    found, breaks = done.out.split("breaks:")
    assert "@curve" in found
    assert "@" not in breaks


@pytest.mark.parametrize(
    ("shell", "cursor", "found"),
    [
        ("bash", "2", ["plain,BTC-28JUN24"]),
        ("zsh", "2", ["plain", "BTC-28JUN24", "_"]),
        ("fish", "BTC-28", ["plain,BTC-28JUN24"]),
    ],
)
def test_what_was_discovered_is_completed_before_it_is_fetched(
    shell: str, cursor: str, found: list[str], server: SimulatedExchange, tmp_path: Path
) -> None:
    assert basislake(server, "instruments", "--lake", tmp_path).code == 0
    environment = {
        **os.environ,
        "_BASISLAKE_COMPLETE": f"{shell}_complete",
        "BASISLAKE_LAKE": str(tmp_path),
        "COMP_WORDS": "basislake explain BTC-28",
        "COMP_CWORD": cursor,
    }
    assert basislake(None, env=environment).out.split() == found


def test_names_of_a_lake_in_a_store_are_in_the_folder_of_this_machine(tmp_path: Path) -> None:
    store = "s3://bucket/lake"
    assert known_names(store) == []
    remember(store, ["ETH-PERPETUAL", "BTC-PERPETUAL"])
    assert known_names(store) == ["BTC-PERPETUAL", "ETH-PERPETUAL"]
    # Nowhere to write is no error, and a lake that is not there has no instruments.
    (tmp_path / "file").touch()
    remember(str(tmp_path / "file"), ["BTC-PERPETUAL"])
    assert known_names(str(tmp_path / "none")) == known_names("") == []


def test_another_shell_is_wrong_usage_and_names_those_there_are() -> None:
    done = basislake(None, "completion", "tcsh")
    assert done.code == 2
    assert "'bash', 'zsh', 'fish'" in done.err
    assert basislake(None, "completion", "fish", "--json").json["shell"] == "fish"
