"""Command-line options that several verbs share: flag, else environment, else default.

An option becomes an object, such as a lake, only when its verb is called. Help, wrong usage and
completion therefore load no slow library.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import lake
from basislake import completing
from basislake.defaults import EMBEDDED
from basislake.defaults import LAKE as DEFAULT_LAKE
from basislake.engines import LOCAL, Engine
from ingest import defaults
from ingest.allowance import AUTO, CALLS, Rate
from ingest.hosts import HISTORY_URL, WWW_URL
from lake.errors import UsageError
from load.address import DEFAULT_SCHEMA, LOCK_WAIT_S

if TYPE_CHECKING:
    from basislake.exchange_settings import ExchangeSettings
    from basislake.target import Target
    from ingest.selection import Selection
    from lake import Lake

_FIRST_YEAR, _END_YEAR = 2000, 2100
_MOST_CALLS_PER_SECOND = 1e6
_LONGEST_TIMEOUT_S = 3600.0
_LONGEST_LOCK_WAIT_S = 86_400.0
_MOST_WORKERS = 256
_MOST_RETRIES = 1000
MOST_THREADS = 256
# A hundred years.
MOST_HOURS = 876_000

F = TypeVar("F", bound=Callable[..., Any])


class Whole(click.IntRange):
    """A whole number in a range."""

    name = "integer"


class Number(click.FloatRange):
    """A number in a range; NaN is in no range."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


