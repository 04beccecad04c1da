"""A separate folder for each run of the tests, with one for each of its workers.

Simultaneous runs, and the workers of one run, share no changing state: neither temporary folders
nor this machine's state of lakes and exchanges, such as rates.
"""

import fcntl
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# The settings of a developer's shell; a test gives its own.
_FOREIGN = ("BASISLAKE_", "AWS_", "GOOGLE_")
_OURS = "BASISLAKE_TEST_"
_PLACES = ("TMPDIR", "XDG_CACHE_HOME", "XDG_STATE_HOME")


def begin() -> Path:
    """Move this process, and those that it starts, into a new folder."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN) and not name.startswith(_OURS):
            del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="basislake-"))
    # The embedded server and logrotate pass through it as another user.
    folder.chmod(0o755)
    homes = {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
    os.environ |= {"TMPDIR": str(folder), **homes}
    tempfile.tempdir = None
    return folder


def once(name: str, make: Callable[[Path], T]) -> T:
    """Return what the worker of a run that needs it first makes in a folder, to be read only.

    Args:
        name: of the folder.
        make: fills it.
    """
    own = Path(tempfile.gettempdir())
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    shared.mkdir(exist_ok=True)
    folder, result = shared / name, shared / f"{name}.pickle"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            result.write_bytes(pickle.dumps(make(folder)))
    found: T = pickle.loads(result.read_bytes())  # noqa: S301  (we wrote it)
    return found


def places() -> dict[str, str]:
    """The part of the environment by which a process uses the folders of this one."""
    return {name: os.environ[name] for name in _PLACES}
