"""What a run that follows the market does to the lake between its rounds: builds, and upkeep.

Each when it is due. What fails is told, once, and tried again when it is due again: neither keeps
candles from being fetched.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from basislake.news import Messages
from ingest.schedule import Rhythm, is_due
from lake.errors import LakeError, LoadError


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to do.

    Attributes:
        build: brings up to date what is made from the raw candles.
        upkeep: keeps files and logs in shape.
    """

    build: Callable[[], None]
    upkeep: Callable[[], object]


class BackgroundTasks:
    """Builds and upkeep of one run.

    Attributes:
        builds: done so far.
        upkeeps: done so far.
    """

    def __init__(self, work: Work, rhythm: Rhythm, messages: Messages) -> None:
        """Take the first build, and the first upkeep, to be due.

        Args:
            work: to be done.
            rhythm: how often.
            messages: logs what fails.
        """
        self.builds = 0
        self.upkeeps = 0
        self._work = work
        self._rhythm = rhythm
        self._messages = messages
        self._is_behind = True
        self._built_at: datetime | None = None
        self._kept_at: datetime | None = None

    def took(self, rows: int) -> None:
        """Take note of rows that are new to the lake, and wait for a build."""
        self._is_behind = self._is_behind or rows > 0

    def do(self, now: datetime) -> None:
        """Do what is due by the exchange's clock: the build first, for upkeep may take a while."""
        rhythm = self._rhythm
        if self._is_behind and is_due(self._built_at, now, rhythm.build_every):
            self._built_at = now
            if self._is_done("build", self._work.build, "Not built or loaded"):
                self._is_behind = False
                self.builds += 1
        if is_due(self._kept_at, now, rhythm.upkeep_every):
            self._kept_at = now
            if self._is_done("upkeep", self._work.upkeep, "Files not put in order"):
                self.upkeeps += 1

    def _is_done(self, topic: str, work: Callable[[], object], failed: str) -> bool:
        try:
            work()
        except (LakeError, LoadError) as exc:
            self._messages.say_once(topic, f"{failed}: {exc} Fetching goes on.")
            return False
        self._messages.say_once(topic, "")
        return True
