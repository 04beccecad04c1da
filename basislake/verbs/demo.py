"""`demo`: the whole pipeline offline, against the simulated exchange, into an embedded
PostgreSQL.
"""

from collections.abc import Sequence
from typing import Any

import click

from basislake.cli import defaults
from basislake.output.json_output import print_json
from basislake.output.pasting import called
from basislake.output.screen import say
from basislake.output.tables import paragraph, print_commands, print_table
from basislake.pipeline.run import run_all
from basislake.settings.database_target import Target
from basislake.settings.exchange import ExchangeSettings
from basislake.settings.named_lake import lake_flag
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import recent_universe
from ingest.plan.selection import Selection
from lake import Lake
from lake import open as open_lake
from load.postgres import Database

# Quarterlies of each coin that are open at once, so that the front one rolls into the next.
QUARTERLIES = 2

CURVE_SQL = """
    SELECT instrument, term, round(days_to_expiry, 1) AS days, future_close AS future,
           perpetual_close AS perpetual, round(basis, 2) AS basis,
           round(basis_pct, 3) AS basis_pct, round(annualised_pct, 2) AS annualised_pct,
           future_traded_minutes_ago AS traded_min_ago
    FROM term_structure_latest
    ORDER BY coin, expires_at
"""

# Each coin's front quarterly, in the minutes in which both it and the perpetual traded.
QUARTERLY_SQL = """
    SELECT CAST(date_trunc('week', ts) AS DATE) AS week, instrument,
           round(median(future_close), 2) AS future, round(median(basis), 2) AS basis,
           round(median(basis_pct), 3) AS basis_pct,
           round(median(annualised_pct), 2) AS annualised_pct
    FROM front_quarterly
    WHERE future_traded AND perpetual_traded
    GROUP BY coin, week, instrument
    ORDER BY coin, min(ts)
"""

TENOR_SQL = """
    SELECT base AS coin,
           CASE WHEN days_to_expiry <= 2 THEN '2 days or less'
                WHEN days_to_expiry <= 7 THEN '2 to 7 days'
                WHEN days_to_expiry <= 14 THEN '7 to 14 days'
                WHEN days_to_expiry <= 30 THEN '14 to 30 days' ELSE 'over 30 days' END AS time_left,
           count(*) AS minutes,
           round(median(basis), 2) AS basis,
           round(median(basis_pct), 3) AS basis_pct,
           round(median(annualised_pct), 2) AS annualised_pct,
           round(100.0 * count_if(future_traded) / count(*), 1) AS traded_pct
    FROM basis JOIN instruments USING (instrument)
    GROUP BY ALL ORDER BY coin, min(days_to_expiry)
"""

FIGURES = (
    ("The curve now, in USD and % a year: each open future against its perpetual", CURVE_SQL),
    ("The front quarterly, rolled 5 days before expiry: medians of each week", QUARTERLY_SQL),
    ("Basis by time left, medians", TENOR_SQL),
)

# The four queries of the users' guide, unchanged, for the loaded database.
GUIDE_QUERIES = (
    (
        "Rows per currency",
        (
            "SELECT SUBSTRING(instrument FROM 1 FOR 3) AS currency, COUNT(*), "
            "COUNT(DISTINCT instrument), MIN(timestamp), MAX(timestamp) "
            "FROM futures_ohlcv GROUP BY 1 ORDER BY 1"
        ),
        ("currency", "count", "instruments", "min", "max"),
    ),
    (
        "Size of futures_ohlcv",
        "SELECT pg_size_pretty(pg_total_relation_size('futures_ohlcv'))",
        ("size",),
    ),
    (
        "Gaps over 10 minutes",
        (
            "SELECT instrument, previous, timestamp FROM (SELECT instrument, timestamp, "
            "LAG(timestamp) OVER (PARTITION BY instrument ORDER BY timestamp) AS previous "
            "FROM futures_ohlcv) AS steps "
            "WHERE timestamp - previous > INTERVAL '10 minutes' ORDER BY 1, 2"
        ),
        ("instrument", "after", "before"),
    ),
    (
        "OHLC violations",
        (
            "SELECT instrument, COUNT(*) FROM futures_ohlcv "
            "WHERE high < low OR close < low OR close > high GROUP BY instrument"
        ),
        ("instrument", "count"),
    ),
)


def demo(uri: str, postgres: str, *, as_json: bool) -> int:
    """See `basislake.cli.commands.demo`; return the exit code."""
    lake = open_lake(uri)
    universe = recent_universe(defaults.SEED, defaults.NOW, defaults.WEEKS, QUARTERLIES)
    say(f"Using a simulated exchange, a lake in {uri}, and a PostgreSQL; no network is needed.")
    with SimulatedExchange(universe) as server:
        settings = ExchangeSettings(server.www_url, server.history_url, rate=0)
        settings.check(lake)
        with Target(postgres).open(lake) as address:
            summary, code = run_all(lake, settings, Selection(), Target(address))
            with Database(address) as connection:
                answers = {title: connection.query(sql) for title, sql, _ in GUIDE_QUERIES}
    if as_json:
        print_json({**summary, "guide": answers})
    else:
        _show(lake, summary, answers)
    return code


def _show(
    lake: Lake,
    summary: dict[str, dict[str, Any]],
    answers: dict[str, list[tuple[Any, ...]]],
) -> None:
    click.echo()
    for title, sql in FIGURES:
        shown = lake.sql(sql)
        _section(f"{title} (DuckDB)", shown.columns, shown.rows())
    for title, _, columns in GUIDE_QUERIES:
        _section(f"{title} (PostgreSQL)", columns, answers[title])
    flag = lake_flag(lake)
    real = defaults.LAKE if lake.uri != open_lake(defaults.LAKE).uri else "./real-lake"
    if "report" in summary:
        paragraph(f"Open the report in a browser: {summary['report']['path']}")
    rows = f'{called()} sql{flag} "FROM basis ORDER BY ts DESC LIMIT 5"'
    print_commands(
        "Next, try",
        [
            (f"{called()} status{flag} --keep", "leaves PostgreSQL running, for psql"),
            (rows, "queries the lake in SQL"),
            (f"{called()} instruments --lake {real}", "asks the real exchange, in another lake"),
        ],
    )


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    if rows:
        # A heading of several words wraps.
        print_table(title, [name.replace("_", " ") for name in columns], rows)
    else:
        click.echo(f"{title}: none")
    click.echo()
