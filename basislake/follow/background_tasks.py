"""Background tasks of a run that follows the market: builds and maintenance, between its rounds.

Each task runs when it is due. A failure is logged once, and the task runs again when it is next
due; fetching continues in any case.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from basislake.follow.followed import Followed
from basislake.follow.messages import Messages
from ingest.follow_schedule import Schedule, is_due
from lake.errors import LakeError, LoadError


@dataclass(frozen=True, slots=True)
class Work:
    """The tasks.

    Attributes:
        build: builds the curated tables from the raw ones.
        maintain: compacts and cleans up files and logs.
    """

    build: Callable[[], None]
    maintain: Callable[[], object]


class BackgroundTasks:
    """Builds and maintenance of one run, counted in its result."""

    def __init__(
        self, work: Work, schedule: Schedule, messages: Messages, result: Followed
    ) -> None:
        """Make the first build and the first maintenance due at once."""
        self._work = work
        self._result = result
        self._schedule = schedule
        self._messages = messages
        self._is_behind = True
        self._built_at: datetime | None = None
        self._maintained_at: datetime | None = None

    def add_rows(self, rows: int) -> None:
        """Record that new rows wait for a build."""
        self._is_behind = self._is_behind or rows > 0

    def run_due(self, now: datetime) -> None:
        """Do what is due by the exchange's clock: first the build, as maintenance may take long."""
        schedule = self._schedule
        if self._is_behind and is_due(self._built_at, now, schedule.build_every):
            self._built_at = now
            if self._is_done("build", self._work.build, "Build or load failed"):
                self._is_behind = False
                self._result.builds += 1
        if is_due(self._maintained_at, now, schedule.maintain_every):
            self._maintained_at = now
            if self._is_done("maintenance", self._work.maintain, "Maintenance failed"):
                self._result.maintenances += 1

    def _is_done(self, topic: str, work: Callable[[], object], failed: str) -> bool:
        try:
            work()
        except (LakeError, LoadError) as exc:
            self._messages.say_once(topic, f"{failed}: {exc} Fetching continues.")
            return False
        self._messages.say_once(topic, "")
        return True
