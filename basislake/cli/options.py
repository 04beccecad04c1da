"""Command-line options that several verbs share: flag, else environment, else default.

An option becomes an object, such as a lake, only when its verb is called. Help, wrong usage and
completion therefore load no slow library.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from basislake.cli import completion
from basislake.cli.defaults import LAKE as DEFAULT_LAKE
from basislake.cli.parameter_types import BatchOrTime, CallsPerSecond, Number, Time, Whole
from basislake.pipeline.engines import LOCAL, Engine
from ingest.deribit import defaults
from ingest.deribit.hosts import HISTORY_URL, WWW_URL
from ingest.rate_limit.allowance import AUTO, CALLS
from lake import open as open_lake
from lake.errors import UsageError

if TYPE_CHECKING:
    from basislake.settings.exchange import ExchangeSettings
    from ingest.plan.selection import Selection
    from lake import Lake

_LONGEST_TIMEOUT_S = 3600.0
_MOST_WORKERS = 256
_MOST_RETRIES = 1000
MOST_THREADS = 256
# A hundred years.
MOST_HOURS = 876_000

# Lets the shell complete the path of a folder.
FOLDERS = click.Path(file_okay=False).shell_complete

# An option that the environment may set, too.
setting = functools.partial(click.option, show_envvar=True)

F = TypeVar("F", bound=Callable[..., Any])


def verb(command: F, module: str = "") -> F:
    """Let a command, a function with the help alone, call the function of its name in a module of
    `basislake.verbs`, by default that of its name, which is imported only then.
    """

    @functools.wraps(command)
    def run(**given: Any) -> Any:
        name = command.__name__
        return getattr(import_module(f"basislake.verbs.{module or name}"), name)(**given)

    return run  # type: ignore[return-value]


def lake_option(command: F, meaning: str = "Folder or object-store URI of the lake") -> F:
    """Add --lake; the command gets `lake`."""
    option = setting(
        "--lake",
        metavar="PATH|URI",
        envvar="BASISLAKE_LAKE",
        default=DEFAULT_LAKE,
        help=meaning,
        shell_complete=FOLDERS,
    )
    return grouped(command, (option,), _opened, "lake")


def _opened(*, lake: str) -> "Lake":
    opened = open_lake(lake)
    folder = Path(opened.uri)
    if opened.is_local and (folder.is_symlink() or folder.exists()) and not folder.is_dir():
        raise UsageError(f"{opened.uri} is not a folder, so it cannot be a lake.")
    return opened


def exchange_options(command: F) -> F:
    """Add the settings of the exchange; the command gets `settings`."""
    options = (
        setting(
            "--exchange-url",
            "url",
            metavar="URL",
            envvar="BASISLAKE_EXCHANGE_URL",
            default=WWW_URL,
            help="Base URL of active instruments and candles",
        ),
        setting(
            "--history-url",
            metavar="URL",
            envvar="BASISLAKE_HISTORY_URL",
            default=HISTORY_URL,
            help="Base URL of expired instruments",
        ),
        setting(
            "--rate",
            type=CallsPerSecond(),
            metavar="auto|NUMBER",
            envvar="BASISLAKE_RATE",
            default=AUTO,
            help="Candle calls per second: `auto` (as many as the exchange permits, at most "
            f"{CALLS.calls_per_second:g}), or a number; 0: no limit",
        ),
        setting(
            "--timeout",
            "timeout_s",
            type=Number(min=0, min_open=True, max=_LONGEST_TIMEOUT_S),
            envvar="BASISLAKE_TIMEOUT",
            default=defaults.TIMEOUT_S,
            help="Time limit of one call, in seconds",
        ),
        setting(
            "--retries",
            type=Whole(0, _MOST_RETRIES),
            envvar="BASISLAKE_RETRIES",
            default=defaults.RETRIES,
            help="Retries of a failed call",
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
    from basislake.settings.exchange import ExchangeSettings  # noqa: PLC0415

    return ExchangeSettings(**values)


no_doctor_option = click.option(
    "--no-doctor",
    is_flag=True,
    help="Fill an empty lake without first checking that the exchange returns all candles",
)


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


currency_option = click.option(
    "--currency",
    "currencies",
    metavar="COIN",
    multiple=True,
    help="BTC or ETH; repeat, or separate with commas",
    shell_complete=completion.coins,
)


def at_option(otherwise: str) -> Callable[[F], F]:
    """Return the option --at (`moment`) of a verb that shows one minute; the help names the minute
    without it.
    """
    return click.option(
        "--at",
        "moment",
        metavar="TIME",
        type=Time(),
        help=f"UTC date or time, to the minute. Default: {otherwise}",
    )


def selection_options(
    command: F, meaning_of_all: str = "Ignore the lake's scope: all instruments, times and data"
) -> F:
    """Add the selection; the command gets `selection`."""
    options = (
        click.option("--all", "everything", is_flag=True, help=meaning_of_all),
        currency_option,
        click.option(
            "--instruments",
            "names",
            metavar="NAMES",
            multiple=True,
            help="Names separated by commas or spaces (quote a list with spaces); a future "
            "includes its perpetual",
            shell_complete=completion.instruments,
        ),
        click.option("--since", type=Time(), help="First minute, UTC date or time, inclusive"),
        click.option("--until", type=Time(), help="End, UTC date or time, exclusive"),
    )
    return grouped(command, options, _selection, "selection")


def data_option(command: F) -> F:
    """Add --data to a command that has `selection_options`, whose selection gets it."""

    @functools.wraps(command)
    def wrapped(*, data: tuple[str, ...], selection: "Selection", **values: Any) -> Any:
        from ingest.plan.selection import with_data  # noqa: PLC0415

        return command(selection=with_data(selection, data), **values)

    return click.option(
        "--data",
        metavar="NAMES",
        multiple=True,
        help="candles, funding, deliveries or settlements; repeat, or separate with commas. By "
        "default all; funding includes the exchange's monthly totals",
    )(wrapped)  # type: ignore[return-value]


def as_of_option(
    command: F,
    meaning: str = "Use the lake as it was after batch N, or at a UTC time. TIME is when data was "
    "fetched, not a market time",
) -> F:
    """Add --as-of; the command gets `as_of`, a batch, a time or None."""
    return click.option(
        "--as-of",
        "--raw-version",
        "as_of",
        type=BatchOrTime(),
        metavar="N|TIME",
        help=meaning,
    )(command)


# Key in click's context: whether a verb with --wide shows all columns.
IS_WIDE = "basislake.is_wide"


def _keep(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001  (click's)
    context.meta[IS_WIDE] = value


# `basislake.output.tables` reads it from the context of the command.
wide_option = click.option(
    "--wide",
    is_flag=True,
    expose_value=False,
    callback=_keep,
    help="Show all columns, even if they do not fit the terminal",
)


def json_option(command: F, meaning: str = "Print one JSON object") -> F:
    """Add --json; the command gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=meaning)(command)


def _selection(
    *,
    everything: bool,
    currencies: tuple[str, ...],
    names: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
) -> "Selection":
    from ingest.plan.selection import select  # noqa: PLC0415

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
