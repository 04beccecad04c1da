"""The scope of a lake: a selection of data, instruments and minutes that it is meant to contain;
and what is outside of it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ingest.plan.selection import Selection, choose, select, with_data
from lake.errors import LakeError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from lake import Lake

_CURRENCIES, _INSTRUMENTS, _SINCE, _UNTIL = "currencies", "instruments", "since", "until"
_DATA = "data"
_SHOWN_NAMES = 3


def scope_of(lake: "Lake") -> Selection:
    """Return the scope of a lake: everything, unless a user set another one.

    Raises:
        LakeError: the lake cannot be read, or a newer basislake has set its scope.
    """
    from lake.properties.scope import stored  # noqa: PLC0415  (it loads the lake's libraries)

    found = stored(lake)
    unknown = sorted(found.keys() - {_CURRENCIES, _INSTRUMENTS, _SINCE, _UNTIL, _DATA})
    if unknown:
        raise _unusable(lake, f"this basislake does not know {', '.join(unknown)}")
    try:
        scope = select(
            found.get(_CURRENCIES, ()),
            found.get(_INSTRUMENTS, ()),
            _time(found.get(_SINCE)),
            _time(found.get(_UNTIL)),
        )
        return with_data(scope, found.get(_DATA, ()))
    except (ValueError, TypeError, UsageError) as exc:
        raise _unusable(lake, str(exc).rstrip(".")) from exc


def set_scope(lake: "Lake", selection: Selection, program: str) -> None:
    """Set the scope of a lake; no candle is fetched or deleted.

    Args:
        lake: to write to; a missing lake is created.
        selection: of data, instruments and minutes.
        program: name and version, for the lineage.

    Raises:
        UsageError: the lake has instruments, but not all of the selection.
        LakeError: the lake cannot be read or written; the scope is unchanged.
    """
    from lake.properties.scope import store  # noqa: PLC0415
    from lake.tables import INSTRUMENTS  # noqa: PLC0415

    known = lake.snapshot(INSTRUMENTS).read()
    if not known.is_empty():
        choose(known, selection)
    store(lake, {name: value for name, value in _values(selection).items() if value}, program)


def _values(selection: Selection) -> dict[str, Any]:
    """A scope as plain values; all of them are empty for everything."""
    return {
        _CURRENCIES: list(selection.currencies),
        _INSTRUMENTS: list(selection.names),
        _SINCE: selection.since,
        _UNTIL: selection.until,
        _DATA: list(_some_data(selection)),
    }


def within(given: Selection, scope: Selection) -> Selection:
    """Return the selection of a command: its flags, and the scope for flags not given.

    Instruments (by currency or by name), the first minute, the last and the data are four separate
    parts: each comes from the flags if given. `--all` ignores the scope; pure.

    Raises:
        UsageError: flags and scope together leave no minute.
    """
    if given.is_all:
        return given
    names_given = bool(given.currencies or given.names)
    both = given if names_given else scope
    since, until = given.since or scope.since, given.until or scope.until
    if since is not None and until is not None and since >= until:
        raise UsageError(
            f"The scope of the lake, {described(scope)}, leaves no minute. Nothing was fetched. "
            "Give both --since and --until, or --all to ignore the scope."
        )
    data = given.data or scope.data
    return Selection(both.currencies, both.names, since, until, data)


def described(scope: Selection) -> str:
    """Describe a scope in a few words; pure."""
    parts = []
    if scope.currencies:
        parts.append(" and ".join(scope.currencies))
    if scope.names:
        shown = ", ".join(scope.names[:_SHOWN_NAMES])
        more = len(scope.names) - _SHOWN_NAMES
        parts.append(f"{shown}{f' and {more} more' if more > 0 else ''}, and perpetuals")
    if scope.since:
        parts.append(f"since {shown_time(scope.since)}")
    if scope.until:
        parts.append(f"until {shown_time(scope.until)}")
    if data := _some_data(scope):
        parts.append(f"of {' and '.join(data)} only")
    return ", ".join(parts) or "everything"


def outside(instruments: "pl.DataFrame", scope: Selection) -> dict[str, str]:
    """Return the instruments outside of a scope, each with the reason; pure.

    Args:
        instruments: rows of the table `instruments`; the scope may include others.
        scope: of the lake.
    """
    chosen = set(chosen_of(instruments, scope)["instrument"])
    found = {}
    lives = instruments.select("instrument", "listed_at", "expires_at")
    for name, listed_at, expires_at in lives.iter_rows():
        if name not in chosen:
            found[name] = f"the scope is {described(scope)}"
        elif scope.until and listed_at >= scope.until:
            found[name] = f"listed after the scope's end, {shown_time(scope.until)}"
        elif scope.since and expires_at and expires_at <= scope.since:
            found[name] = f"expired before the scope's start, {shown_time(scope.since)}"
    return found


def chosen_of(instruments: "pl.DataFrame", scope: Selection) -> "pl.DataFrame":
    """Return the instruments of a scope like `ingest.plan.selection.choose`, but without an error
    for names that are not in the lake (yet); pure.
    """
    known = set(instruments["instrument"])
    names = tuple(name for name in scope.names if name in known)
    if not scope.names or names:
        # If no name is of the scope's currencies, nothing is chosen.
        with suppress(UsageError):
            return choose(instruments, replace(scope, names=names))
    return choose(instruments.clear(), Selection())


def as_json(scope: Selection) -> Mapping[str, Any]:
    """Return a scope as every `--json` prints it; pure."""
    values = _values(scope)
    return {"is_everything": not any(values.values()), **values, "described": described(scope)}


def _some_data(scope: Selection) -> tuple[str, ...]:
    """The data of a scope; empty if it has all data."""
    if not scope.data:
        return ()
    from ingest.datasets import CHOICES  # noqa: PLC0415

    return () if set(scope.data) == set(CHOICES) else scope.data


def _unusable(lake: "Lake", why: str) -> LakeError:
    return LakeError(
        f"The scope of the lake at {lake.uri} cannot be used: {why}. Nothing was changed. A newer "
        "basislake may have set it; `basislake scope --all` sets it to everything."
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def shown_time(time: datetime) -> str:
    """Return a time as a date if that is exact, else the minute, or all digits; pure."""
    if not (time.hour or time.minute or time.second or time.microsecond):
        return f"{time:%Y-%m-%d}"
    if not (time.second or time.microsecond):
        return f"{time:%Y-%m-%dT%H:%MZ}"
    return time.isoformat()
