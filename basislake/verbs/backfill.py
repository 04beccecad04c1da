"""`backfill`: fetches from the exchange into the raw tables, and reports the results."""

from collections.abc import Iterator

from basislake.output.json_output import print_json
from basislake.output.tables import print_table
from basislake.output.units import duration, size
from basislake.pipeline.engines import Engine
from basislake.pipeline.fetch import fetch_logged, is_complete
from basislake.settings.exchange import ExchangeSettings
from ingest.backfill.results import Counts, Result
from ingest.backfill.summary import selected
from ingest.datasets.candles import CANDLES
from ingest.datasets.dataset import Dataset
from ingest.plan.selection import Selection
from lake import Lake


def backfill(
    lake: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    *,
    repair: bool,
    again: bool,
    engine: Engine,
    no_doctor: bool,
    as_json: bool,
) -> int:
    """See `basislake.cli.commands.backfill`; return the exit code."""
    fetched = fetch_logged(
        lake,
        settings,
        selection,
        discover_first=False,
        repair=repair,
        again=again,
        engine=engine,
        is_checked=not no_doctor,
    )
    if as_json:
        print_json(fetched.backfill)
    else:
        show_backfill(fetched.backfill)
    return 0 if is_complete(fetched) else 1


def show_backfill(result: Result) -> None:
    """Print on stdout the plan and the result."""
    plan, parts = result.plan, [counts for _, counts in result.by_dataset()]
    figures = [
        *(row for own in selected(result) for row in _dataset_rows(result, *own)),
        ["calls", plan["all_calls"], result.all_calls],
        ["time at the rate", _lasting(plan["all_seconds_at_rate"]), _lasting(result.seconds)],
        ["replaced rows", None, sum(counts.replaced for counts in parts)],
        ["retries", None, sum(counts.retries for counts in parts)],
        ["throttled", None, sum(counts.throttled for counts in parts)],
    ]
    print_table("Backfill", ["figure", "planned", "actual"], figures)


def _dataset_rows(result: Result, dataset: Dataset, counts: Counts) -> Iterator[list[object]]:
    """What was planned of a dataset and what came of it."""
    is_candles, (_, many) = dataset.name == CANDLES.name, dataset.whose
    of = "" if is_candles else f" of {dataset.words}"
    planned = result.plan if is_candles else result.plan["datasets"].get(dataset.name, {})
    due = planned.get("candles" if is_candles else "rows", 0)
    yield [f"{many}{of}", counts.instruments, counts.complete]
    yield ["candles" if is_candles else f"rows{of}", due, result.written(dataset.name)]
    if is_candles:
        yield ["bytes of candles", size(planned["bytes"]), size(result.bytes_written)]
    wanting: dict[str, int] = {
        f"empty {many}": len(counts.empty),
        f"failed {many}": len(counts.failed),
        f"missing {dataset.noun}s": sum(counts.missing.values()),
    }
    for what, count in wanting.items():
        if count or is_candles:
            yield [f"{what}{of}", None, count]


def _lasting(seconds: float | None) -> str | None:
    return None if seconds is None else duration(seconds)
