"""A folder of its own for each run of the tests, and in it one for each of its workers.

Runs at once, and the workers of one, share nothing: neither temporary folders nor what this machine
keeps of its lakes, such as their pace.
"""

import os
import tempfile
from pathlib import Path

# The settings of a developer's shell; a test gives its own.
_FOREIGN = ("BASISLAKE_", "AWS_", "GOOGLE_")
_OURS = "BASISLAKE_TEST_"
_PLACES = ("TMPDIR", "XDG_CACHE_HOME")


def begin() -> Path:
    """Move this process, and those that it starts, into a new folder."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN) and not name.startswith(_OURS):
            del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="basislake-"))
    # The embedded server and logrotate pass through it as another user.
    folder.chmod(0o755)
    os.environ |= {"TMPDIR": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    tempfile.tempdir = None
    return folder


def places() -> dict[str, str]:
    """The part of the environment by which a process uses the folders of this one."""
    return {name: os.environ[name] for name in _PLACES}
