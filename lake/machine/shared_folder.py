"""The machine folder, where processes of one machine share state about a lake: locks, the rate
limit, and names for completion. It holds no data: losing it loses no row.
"""

import errno
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from lake.errors import LakeError, UsageError
from lake.location.urls import is_local

# Environment variable: a folder on a disk of this machine, for all lakes.
SETTING = "BASISLAKE_MACHINE_FOLDER"

# Errors of the system for a file system without locks, such as some network file systems.
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def folder(uri: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of a lake: below the folder in `SETTING`, or else in the lake itself, or
    for a lake in an object store in the user's cache. It may not exist yet.

    Args:
        uri: of the lake, absolute.
        environment: environment variables.

    Raises:
        UsageError: the setting is not an absolute path, or the user has no cache folder.
    """
    if given := environment.get(SETTING):
        if not Path(given).is_absolute():
            raise UsageError(
                f"{SETTING} is not the absolute path of a folder: {given!r}. Nothing was changed."
            )
        return Path(given) / _name(uri)
    if is_local(uri):
        return Path(uri) / ".machine"
    try:
        cache = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as exc:
        raise UsageError(
            "This user has no home folder, so there is no folder for this machine's state of a "
            f"lake in an object store. Set {SETTING} to a writable folder."
        ) from exc
    return Path(cache) / "basislake" / _name(uri)


def state_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the folder for state that all lakes share: the one in `SETTING`, or else the user's
    folder for state. It may not exist yet.

    Returns:
        None if the user has no such folder.
    """
    given = environment.get(SETTING)
    if given and Path(given).is_absolute():
        return Path(given)
    try:
        state = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return Path(state) / "basislake"


def not_shared(what: str, place: Path, error: OSError) -> LakeError:
    """Return the error for state that processes could not share; pure.

    Args:
        what: begins the sentence.
        place: folder or file of the state.
        error: of the system.
    """
    why = f"{error.strerror}. Make it writable, or set"
    if error.errno in NO_LOCKS:
        why = f"its file system has no locks ({error.strerror}). Set"
    return LakeError(
        f"{what} at {place}: {why} {SETTING} to a folder on a disk of this machine. Run the "
        "command again. The lake's data are safe."
    )


def _name(uri: str) -> str:
    """One name for a lake, whichever links lead to it."""
    place = os.path.realpath(uri) if is_local(uri) else uri
    return sha256(place.encode()).hexdigest()[:16]
