"""Processes whose kernel refuses some calls, as it does on a file system without hard links or
locks.
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable

import pytest

# Numbers of the calls, by the processor.
_CALLS = {
    "x86_64": {"link": 86, "linkat": 265, "flock": 73},
    "aarch64": {"linkat": 37, "flock": 32},
}
COMMAND = "from basislake.cli.main import main; main()"
LINKS = ("link", "linkat")
LOCKS = ("flock",)

_NO_NEW_PRIVILEGES, _SET_FILTER, _FILTER = 38, 22, 2
_LOAD_NUMBER, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000


def refusing(names: Iterable[str], error: int, program: str = COMMAND) -> list[str]:
    """Return what the command line of a process begins with that gets an error from some calls."""
    if sys.platform != "linux" or platform.machine() not in _CALLS:
        pytest.skip("calls can be refused only on Linux")
    begin = f"from tests.refusing import refuse; refuse({tuple(names)}, {error})"
    return [sys.executable, "-c", f"{begin}\n{program}"]


def refuse(names: Iterable[str], error: int) -> None:
    """Have the kernel refuse calls of this process, and of what it starts, from now on."""
    known = _CALLS[platform.machine()]
    steps = [(_LOAD_NUMBER, 0, 0, 0)]
    for number in (known[name] for name in names if name in known):
        steps += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _FAIL | error)]
    steps.append((_RETURN, 0, 0, _ALLOW))
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    described = struct.pack("@HP", len(steps), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SET_FILTER, _FILTER, described, 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
