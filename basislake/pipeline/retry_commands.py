"""Commands that fetch again only what got no answer."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from basislake.output.pasting import called
from basislake.settings.named_lake import lake_flag
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.plan.scope import shown_time, within
from ingest.plan.selection import Selection
from lake import Lake
from lake.coverage import Subject

_ALL = Selection()


def retry_arguments(
    failed: Collection[Subject], given: Selection = _ALL, scope: Selection = _ALL
) -> list[str]:
    """Return the arguments of `basislake` that ask again for failed subjects; pure.

    They repeat a selection by name as it is, since the perpetual of a future is fetched only for
    the life of the future.

    Args:
        failed: at least one.
        given: what the flags of the failed command selected.
        scope: of the lake, which fills in the rest.
    """
    is_repeated = given.is_all or within(given, scope).names
    selections = [given] if is_repeated else _selections(failed, given)
    return [f"backfill{_flags(each)}" for each in selections]


def retry_commands(
    lake: Lake, failed: Collection[Subject], given: Selection = _ALL, scope: Selection = _ALL
) -> list[str]:
    """Return the full commands of `retry_arguments`, for pasting."""
    arguments = retry_arguments(failed, given, scope)
    return [f"{called()} {each}{lake_flag(lake)}" for each in arguments]


def _selections(failed: Collection[Subject], given: Selection) -> Iterator[Selection]:
    """One for instruments whose candles failed, one for other data, and one for indices."""
    names = _distinct([s.name for s in failed if s.dataset == CANDLES.name])
    others = [s for s in failed if s.name not in names]
    indices = [s for s in others if DATASETS[s.dataset].subject == "index_name"]
    rest = [s for s in others if s not in indices]
    if names:
        yield replace(given, currencies=(), names=names)
    if rest:
        own = _distinct([s.name for s in rest])
        yield replace(given, currencies=(), names=own, data=_choices(rest))
    if indices:
        coins = _distinct([s.name.partition("_")[0].upper() for s in indices])
        yield replace(given, currencies=coins, data=_choices(indices))


def _choices(failed: Sequence[Subject]) -> tuple[str, ...]:
    return tuple(sorted({DATASETS[s.dataset].choice for s in failed}))


def _distinct(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _flags(selection: Selection) -> str:
    """The flags that select the same."""
    since, until = selection.since, selection.until
    values = {
        "currency": ",".join(selection.currencies),
        "instruments": ",".join(selection.names),
        "since": shown_time(since) if since else "",
        "until": shown_time(until) if until else "",
        "data": ",".join(selection.data),
    }
    flags = "".join(f" --{name} {value}" for name, value in values.items() if value)
    return f"{' --all' if selection.is_all else ''}{flags}"
