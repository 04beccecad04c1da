"""`backfill`: from the exchange to the raw tables."""

from basislake.engines import Engine
from basislake.exchange_settings import ExchangeSettings
from basislake.fetched import fetch_told
from basislake.fetching import is_complete
from basislake.output import duration, print_json, size
from basislake.tables import print_table
from ingest.datasets import DATASETS
from ingest.results import Result
from ingest.selection import Selection
from lake import Lake


def backfill(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    *,
    repair: bool,
    again: bool,
    engine: Engine,
    no_doctor: bool,
    as_json: bool,
) -> int:
    """See `basislake.commands.backfill`; return the exit code."""
    fetched = fetch_told(
        where,
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
    """Print on stdout what was planned and what came of it."""
    plan, parts = result.plan, [counts for _, counts in result.by_dataset()]
    rows = [
        ["instruments", result.instruments, result.complete],
        ["calls", plan["all_calls"], result.all_calls],
        ["candles", plan["candles"], result.candles_written],
        *(
            [
                f"{DATASETS[name].noun}s of {DATASETS[name].words}",
                plan["datasets"].get(name, {}).get("rows", 0),
                c.rows_written,
            ]
            for name, c in result.datasets.items()
        ),
        ["bytes of candles", size(plan["bytes"]), size(result.bytes_written)],
        ["time at the rate", _lasting(plan["all_seconds_at_rate"]), _lasting(result.seconds)],
        ["empty instruments", None, len(result.empty)],
        ["failed instruments", None, len({subject.name for subject in result.all_failed})],
        ["missing minutes", None, sum(result.missing.values())],
        ["replaced rows", None, sum(counts.replaced for counts in parts)],
        ["retries", None, sum(counts.retries for counts in parts)],
        ["throttled", None, sum(counts.throttled for counts in parts)],
    ]
    print_table("Backfill", ["figure", "planned", "actual"], rows)


def _lasting(seconds: float | None) -> str | None:
    return None if seconds is None else duration(seconds)
