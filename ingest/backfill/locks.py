"""Locks on subjects: of two backfills of one lake on one machine, only one fetches a subject.

On several machines only the commits separate two backfills; they never store a row twice.
"""

from pathlib import Path

from filelock import FileLock, Timeout

from lake.coverage import Subject
from lake.machine.shared_folder import not_shared


class SubjectLocks:
    """The subjects that this run has locked; the locks end with the process, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Prepare; nothing is locked.

        Args:
            folder: shared by the processes of a machine, created if missing.
        """
        self._folder = folder
        self._held: dict[Subject, FileLock] = {}

    def take(self, subject: Subject) -> bool:
        """Lock a subject; False if another run has locked it.

        Args:
            subject: with a validated name.

        Raises:
            LakeError: the folder cannot be written, or its file system has no locks.
        """
        path = self._folder / f"{subject.dataset}-{subject.name}.lock"
        # A lock that is only a file would outlive a killed process.
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
        """Unlock a subject."""
        lock = self._held.pop(subject, None)
        if lock is not None:
            lock.release()

    def release_all(self) -> None:
        """Unlock all subjects."""
        for subject in list(self._held):
            self.release(subject)
