"""Claims: of two backfills of one lake on one machine, only one asks for a subject at a time.

Elsewhere nothing keeps two of them apart but the commits, which never store a row twice.
"""

from pathlib import Path

from filelock import FileLock, Timeout

from lake.coverage import Subject
from lake.machine import not_shared


class Claims:
    """The subjects that this run works on; a claim ends with the process, however that ends."""

    def __init__(self, folder: Path) -> None:
        """Claim nothing yet.

        Args:
            folder: shared by the processes of a machine, made where it is absent.
        """
        self._folder = folder
        self._held: dict[Subject, FileLock] = {}

    def take(self, subject: Subject) -> bool:
        """Claim a subject; False where another run has it.

        Args:
            subject: whose name was parsed.

        Raises:
            LakeError: the folder cannot be written, or its file system has no locks.
        """
        path = self._folder / f"{subject.dataset}-{subject.name}.lock"
        # A lock that is only a file would outlive a process that is killed.
        lock = FileLock(path, blocking=False, thread_local=False, fallback_to_soft=False)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            return False
        except OSError as exc:
            raise not_shared(f"{subject} cannot be locked", self._folder, exc) from exc
        self._held[subject] = lock
        return True

    def release(self, subject: Subject) -> None:
        """Let others have a subject."""
        lock = self._held.pop(subject, None)
        if lock is not None:
            lock.release()

    def release_all(self) -> None:
        """Let others have them all."""
        for subject in list(self._held):
            self.release(subject)
