"""Entry point of the program: `basislake`, or `python -m basislake`."""

import atexit
import gc
import os
import signal
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

_OURS = Path(__file__).parent.parent
_PACKAGES = ("ingest", "lake", "load", "transforms")
# About as many objects as the libraries create and keep while they load.
_OBJECTS_LOADED = 100_000


def main() -> None:
    """Run the command; end without a traceback if Ctrl-C comes while it loads."""
    try:
        # Ctrl-C may crash a library that is loading, so the signal is delivered afterwards.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        collect_after_loading()
        if (other := _in_the_way()) is not None:
            sys.stderr.write(
                f"Error: Python would import {other} in place of a part of basislake with the same "
                "name. Nothing was done. Rename it, run the command in another folder, or remove "
                "its folder from PYTHONPATH.\n"
            )
            sys.exit(2)
        from basislake.cli.main import main as run  # noqa: PLC0415  (takes a moment)

        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Nothing was done.\n")
        sys.exit(130)
    try:
        run()
    except SystemExit as end:
        _leave(end.code)
        raise


def collect_after_loading() -> None:
    """Postpone the first garbage collection until the libraries are loaded, which saves a tenth of
    the time; afterwards Python collects as usual.
    """
    usual = gc.get_threshold()

    def search_as_usual(_phase: str, _info: dict[str, int]) -> None:
        gc.callbacks.remove(search_as_usual)
        gc.set_threshold(*usual)

    gc.callbacks.append(search_as_usual)
    gc.set_threshold(_OBJECTS_LOADED)


def _leave(code: object) -> None:
    """End the process at once, since Python would spend a tenth of a second on unloading libraries.
    Return if threads still run or the code is no number, so that Python ends as usual.
    """
    others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
    if not isinstance(code, int) or not all(thread.daemon for thread in others):
        return
    atexit._run_exitfuncs()  # noqa: SLF001  (there is no other name for it)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _in_the_way() -> Path | None:
    """The file or folder that Python would import in place of one of our packages, or None."""
    for name in _PACKAGES:
        spec = find_spec(name)
        places = spec and (spec.submodule_search_locations or [spec.origin or name])
        found = Path(next(iter(places or [name])))
        if not found.is_dir() or not found.parent.samefile(_OURS):
            return found
    return None


if __name__ == "__main__":
    main()
