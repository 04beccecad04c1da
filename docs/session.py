"""Makes session.svg, the terminal of the README: `python -m docs.session`.

The commands really run, one after the other, on a terminal in an empty folder. Their output is
unchanged, except that the folder is shown as `~`.
"""

import os
import pty
import re
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

COMMANDS = ("basislake demo", "basislake status --lake demo-lake")
COLUMNS = 112
PICTURE = Path(__file__).parent / "session.svg"
# Fonts would be fetched from the network; every system has its own.
_FONTS = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
_REWRITTEN = re.compile(r"\r\x1b\[K")


def ran(command: str, folder: Path) -> str:
    """Return what a command writes to a terminal, of a line that is rewritten the last state."""
    outer, inner = pty.openpty()
    program = "from basislake.cli.main import main; main()"
    words = [sys.executable, "-c", f"import sys; sys.argv[0] = 'basislake'; {program}"]
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    process = subprocess.Popen(  # noqa: S603  (our own command)
        [*words, *command.split()[1:]],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        cwd=folder,
        env={**environment, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)},
    )
    os.close(inner)
    data = b""
    try:
        while piece := os.read(outer, 65_536):
            data += piece
    except OSError:  # the other end is closed
        pass
    os.close(outer)
    if process.wait():
        raise RuntimeError(f"{command}: exit code {process.returncode}")
    text = data.decode().replace("\r\n", "\n").replace(str(folder), "~")
    return "\n".join(_REWRITTEN.split(line)[-1].rstrip() for line in text.split("\n"))


def session() -> str:
    """Return the picture of all commands as SVG, with no address in it."""
    shown = Console(
        record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        for command in COMMANDS:
            shown.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            shown.print(Text.from_ansi(ran(command, folder)), "")
    plain = _FONTS.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code", "monospace")
    return shown.export_svg(title="basislake", code_format=plain, unique_id="session")


if __name__ == "__main__":
    PICTURE.write_text(session())