class CallsPerSecond(click.ParamType[Rate]):
    """Calls a second, 0 for no limit, or `auto`."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Rate:
        """Parse."""
        if value == AUTO:
            return AUTO
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not 0 <= number <= _MOST_CALLS_PER_SECOND:
            self.fail(
                f"{value!r} is neither 'auto' nor a number from 0 to {_MOST_CALLS_PER_SECOND:,.0f}",
                param,
                ctx,
            )
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
        help="Folder or object-store URI of the lake",
        shell_complete=completing.folder,
    )
    return grouped(command, (option,), _opened, "where")


def _opened(*, where: str) -> "Lake":
    opened = lake.open(where)
    folder = Path(opened.uri)
    if opened.is_local and (folder.is_symlink() or folder.exists()) and not folder.is_dir():
        raise UsageError(f"{opened.uri} is not a folder, so it cannot be a lake.")
    return opened


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
            type=CallsPerSecond(),
            metavar="auto|NUMBER",
            envvar="BASISLAKE_RATE",
            show_envvar=True,
            default=AUTO,
            help="Candle calls per second: auto for what the exchange permits, up to "
            f"{CALLS.calls_per_second:g}; or a number, 0 for no limit",
        ),
        click.option(
            "--timeout",
            "timeout_s",
            type=Number(min=0, min_open=True, max=_LONGEST_TIMEOUT_S),
            envvar="BASISLAKE_TIMEOUT",
            show_envvar=True,
            default=defaults.TIMEOUT_S,
            help="Time limit of one call, in seconds",
        ),
        click.option(
            "--retries",
            type=Whole(0, _MOST_RETRIES),
            envvar="BASISLAKE_RETRIES",
            show_envvar=True,
            default=defaults.RETRIES,
            help="Retries per window",
        ),
        click.option(
            "--threads",
            type=Whole(1, defaults.MAX_CONNECTIONS),
            default=defaults.THREADS,
            help="Calls in flight at once",
        ),
    )
    return grouped(command, options, _exchange_settings, "settings")


def _exchange_settings(**values: Any) -> "ExchangeSettings":
    from basislake.exchange_settings import ExchangeSettings  # noqa: PLC0415

    return ExchangeSettings(**values)


def no_doctor_option(command: F) -> F:
    """Add --no-doctor; the command gets `no_doctor`."""
    return click.option(
        "--no-doctor",
        is_flag=True,
        help="Fill an empty lake without first checking that the exchange returns all candles",
    )(command)


def engine_options(command: F) -> F:
    """Add --engine and --workers; the command gets `engine`."""
    options = (
        click.option(
            "--engine",
            "name",
            default=LOCAL,
            metavar="local|dask|dask://HOST:PORT",
            help="Where tasks run: here, in a new Dask cluster here, or in a running cluster",
        ),
        click.option(
            "--workers",
            type=Whole(1, _MOST_WORKERS),
            help="Processes of --engine dask, as many as cores by default",
        ),
    )
    return grouped(command, options, Engine, "engine")


def selection_options(command: F) -> F:
    """Add the selection; the command gets `selection`."""
    options = (
        click.option(
            "--all", "everything", is_flag=True, help="All instruments, ignoring the lake's scope"
        ),
        click.option(
            "--currency",
            "currencies",
            metavar="COIN",
            multiple=True,
            help="BTC or ETH; repeat, or separate by commas",
            shell_complete=completing.coins,
        ),
        click.option(
            "--instruments",
            "names",
            metavar="NAMES",
            multiple=True,
            help="Names separated by commas or spaces; a future includes its perpetual",
            shell_complete=completing.instruments,
        ),
        click.option("--since", type=Time(), help="First minute, UTC date or time, inclusive"),
        click.option("--until", type=Time(), help="End, UTC date or time, exclusive"),
    )
    return grouped(command, options, _selection, "selection")


def data_option(command: F) -> F:
    """Add --data to a command that has `selection_options`, whose selection gets it."""

    @functools.wraps(command)
    def wrapped(*, data: tuple[str, ...], selection: "Selection", **values: Any) -> Any:
        from ingest.selection import with_data  # noqa: PLC0415

        return command(selection=with_data(selection, data), **values)

    return click.option(
        "--data",
        metavar="NAMES",
        multiple=True,
        help="candles, funding, deliveries or settlements; repeat, or separate by commas. By "
        "default all; funding includes the exchange's monthly totals",
    )(wrapped)  # type: ignore[return-value]


def postgres_option(command: F) -> F:
    """Add --postgres; the command gets `postgres`."""
    option = click.option(
        "--postgres",
        metavar="URI",
        envvar="BASISLAKE_POSTGRES",
        show_envvar=True,
        default=EMBEDDED,
        help="libpq URI, or `embedded`: a PostgreSQL kept next to the lake. Others on this machine "
        "can see a password in it while the command runs; BASISLAKE_POSTGRES, PGPASSWORD and "
        "~/.pgpass hide it",
    )
    return option(command)


def schema_option(meaning: str) -> Callable[[F], F]:
    """Add --schema, with this help; the command gets `schema`."""
    return click.option(
        "--schema",
        metavar="NAME",
        envvar="BASISLAKE_SCHEMA",
        show_envvar=True,
        default=DEFAULT_SCHEMA,
        help=meaning,
    )


def lock_wait_option(command: F) -> F:
    """Add --lock-wait; the command gets `lock_wait_s`."""
    option = click.option(
        "--lock-wait",
        "lock_wait_s",
        metavar="SECONDS",
        type=Number(min=0, min_open=True, max=_LONGEST_LOCK_WAIT_S),
        default=LOCK_WAIT_S,
        help="How long to wait for a lock of another session",
    )
    return option(command)


def reading_options(command: F) -> F:
    """Add the settings of a database that is only read; the command gets `target`."""
    options = (postgres_option, schema_option("Schema of the tables"), lock_wait_option)
    return grouped(command, options, _target, "target")


def target_options(command: F) -> F:
    """Add the settings of the database; the command gets `target`."""
    options = (
        postgres_option,
        schema_option("Schema of the tables, created if missing"),
        lock_wait_option,
        click.option(
            "--keep/--no-keep",
            default=None,
            show_default=False,
            help="Leave the embedded PostgreSQL running and show how to connect with psql; or stop "
            "one that was left running",
        ),
    )
    return grouped(command, options, _target, "target")


def _target(**values: Any) -> "Target":
    from basislake.target import Target  # noqa: PLC0415

    return Target(**values)


class Moment(click.ParamType["int | datetime"]):
    """A batch number, or a UTC date or time at which a batch was the newest."""

    name = "batch or time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | datetime:
        """Parse: a number is a batch."""
        if isinstance(value, str) and value.isdecimal() and value.isascii():
            return int(value)
        return value if isinstance(value, int) else Time().convert(value, param, ctx)


def as_of_option(command: F) -> F:
    """Add --as-of; the command gets `as_of`, a batch, a time or None."""
    option = click.option(
        "--as-of",
        "--raw-version",
        "as_of",
        type=Moment(),
        metavar="N|TIME",
        help="Use the lake as of batch N, or as of a UTC date or time",
    )
    return option(command)


# Key in click's context: whether a verb with --wide shows all columns.
IS_WIDE = "basislake.is_wide"


def wide_option(command: F) -> F:
    """Add --wide; `basislake.tables` reads it from the context of the command."""

    def keep(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001  (click's)
        context.meta[IS_WIDE] = value

    return click.option(
        "--wide",
        is_flag=True,
        expose_value=False,
        callback=keep,
        help="Show all columns, even if they do not fit the terminal",
    )(command)


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
) -> "Selection":
    from ingest.selection import select  # noqa: PLC0415

    if everything and (currencies or names):
        raise UsageError("Give either --all, or --currency and --instruments.")
    return replace(select(currencies, names, since, until), is_all=everything)


def grouped(
    command: F, options: tuple[Callable[[Any], Any], ...], make: Callable[..., Any], name: str
) -> F:
    """Add options that reach the command as one object."""

    @functools.wraps(command)
    def wrapped(**values: Any) -> Any:
        own = {key: values.pop(key) for key in keys}
        return command(**{name: make(**own)}, **values)

    before = len(getattr(command, "__click_params__", []))
    for option in reversed(options):
        wrapped = option(wrapped)
    keys = [str(param.name) for param in wrapped.__click_params__[before:]]  # type: ignore[attr-defined]
    return wrapped  # type: ignore[return-value]
