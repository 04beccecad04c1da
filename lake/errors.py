"""Every error that basislake raises on purpose, in one tree.

    BasislakeError
    ├── UsageError            the command or a setting is wrong; nothing was done
    ├── LakeError             the lake cannot be read or written
    │   ├── ConflictError     another writer committed first; read again and retry
    │   ├── GoneError         a version was given up, or is not there
    │   └── DamagedError      a file is absent or damaged; reading again cannot help
    ├── ExchangeError         the exchange gave no usable answer
    │   ├── TransientError    asking again may help
    │   │   ├── ThrottledError    too many calls; all callers should slow down
    │   │   └── UnreachableError  no connection at all
    │   ├── StoppedError      the caller stopped calling, on purpose
    │   ├── RejectedError     asking the same again cannot help
    │   ├── ClosedDoorError   the exchange refuses all calls; stop asking
    │   └── ChangedError      the exchange is not what we rely on; data would be lost
    └── LoadError             the database cannot be read or written

A message says what happened to which thing, what is safe, and what to do next. Findings about
data are rows in tables, never exceptions.
"""


class BasislakeError(Exception):
    """Something the user should read; the message is meant for them."""


class UsageError(BasislakeError):
    """The command or a setting is wrong; nothing was done."""


class LakeError(BasislakeError):
    """The lake cannot be read or written."""


class ConflictError(LakeError):
    """Another writer committed to the same rows first; nothing of this commit was stored."""


class GoneError(LakeError):
    """A version of a table was given up, or is not there."""


class DamagedError(LakeError):
    """A file of a table is absent, or its rows cannot be read; reading it again cannot help."""


class ExchangeError(BasislakeError):
    """The exchange gave no usable answer."""


class TransientError(ExchangeError):
    """The call failed in a way that asking again may cure.

    Attributes:
        retry_after_s: seconds the exchange asked us to wait, None where it did not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        """Keep the wait that the exchange asked for, in seconds."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ThrottledError(TransientError):
    """The exchange was called more than it allows; every caller should wait and slow down."""


class UnreachableError(TransientError):
    """No connection could be made: no network, no such host, or nobody who answers there."""


class StoppedError(ExchangeError):
    """The call was given up because the client was told to stop; nothing is known of its answer."""


class LateError(ExchangeError):
    """The exchange's answer lacks rows that have only just come to be; a later run asks again."""


class RejectedError(ExchangeError):
    """The exchange understood the call and refuses it; the same call will be refused again."""


class ClosedDoorError(ExchangeError):
    """The exchange has switched off anonymous access or the method; all calls would fail."""


class ChangedError(ExchangeError):
    """The exchange is not what we rely on, so that data would be lost without anybody noticing."""


class LoadError(BasislakeError):
    """The database cannot be read or written, or does not hold what was sent."""
