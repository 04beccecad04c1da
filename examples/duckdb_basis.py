# %% [markdown]
# # The basis in DuckDB
#
# Two lines bring a connection with a view per table and the views of docs/views.md; it stays at the
# versions that it was opened at. Run it cell by cell in an editor that knows `# %%`, or whole:
# `python examples/duckdb_basis.py ./demo-lake`.

# %%
import sys

import lake

con = lake.open(sys.argv[1] if len(sys.argv) > 1 else "./demo-lake").duckdb()
print(con.sql("SHOW TABLES"))

# %% [markdown]
# Is it whole? No row of `gaps` means that every candle since the first one of each instrument is
# here.

# %%
print(con.sql("SELECT status, count(*) AS gaps, sum(minutes) AS minutes FROM gaps GROUP BY status"))

# %% [markdown]
# The term structure in the newest minute: nothing is carried over from another one, and the columns
# `traded` tell whether a price is a trade.

# %%
((newest,),) = con.sql("SELECT max(ts) FROM basis").fetchall()
curve = con.sql(
    """
    SELECT coin, instrument, round(days_to_expiry, 2) AS days, basis, basis_pct, annualised_pct,
           future_traded, perpetual_traded
    FROM term_structure($newest)
    """,
    params={"newest": newest},
)
print(newest)
print(curve.pl())

# %% [markdown]
# A relation is a name for a query, and a query may use it. Here: the front contract's basis by day
# (from 08:00 UTC, as the exchange's days do), of minutes in which both sides traded.

# %%
front = con.sql(
    """
    SELECT *, ts - INTERVAL 8 HOUR AS since_eight
    FROM continuous
    WHERE position = 'front' AND future_traded AND perpetual_traded
    """
)
days = con.sql(
    """
    SELECT coin, date_trunc('day', since_eight) + INTERVAL 8 HOUR AS day,
           median(basis_pct) AS basis_pct, count(*) AS minutes
    FROM front
    GROUP BY ALL
    ORDER BY ALL
    """
).pl()  # a Polars frame
print(days)

# %% [markdown]
# The rolls between contracts, and the jump that each makes in the unadjusted series.

# %%
print(con.sql("SELECT coin, ts, from_instrument, to_instrument, gap, reason FROM rolls").pl())
con.close()
