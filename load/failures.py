"""What ends a piece of work, whatever raised it, and its reason in words."""

from polars.exceptions import PanicException

from lake.errors import BasislakeError

# All that is told as an error of ours; not Ctrl-C, which ends the command as it is. A panic of
# Polars is no Exception.
FAILURES = (Exception, PanicException)


def reason(exc: BaseException) -> str:
    """Return why something failed, for the middle of a message: without a full stop."""
    if isinstance(exc, MemoryError):
        return "There was not enough memory for it"
    # That of a column that holds a null, or of Arrow, tells all by itself.
    known = isinstance(exc, BasislakeError | ValueError | OSError)
    told = " ".join(str(exc).split()).rstrip(".")
    return told if known else f"{type(exc).__name__}: {told}".removesuffix(": ")
