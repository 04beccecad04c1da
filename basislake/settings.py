"""The lake and the database that the settings of the command line name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from basislake.defaults import EMBEDDED
from basislake.defaults import LAKE as DEFAULT_LAKE
from basislake.output import say
from lake import Lake
from lake.errors import LakeError, UsageError
from lake.tables import INSTRUMENTS
from load.embedded import embedded, psql_command, stop_command


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
    check_embeddable(where)
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


def check_embeddable(where: Lake) -> None:
    """Refuse the embedded PostgreSQL for a lake that is not on this machine's disk.

    Raises:
        UsageError: it is elsewhere.
    """
    if not where.is_local:
        raise UsageError(
            "The embedded PostgreSQL lives beside a lake on disk; give --postgres URI for this one."
        )


def embedded_folder(where: Lake) -> Path:
    """Where the embedded PostgreSQL of a lake on disk keeps its data."""
    return Path(where.uri) / "postgres"


def lake_flag(where: Lake) -> str:
    """Return what another command needs to be about the same lake, e.g. ` --lake ./demo-lake`;
    nothing where it is the usual one.
    """
    place, here = Path(where.uri), _working_folder()
    if not where.is_local or here is None or not place.is_relative_to(here):
        return f" --lake {quote(where.uri)}"
    if place == here / DEFAULT_LAKE:
        return ""
    shown = str(place.relative_to(here))
    # Else it would be a home, or an option.
    return f" --lake {quote(f'./{shown}' if shown[0] in '~-' else shown)}"


def _working_folder() -> Path | None:
    """None where it does not exist any more."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


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
