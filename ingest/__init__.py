"""From the exchange to the lake's raw tables: discover instruments, plan windows, fetch candles.

This package knows Deribit and the lake; it knows nothing of rules, basis or databases.
"""
