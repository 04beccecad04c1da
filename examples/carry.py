# %% [markdown]
# # Was carrying worth it?
#
# Short a dated future, long the perpetual, until the expiry: what the basis promised, what funding
# cost, and what was left. docs/carry.md defines every number. Run it cell by cell in an editor that
# knows `# %%`, or whole: `python examples/carry.py ./demo-lake`.

# %%
import sys

import polars as pl

import lake

deribit = lake.open(sys.argv[1] if len(sys.argv) > 1 else "./demo-lake")
con = deribit.duckdb()

# %% [markdown]
# Every future that has expired, for an entry at 08:00 of each day of its life. Where an input is
# missing the figures are null, and `reason` says what: count that first.

# %%
realised = con.sql("FROM realised_carry").pl()
print(realised.group_by("reason").agg(entries=pl.len()).sort("entries", descending=True))

# %% [markdown]
# By quarter of entry, in percent a year: the basis that was locked in, the funding that was paid,
# and the net. Only entries of a week or more count, because the rates of shorter ones swing most.

# %%
coins = deribit.scan("instruments").select("instrument", coin="base").collect()
week = 7
known = realised.drop_nulls("net_pct").filter(pl.col("days") >= week).join(coins, on="instrument")
yearly = 365 / pl.col("days")
by_quarter = (
    known.group_by("coin", quarter=pl.col("entry").dt.truncate("1q").dt.date())
    .agg(
        carries=pl.len(),
        locked_apr_pct=(pl.col("locked_pct") * yearly).mean(),
        funding_apr_pct=(pl.col("funding_pct") * yearly).mean(),
        net_apr_pct=pl.col("net_apr_pct").mean(),
        earned_pct=(pl.col("net_pct") > 0).mean() * 100,
    )
    .sort("coin", "quarter")
)
print(by_quarter)

# %% [markdown]
# The promise against the outcome: how far the net carry fell short of the basis at entry. Funding
# is nearly all of it; the rest is the perpetual's distance from the delivery price.

# %%
shortfall = known.group_by("coin").agg(
    funding_pct=pl.col("funding_pct").mean(),
    delivery_pct=(pl.col("locked_pct") - pl.col("gross_pct")).mean(),
    worst_net_pct=pl.col("net_pct").min(),
    best_net_pct=pl.col("net_pct").max(),
)
print(shortfall.sort("coin"))

# %% [markdown]
# Today in DuckDB: every open future in the newest minute, its basis less what the perpetual paid
# lately. It is earned only if funding goes on as it was.

# %%
((newest,),) = con.sql("SELECT max(ts) FROM basis").fetchall()
today = con.sql(
    """
    SELECT coin, instrument, days_to_expiry, perpetual_apr_pct, index_apr_pct,
           less_funding_7d_pct, less_funding_30d_pct, open_interest, reason
    FROM carry_at($newest)
    """,
    params={"newest": newest},
)
print(newest)
print(today.pl())

# %% [markdown]
# Where the curve is richest: the forward rate between neighbouring expiries.

# %%
spreads = con.sql(
    """
    SELECT coin, front, back, spread, forward_pct
    FROM calendar_spreads($newest)
    ORDER BY coin, forward_pct DESC
    """,
    params={"newest": newest},
)
print(spreads.pl())
