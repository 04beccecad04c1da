"""What asking for one window came to."""

from dataclasses import dataclass

from ingest.replies import Page
from lake.coverage import Subject
from lake.errors import ExchangeError, LateError, RejectedError
from lake.spans import Span


@dataclass(frozen=True, slots=True)
class Outcome:
    """What asking for one window came to.

    Attributes:
        subject: whose rows were asked for.
        window: that was asked.
        page: the answer, None where there was none.
        error: why there was none.
    """

    subject: Subject
    window: Span
    page: Page | None
    error: ExchangeError | None = None

    @property
    def is_silent(self) -> bool:
        """Whether the exchange gave no answer, as opposed to refusing the call for good, or to one
        whose rows are still to come.
        """
        return self.page is None and not isinstance(self.error, RejectedError | LateError)

    @property
    def rows(self) -> int:
        """Rows in the answer."""
        return self.page.frame.height if self.page else 0
