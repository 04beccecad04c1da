"""Settings and selections of the command line: flag, else environment, else default."""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

import click

import lake
from basislake.engines import LOCAL, Engine
from basislake.output import say
from ingest.backfill import DEFAULT_THREADS
from ingest.exchange import (
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT_S,
    MAX_CONNECTIONS,
    Exchange,
)
from ingest.hosts import HISTORY_URL, WWW_URL, exchange_name
from ingest.limiter import Limiter
from ingest.pace import DEFAULT_CALLS_PER_SECOND
from ingest.selection import Selection, select
from lake import Lake
from lake.errors import LakeError, UsageError
from lake.origin import check_origin
from lake.tables import INSTRUMENTS
from load.embedded import embedded, psql_command, stop_command

DEFAULT_LAKE = "./lake-data"
EMBEDDED = "embedded"

# What to do where the exchange cannot be reached.
UNREACHABLE = (
    "See to the network, and to a proxy (HTTPS_PROXY) where there is one; BASISLAKE_EXCHANGE_URL\n"
    "and BASISLAKE_HISTORY_URL give other addresses. What is stored needs no network, for example"
    "\n`basislake instruments --offline`; `basislake exchange` serves a simulated exchange."
)

_FIRST_YEAR, _END_YEAR = 2000, 2100
_MOST_CALLS_PER_SECOND = 1e6
_LONGEST_TIMEOUT_S = 3600.0
_MOST_WORKERS = 256

F = TypeVar("F", bound=Callable[..., Any])


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
    timeout_s: float = DEFAULT_TIMEOUT_S
    retries: int = DEFAULT_RETRIES
    threads: int = DEFAULT_THREADS

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
            UsageError: the lake holds the market of another exchange.
            LakeError: the lake cannot be read.
        """
        check_origin(where, exchange_name(self.url))


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
def known_database(postgres: str, where: Lake) -> Iterator[str | None]:
    """Give the libpq URI of the database as `database` does; None where the embedded one was never
    made, for the commands that only read.
    """
    if postgres == EMBEDDED and not (where.is_local and embedded_folder(where).exists()):
        yield None
        return
    with database(postgres, where) as uri:
        yield uri


def embedded_folder(where: Lake) -> Path:
    """Where the embedded PostgreSQL of a lake on disk keeps its data."""
    return Path(where.uri) / "postgres"


class Number(click.FloatRange):
    """A number in a range; what is not a number is in none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


class Time(click.ParamType[datetime]):
    """A UTC date or time: 2024-03-29, 2024-03-29T08:00 or 2024-03-29T08:00:00Z."""

    name = "time"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime:
        """Parse, taking a time without a zone as UTC."""
        if isinstance(value, datetime):
            return value
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is not a UTC date or time like 2024-03-29 or 2024-03-29T08:00Z",
                param,
                ctx,
            )
        if not _FIRST_YEAR <= time.year < _END_YEAR:
            self.fail(f"{value!r} is not in the years {_FIRST_YEAR} to {_END_YEAR}", param, ctx)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def lake_option(command: F) -> F:
    """Add --lake; the command gets `where`, a lake."""
    option = click.option(
        "--lake",
        "where",
        metavar="PATH|URI",
        envvar="BASISLAKE_LAKE",
        default=DEFAULT_LAKE,
        show_default=True,
        show_envvar=True,
        callback=lambda _ctx, _param, value: _opened(value),
        help="Folder or object-store URI of the lake",
    )
    return option(command)


def _opened(uri: str) -> Lake:
    where = lake.open(uri)
    folder = Path(where.uri)
    if where.is_local and (folder.is_symlink() or folder.exists()) and not folder.is_dir():
        raise UsageError(f"{where.uri} is not a folder, so no lake can be there.")
    return where


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
    """Refuse a lake that nobody has made yet, for the commands that only read one.

    Raises:
        LakeError: it has no table of instruments.
    """
    if where.snapshot(INSTRUMENTS).version is None:
        raise LakeError(
            f"There is no lake at {where.uri}. Say where yours is by --lake or BASISLAKE_LAKE; "
            f"`basislake run{lake_flag(where)}` makes one there."
        )


