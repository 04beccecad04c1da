"""The names of a lake's instruments for readers that cannot wait for a table, such as shell
completion.

Discovery writes all names to the machine folder of the lake; partition folders of a lake on disk
add names that another machine discovered. A lake never loses an instrument, so every listed name is
in the lake; names that another machine discovered in an object store may be missing here.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from lake.errors import UsageError
from lake.location.lake_address import address_of
from lake.machine import shared_folder
from lake.machine.cores import text_of

_FILE = "instruments"
# Path of raw candles, as declared in `lake.tables`, which is too slow to import.
_CANDLES, _PARTITION = "raw_candles", "instrument="


def remember(uri: str, names: Iterable[str]) -> None:
    """Write the names of all instruments, if the machine folder of the lake is writable.

    Args:
        uri: of the lake, absolute.
        names: of all instruments of the lake.
    """
    text = "".join(f"{name}\n" for name in sorted(names))
    # Completion works without the names; a command must not fail because of them.
    with suppress(OSError, UsageError):
        folder = shared_folder.folder(uri)
        path = folder / _FILE
        if not path.exists() or path.read_text() != text:
            folder.mkdir(parents=True, exist_ok=True)
            # Replaced as a whole: half a name would be a different name.
            written = folder / f"{_FILE}.{os.getpid()}"
            written.write_text(text)
            written.replace(path)


def known_names(uri: str) -> list[str]:
    """Return the names of a lake's instruments that are found without reading a table; none if
    there is no lake.

    Args:
        uri: the lake's address as the user gave it.
    """
    with suppress(OSError, UsageError):
        address = address_of(uri)
        place = Path(address.uri)
        if address.is_local and not place.is_dir():
            return []
        names = set(text_of(shared_folder.folder(address.uri) / _FILE).split())
        if address.is_local:
            folders = (place / _CANDLES).glob(f"{_PARTITION}*")
            names |= {unquote(folder.name.removeprefix(_PARTITION)) for folder in folders}
        return sorted(names)
    return []
