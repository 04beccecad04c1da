"""The errors that basislake raises on purpose, each below the more general one.

A message says what happened to what, what is safe, and what to run next. Findings about data are
rows in tables, never exceptions.
"""


class BasislakeError(Exception):
    """An error whose message is meant for the user."""


class UsageError(BasislakeError):
    """The command or a setting is wrong; nothing was changed."""


class LakeError(BasislakeError):
    """The lake cannot be read or written."""


class ConflictError(LakeError):
    """Another writer committed to the same rows first; nothing of this commit was stored."""


class GoneError(LakeError):
    """A version of a table was deleted, or does not exist."""


class DamagedError(LakeError):
    """A file of a table is missing or cannot be decoded; reading it again cannot help."""


class ExchangeError(BasislakeError):
    """The exchange gave no usable answer."""


class TransientError(ExchangeError):
    """A failure of a call that a retry may cure.

    Attributes:
        retry_after_s: seconds that the exchange asked us to wait; None if it named none.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        """Create the error with the wait that the exchange asked for, in seconds."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ThrottledError(TransientError):
    """The exchange was called more than it permits; all processes should wait and slow down."""


class UnreachableError(TransientError):
    """No connection could be made: no network, no such host, or no process that answers."""


class UnknownHostError(UnreachableError):
    """The name of the host cannot be resolved: it is mistyped, or there is no network."""


class StoppedError(ExchangeError):
    """The client was stopped and abandoned the call; whether the exchange answered is unknown."""


class LateError(ExchangeError):
    """The exchange's answer lacks rows that it has not published yet; a later run asks again."""


class RejectedError(ExchangeError):
    """The exchange understood the call and refuses it; the same call will be refused again."""


class ClosedDoorError(ExchangeError):
    """The exchange has switched off anonymous access or the method; all calls would fail."""


class ChangedError(ExchangeError):
    """The exchange breaks an assumption of ours, so data would be lost unnoticed."""


class LoadError(BasislakeError):
    """The database cannot be read or written, or its content differs from what was sent."""