def exchange_options(command: F) -> F:
    """Add the settings of the exchange; the command gets `settings`."""
    options = (
        click.option(
            "--exchange-url",
            "url",
            metavar="URL",
            envvar="BASISLAKE_EXCHANGE_URL",
            show_envvar=True,
            default=WWW_URL,
            help="Base URL of active instruments and candles",
        ),
        click.option(
            "--history-url",
            metavar="URL",
            envvar="BASISLAKE_HISTORY_URL",
            show_envvar=True,
            default=HISTORY_URL,
            help="Base URL of expired instruments",
        ),
        click.option(
            "--rate",
            type=Number(min=0, max=_MOST_CALLS_PER_SECOND),
            envvar="BASISLAKE_RATE",
            show_envvar=True,
            default=DEFAULT_CALLS_PER_SECOND,
            help="Candle calls a second, 0 for no limit",
        ),
        click.option(
            "--timeout",
            "timeout_s",
            type=Number(min=0, min_open=True, max=_LONGEST_TIMEOUT_S),
            envvar="BASISLAKE_TIMEOUT",
            show_envvar=True,
            default=DEFAULT_TIMEOUT_S,
            help="Seconds for one whole call",
        ),
        click.option(
            "--retries",
            type=click.IntRange(min=0),
            envvar="BASISLAKE_RETRIES",
            show_envvar=True,
            default=DEFAULT_RETRIES,
            help="Asks again per window",
        ),
        click.option(
            "--threads",
            type=click.IntRange(1, MAX_CONNECTIONS),
            default=DEFAULT_THREADS,
            help="Calls under way at once",
        ),
    )
    return grouped(command, options, ExchangeSettings, "settings")


def engine_options(command: F) -> F:
    """Add --engine and --workers; the command gets `engine`."""
    options = (
        click.option(
            "--engine",
            "name",
            default=LOCAL,
            metavar="local|dask|dask://HOST:PORT",
            help="Where tasks run: here, in a Dask cluster made here, or in one that runs",
        ),
        click.option(
            "--workers",
            type=click.IntRange(1, _MOST_WORKERS),
            help="Processes of --engine dask, as many as cores by default",
        ),
    )
    return grouped(command, options, Engine, "engine")


def selection_options(command: F) -> F:
    """Add the selection; the command gets `selection`."""
    options = (
        click.option(
            "--all", "everything", is_flag=True, help="All instruments, which is the default"
        ),
        click.option(
            "--currency",
            "currencies",
            metavar="COIN",
            multiple=True,
            help="BTC or ETH; repeat, or separate by commas",
        ),
        click.option(
            "--instruments",
            "names",
            metavar="NAMES",
            multiple=True,
            help="Names separated by commas; a future brings its perpetual",
        ),
        click.option("--since", type=Time(), help="First minute, UTC date or time, inclusive"),
        click.option("--until", type=Time(), help="Last minute, exclusive"),
    )
    return grouped(command, options, _selection, "selection")


def postgres_option(command: F) -> F:
    """Add --postgres; the command gets `postgres`."""
    option = click.option(
        "--postgres",
        metavar="URI",
        envvar="BASISLAKE_POSTGRES",
        show_envvar=True,
        default=EMBEDDED,
        help="libpq URI, or `embedded`: a PostgreSQL kept beside the lake",
    )
    return option(command)


def json_option(command: F) -> F:
    """Add --json; the command gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object")(command)


def _selection(
    *,
    everything: bool,
    currencies: tuple[str, ...],
    names: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
) -> Selection:
    if everything and (currencies or names):
        raise UsageError("--all does not go with --currency or --instruments.")
    return select(currencies, names, since, until)


def grouped(
    command: F, options: tuple[Callable[[Any], Any], ...], make: Callable[..., Any], name: str
) -> F:
    """Add options whose values reach the command as one value."""

    @functools.wraps(command)
    def wrapped(**values: Any) -> Any:
        own = {key: values.pop(key) for key in keys}
        return command(**{name: make(**own)}, **values)

    before = len(getattr(command, "__click_params__", []))
    for option in reversed(options):
        wrapped = option(wrapped)
    keys = [str(param.name) for param in wrapped.__click_params__[before:]]  # type: ignore[attr-defined]
    return wrapped  # type: ignore[return-value]
