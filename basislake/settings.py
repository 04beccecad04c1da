"""What the settings of the command line come to: an exchange to ask, a lake, a database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from basislake.defaults import EMBEDDED
from basislake.defaults import LAKE as DEFAULT_LAKE
from basislake.output import say
from ingest import defaults
from ingest.exchange import Exchange
from ingest.hosts import HISTORY_URL, WWW_URL, base_of, exchange_name
from ingest.limiter import Limiter
from ingest.pace import DEFAULT_CALLS_PER_SECOND
from lake import Lake
from lake.errors import LakeError, UsageError
from lake.origin import check_origin
from lake.tables import INSTRUMENTS
from load.embedded import embedded, psql_command, stop_command


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """How to call the exchange.

    Attributes:
        url: of `www`.
        history_url: of the history host.
        rate: candle calls a second, 0 for no limit.
        timeout_s: for one whole call.
        retries: asks again per window.
        threads: calls under way at once.
    """

    # Not shown, as an engine's log may show a task: a URL may hold a password.
    url: str = field(default=WWW_URL, repr=False)
    history_url: str = field(default=HISTORY_URL, repr=False)
    rate: float = DEFAULT_CALLS_PER_SECOND
    timeout_s: float = defaults.TIMEOUT_S
    retries: int = defaults.RETRIES
    threads: int = defaults.THREADS

    @contextmanager
    def open(
        self, where: Lake | None = None, tell: Callable[[str], None] = say
    ) -> Iterator[Exchange]:
        """Address the exchange, and close the connections at the end.

        Args:
            where: a lake, whose runs on this machine share one pace; by default the pace is this
                process's own.
            tell: told of failures that last.

        Raises:
            UsageError: see `check`.
        """
        if where is not None:
            self.check(where)
        exchange = self.exchange(where, tell)
        try:
            yield exchange
        finally:
            exchange.close()

    def exchange(self, where: Lake | None = None, tell: Callable[[str], None] = say) -> Exchange:
        """Address the exchange, as `open` does; the caller closes it."""
        folder = where.machine_folder if where else None
        return Exchange(
            self.url,
            self.history_url,
            limiter=Limiter(self.rate, folder=folder, url=self.url),
            timeout_s=self.timeout_s,
            retries=self.retries,
            tell=tell,
        )

    def check(self, where: Lake) -> None:
        """Refuse what would put two exchanges into one lake; nothing is called.

        Raises:
            UsageError: the URL is none, or the lake holds the market of another exchange.
            LakeError: the lake cannot be read.
        """
        check_origin(where, exchange_name(base_of(self.url)))


@contextmanager
def database(postgres: str, where: Lake, *, keep: bool | None = None) -> Iterator[str]:
    """Give the libpq URI of the database, starting the embedded one beside the lake where that is
    asked for.

    Args:
        postgres: libpq URI, or `embedded`.
        where: the lake.
        keep: whether the embedded one goes on afterwards; None leaves that as it is.

    Raises:
        UsageError: the embedded database is asked for and the lake is not on this machine's disk.
    """
    if postgres != EMBEDDED:
        yield postgres
        return
    if not where.is_local:
        raise UsageError(
            "The embedded PostgreSQL lives beside a lake on disk; give --postgres URI for this one."
        )
    folder = embedded_folder(where)
    with embedded(folder, keep=keep) as uri:
        if keep:
            say(
                f"The embedded PostgreSQL keeps running. Connect:\n  {psql_command(uri)}\n"
                f"Stop it:\n  {stop_command(folder)}"
            )
        yield uri


@contextmanager
def known_database(postgres: str, where: Lake, *, keep: bool | None = None) -> Iterator[str | None]:
    """Give the libpq URI of the database as `database` does; None where the embedded one was never
    made, for the commands that only read.
    """
    if postgres == EMBEDDED and not (where.is_local and embedded_folder(where).exists()):
        yield None
        return
    with database(postgres, where, keep=keep) as uri:
        yield uri


def embedded_folder(where: Lake) -> Path:
    """Where the embedded PostgreSQL of a lake on disk keeps its data."""
    return Path(where.uri) / "postgres"


def lake_flag(where: Lake) -> str:
    """Return what another command needs to be about the same lake, e.g. ` --lake ./demo-lake`;
    nothing where it is the usual one.
    """
    place = Path(where.uri)
    if not where.is_local or not place.is_relative_to(Path.cwd()):
        return f" --lake {quote(where.uri)}"
    is_usual = place == Path(DEFAULT_LAKE).absolute()
    return "" if is_usual else f" --lake {quote(str(place.relative_to(Path.cwd())))}"


def check_exists(where: Lake) -> None:
    """Refuse what is no lake, as `Lake.check_exists` does, and say how to come to one.

    Raises:
        LakeError: none of its tables is there, or they cannot be read.
    """
    # One table of a lake that is there is enough; in a store each costs a call.
    if where.snapshot(INSTRUMENTS).version is not None:
        return
    try:
        where.check_exists()
    except LakeError as exc:
        raise LakeError(
            f"{exc} --lake or BASISLAKE_LAKE says where yours is; "
            f"`basislake run{lake_flag(where)}` makes one there."
        ) from exc
