"""Claims: of two backfills of one lake on one machine, only one asks for an instrument at a time.

Elsewhere nothing keeps two of them apart but the commits, which never store a row twice.
"""

from pathlib import Path

from filelock import FileLock, Timeout

from lake.machine import not_shared


class Claims:
    """The instruments that this run works on; a claim ends with the process, however that ends."""

    def __init__(self, folder: Path) -> None:
        """Claim nothing yet.

        Args:
            folder: shared by the processes of a machine, made where it is absent.
        """
        self._folder = folder
        self._held: dict[str, FileLock] = {}

    def take(self, instrument: str) -> bool:
        """Claim an instrument; False where another run has it.

        Args:
            instrument: its name, parsed.

        Raises:
            LakeError: the folder cannot be written, or its file system has no locks.
        """
        path = self._folder / f"{instrument}.lock"
        # A lock that is only a file would outlive a process that is killed.
        lock = FileLock(path, blocking=False, thread_local=False, fallback_to_soft=False)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            return False
        except OSError as exc:
            raise not_shared(f"{instrument} cannot be locked", self._folder, exc) from exc
        self._held[instrument] = lock
        return True

    def release(self, instrument: str) -> None:
        """Let others have an instrument."""
        lock = self._held.pop(instrument, None)
        if lock is not None:
            lock.release()

    def release_all(self) -> None:
        """Let others have them all."""
        for instrument in list(self._held):
            self.release(instrument)
