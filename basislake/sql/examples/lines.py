"""Questions that a command line answers without an example query."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A question and its answer.

    Attributes:
        question: in a few words.
        line: for the shell, or for Python if it begins with `lake.`.
    """

    question: str
    line: str


LOOK_UP = (
    Line("Every contract there ever was, by expiry", "basislake instruments --offline"),
    Line(
        "Contracts that were open in one month",
        "basislake instruments --offline --since 2024-03-01 --until 2024-04-01",
    ),
    Line(
        "One candle",
        "basislake sql \"FROM candles WHERE instrument = 'BTC-PERPETUAL' AND "
        "ts = '2024-03-28 17:31'\"",
    ),
    Line(
        "Daily candles of one contract (for hourly ones: `candles_hourly`)",
        "basislake sql \"FROM candles_daily WHERE instrument = 'BTC-29MAR24'\"",
    ),
)

CURVES = (
    Line("Price and basis of every open future now", "basislake curve"),
    Line("The same at any other minute", "basislake curve --at 2024-03-28T17:31Z --currency BTC"),
    Line("Where one number comes from", "basislake explain BTC-29MAR24 2024-03-28T17:31Z"),
)

SERIES = (
    Line("All of it as charts in a browser", "basislake report"),
    Line(
        "Hourly basis of one contract (for daily: `basis_daily`)",
        "basislake sql \"FROM basis_hourly WHERE instrument = 'BTC-29MAR24'\"",
    ),
    Line(
        "The front quarterly as one price, adjusted for its rolls",
        'basislake sql "FROM front_quarterly_adjusted ORDER BY coin, ts" '
        "--output quarterly.parquet",
    ),
    Line(
        "The basis at 08:00 UTC of each day, as CSV",
        "basislake sql \"FROM basis WHERE strftime(ts, '%H:%M') = '08:00' "
        'ORDER BY instrument, ts" --output mornings.csv',
    ),
)

CARRIES = (
    Line("Basis less funding, and open interest, of every open future now", "basislake carry"),
    Line(
        "What a cash-and-carry into one future earned, from each day of entry",
        "basislake sql \"FROM realised_carry WHERE instrument = 'BTC-29MAR24' ORDER BY entry\"",
    ),
    Line(
        "Funding of the perpetuals, the newest days first",
        'basislake sql "FROM funding_daily ORDER BY ts DESC, instrument"',
    ),
)

TRADES = (
    Line(
        "Traded amount by term: weekly, monthly, quarterly, perpetual",
        'basislake sql "SELECT base, term, sum(cost) AS cost FROM candles_daily '
        'JOIN instruments USING (instrument) GROUP BY ALL ORDER BY ALL"',
    ),
)

CHECKS = (
    Line("How complete, how fresh, how big; what runs, what failed", "basislake status"),
    Line("Is anything old or failed, for a script or a cron job", "basislake health"),
    Line("What fetching the rest takes, in calls, time and disk", "basislake plan"),
    Line(
        "Any answer as the lake stood earlier (by when data was fetched, not market time)",
        "basislake sql @curve --as-of 1",
    ),
    Line("Whether two lakes have the same rows", "basislake fingerprint"),
)

_BASIS = "\"FROM basis WHERE instrument = 'BTC-29MAR24'\""
ELSEWHERE = (
    Line("As CSV", f"basislake sql {_BASIS} --output basis.csv"),
    Line("As Parquet", f"basislake sql {_BASIS} --output basis.parquet"),
    Line("As JSON, for a script", "basislake sql @curve --json"),
    Line(
        "In a notebook, as a Polars frame",
        'lake.open("./lake-data").sql("FROM term_structure_latest")',
    ),
    Line(
        "As a pandas frame",
        'lake.open("./lake-data").sql("FROM term_structure_latest").to_pandas()',
    ),
    Line("In PostgreSQL", "basislake load --postgres postgresql://me@host/db"),
    Line("In psql, with the database in the lake's folder", "basislake status --keep"),
)
