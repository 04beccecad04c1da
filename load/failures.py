"""Failures of a piece of work, and their reasons in words."""

from polars.exceptions import PanicException

from lake.errors import BasislakeError, LoadError

# Exceptions that are reported as our errors; not Ctrl-C, which ends the command. A panic of
# Polars is not an Exception.
FAILURES = (Exception, PanicException)


class ServerError(LoadError):
    """PostgreSQL refused a statement, or the connection was lost.

    Attributes:
        sqlstate: its code of five letters; None after a lost connection.
    """

    def __init__(self, message: str, sqlstate: str | None) -> None:
        """Create the error with the server's code."""
        super().__init__(message)
        self.sqlstate = sqlstate

    @property
    def is_about_rows(self) -> bool:
        """Whether a row exists already or breaks another constraint, or a value cannot be
        computed with.
        """
        return self.sqlstate is not None and self.sqlstate.startswith(("22", "23"))


def reason(exc: BaseException) -> str:
    """Return the reason of a failure, for the middle of a message: without a full stop."""
    if isinstance(exc, MemoryError):
        return "There was not enough memory for it"
    # The message about a null in a column, or of Arrow, is complete.
    known = isinstance(exc, BasislakeError | ValueError | OSError)
    message = " ".join(str(exc).split()).rstrip(".")
    return message if known else f"{type(exc).__name__}: {message}".removesuffix(": ")
