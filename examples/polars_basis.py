# %% [markdown]
# # The basis in Polars
#
# Two lines bring a frame: open the lake, scan a table. The frame is lazy: only the columns and the
# instruments that are used are read. Run it cell by cell in an editor that knows `# %%`, or whole:
# `python examples/polars_basis.py ./demo-lake`.

# %%
import sys

import polars as pl

import lake

deribit = lake.open(sys.argv[1] if len(sys.argv) > 1 else "./demo-lake")
basis = deribit.scan("basis")

# %% [markdown]
# How much there is. A lazy frame counts without reading a price.

# %%
size = basis.select(pl.len().alias("minutes"), pl.col("instrument").n_unique()).collect()
print(size)

# %% [markdown]
# Most minutes of a dated future are untraded and repeat the last close, and so may a perpetual's
# be. `future_traded` and `perpetual_traded` tell the two apart; here only minutes count in which
# both sides traded. The annualised basis is simple, for a year of 365 days.

# %%
coins = deribit.scan("instruments").select("instrument", coin="base")
traded = basis.filter("future_traded", "perpetual_traded", ~pl.col("suspect"))
by_week_left = (
    traded.join(coins, on="instrument")
    .group_by("coin", weeks_left=pl.col("days_to_expiry").floordiv(7).cast(pl.Int64))
    .agg(
        minutes=pl.len(),
        basis_usd=pl.col("basis").median(),
        annualised_pct=pl.col("annualised_pct").median(),
    )
    .sort("coin", "weeks_left")
    .collect()
)
print(by_week_left)

# %% [markdown]
# One future's last week, hour by hour. The filter reaches the files: only this instrument is read.

# %%
latest = deribit.scan("instruments").filter(kind="future", active=False).sort("expires_at").last()
name = latest.collect()["instrument"].item()
last_week = (
    basis.filter(pl.col("instrument") == name, pl.col("days_to_expiry").is_between(0, 7))
    .sort("ts")
    .group_by_dynamic("ts", every="1h")
    .agg(
        last_pct=pl.col("basis_pct").last(),
        mean_pct=pl.col("basis_pct").mean(),
        traded_minutes=(pl.col("future_traded") & pl.col("perpetual_traded")).sum(),
    )
    .collect()
)
print(name)
print(last_week)

# %% [markdown]
# The views of docs/views.md come through DuckDB and are Polars frames, too.

# %%
maturities = deribit.sql("FROM constant_maturity WHERE days = 7 ORDER BY coin, ts")
print(maturities)
