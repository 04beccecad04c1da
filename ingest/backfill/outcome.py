"""The outcome of fetching one window."""

from dataclasses import dataclass

from ingest.deribit.replies import Page
from lake.coverage import Subject
from lake.errors import ExchangeError, LateError, RejectedError
from lake.time.intervals import Span


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of fetching one window.

    Attributes:
        subject: that was fetched.
        window: that was requested.
        page: the answer, None if there was none.
        error: why there was none.
    """

    subject: Subject
    window: Span
    page: Page | None
    error: ExchangeError | None = None

    @property
    def is_silent(self) -> bool:
        """Whether the exchange gave no answer; false if it refused the call for good, or if the
        rows are not published yet.
        """
        return self.page is None and not isinstance(self.error, RejectedError | LateError)

    @property
    def rows(self) -> int:
        """Rows in the answer."""
        return self.page.frame.height if self.page else 0
