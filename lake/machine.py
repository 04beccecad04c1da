"""The folder where processes of one machine keep what they share about a lake: locks, the rate
limit, and names for completion. No data are there: losing it loses no row.
"""

import errno
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from lake.errors import LakeError, UsageError
from lake.urls import is_local

# Names a folder on a disk of this machine, for all lakes.
SETTING = "BASISLAKE_MACHINE_FOLDER"

# What the system says where a file system has no locks, as some network file systems.
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def folder(uri: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of a lake: below the one that `SETTING` names, or else in the lake itself,
    and for a lake in an object store in the user's cache. It need not be there yet.

    Args:
        uri: of the lake, absolute.
        environment: environment variables.

    Raises:
        UsageError: the setting is no absolute path, or nothing says where the user's cache is.
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
    """Return the folder of what is worth keeping from run to run whatever the lake: the one that
    `SETTING` names, or else in the user's folder of such things. It need not be there yet.

    Returns:
        None where nothing says where that is.
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
    """Return the error of what could not be shared among processes; pure.

    Args:
        what: begins the sentence.
        place: folder or file of it.
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
