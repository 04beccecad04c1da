"""From raw candles to the curated tables: validation, quality figures and the basis, all
recomputable offline.

This package knows rules and formulas and the lake; it knows nothing of exchanges or databases.
"""
