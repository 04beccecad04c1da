"""Steps of time that divide a long series, so that a chart of years has no more points than a chart
of weeks.
"""

# From an hour to a year.
_STEPS_MINUTES = (60, 240, 480, 1_440, 2_880, 10_080, 40_320, 525_600)
DAY_MINUTES = 1_440
_MINUTE_US = 60_000_000


_CANDLES_SPAN = """SELECT min(start) AS first, max("end") AS last
                    FROM candle_coverage
                    WHERE status = 'present'"""


def step_sql(
    most: int, shortest_minutes: int = _STEPS_MINUTES[0], span: str = _CANDLES_SPAN
) -> str:
    """Return SQL of the table `step` (step_minutes), for a WITH clause: the shortest step that
    divides a span of time into at most so many steps.

    Args:
        most: steps.
        shortest_minutes: the shortest step allowed.
        span: SQL of the columns first and last; by default that of the candles.
    """
    steps = [step for step in _STEPS_MINUTES if step >= shortest_minutes]
    return f"""step AS (
        SELECT coalesce(list_filter({steps}, lambda step: span_minutes / step <= {most})[1],
                        {steps[-1]})::BIGINT AS step_minutes
        FROM (SELECT date_diff('minute', first, last) AS span_minutes
              FROM ({span}))
    )"""


def start_sql(ts: str = "ts") -> str:
    """Return SQL of the start of the step that contains a time; steps are counted from 1970."""
    length = f"({_MINUTE_US} * step_minutes)"
    return f"make_timestamp(epoch_us({ts}) // {length} * {length})"


def text_sql(time: str) -> str:
    """Return SQL of a time in the format of the page's charts, UTC."""
    return f"strftime({time}, '%Y-%m-%d %H:%M')"
