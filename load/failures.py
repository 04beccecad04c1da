"""What ends a piece of work, whatever raised it, and its reason in words."""

from polars.exceptions import PanicException

from lake.errors import BasislakeError, LoadError

# All that is told as an error of ours; not Ctrl-C, which ends the command as it is. A panic of
# Polars is no Exception.
FAILURES = (Exception, PanicException)


class ServerError(LoadError):
    """PostgreSQL refused a statement, or went away.

    Attributes:
        sqlstate: its code of five letters; None where it went away.
    """

    def __init__(self, message: str, sqlstate: str | None) -> None:
        """Keep the code beside the message."""
        super().__init__(message)
        self.sqlstate = sqlstate

    @property
    def is_about_rows(self) -> bool:
        """Whether a row is there already or breaks another constraint, or a value is one with which
        nothing can be computed.
        """
        return self.sqlstate is not None and self.sqlstate.startswith(("22", "23"))


def reason(exc: BaseException) -> str:
    """Return why something failed, for the middle of a message: without a full stop."""
    if isinstance(exc, MemoryError):
        return "There was not enough memory for it"
    # That of a column that holds a null, or of Arrow, tells all by itself.
    known = isinstance(exc, BasislakeError | ValueError | OSError)
    told = " ".join(str(exc).split()).rstrip(".")
    return told if known else f"{type(exc).__name__}: {told}".removesuffix(": ")
