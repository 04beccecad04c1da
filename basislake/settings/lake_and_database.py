"""The lake and the database that the command line names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from basislake.cli.defaults import EMBEDDED
from basislake.cli.defaults import LAKE as DEFAULT_LAKE
from basislake.output.messages import say
from lake import Lake
from lake.errors import LakeError, UsageError
from lake.tables import INSTRUMENTS
from load.embedded.server import embedded, psql_command, stop_command


@contextmanager
def database(postgres: str, lake: Lake, *, keep: bool | None = None) -> Iterator[str]:
    """Yield the libpq URI of the database; for `embedded`, start the PostgreSQL next to the lake.

    Args:
        postgres: libpq URI, or `embedded`.
        lake: whose folder holds the embedded server.
        keep: whether the embedded one keeps running afterwards; None leaves that as it is.

    Raises:
        UsageError: the database is `embedded`, but the lake is not on this machine's disk.
    """
    if postgres != EMBEDDED:
        yield postgres
        return
    check_embeddable(lake)
    folder = embedded_folder(lake)
    with embedded(folder, keep=keep) as uri:
        if keep:
            say(
                f"The embedded PostgreSQL keeps running. Connect:\n  {psql_command(uri)}\n"
                f"Stop it:\n  {stop_command(folder)}"
            )
        yield uri


@contextmanager
def known_database(postgres: str, lake: Lake, *, keep: bool | None = None) -> Iterator[str | None]:
    """Yield the libpq URI as `database` does, or None if the embedded one was never created; for
    commands that only read.
    """
    if postgres == EMBEDDED and not (lake.is_local and embedded_folder(lake).exists()):
        yield None
        return
    with database(postgres, lake, keep=keep) as uri:
        yield uri


def check_embeddable(lake: Lake) -> None:
    """Refuse the embedded PostgreSQL for a lake that is not on this machine's disk.

    Raises:
        UsageError: it is elsewhere.
    """
    if not lake.is_local:
        raise UsageError(
            "The embedded PostgreSQL needs a lake on disk. Give --postgres URI for this lake."
        )


def embedded_folder(lake: Lake) -> Path:
    """Return the data folder of the embedded PostgreSQL of a lake on disk."""
    return Path(lake.uri) / "postgres"


def lake_flag(lake: Lake) -> str:
    """Return the flag for another command on the same lake, e.g. ` --lake ./demo-lake`; empty for
    the default lake.
    """
    place, here = Path(lake.uri), _working_folder()
    if not lake.is_local or here is None or not place.is_relative_to(here):
        return f" --lake {quote(lake.uri)}"
    if place == here / DEFAULT_LAKE:
        return ""
    shown = str(place.relative_to(here))
    # Without ./ it would be a home folder or an option.
    return f" --lake {quote(f'./{shown}' if shown[0] in '~-' else shown)}"


def _working_folder() -> Path | None:
    """None if it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def check_exists(lake: Lake) -> None:
    """Refuse a place without a lake, as `Lake.check_exists` does, and name the commands that help.

    Raises:
        LakeError: the lake has no table, or its tables cannot be read.
    """
    # One existing table is enough; in a store each check costs a call.
    if lake.snapshot(INSTRUMENTS).version is not None:
        return
    try:
        lake.check_exists()
    except LakeError as exc:
        raise LakeError(
            f"{exc} --lake or BASISLAKE_LAKE names another lake; "
            f"`basislake run{lake_flag(lake)}` creates this one."
        ) from exc
