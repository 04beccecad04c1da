"""The assumptions of basislake about the exchange: each declared once, and checked by replies.

`calls.py` declares the calls that test them, and `asking.py` makes the calls: the only module that
does. The replies become `evidence.py`, plain values that can be stored and judged again.
`lists.py`, `candles.py` and `carry.py` declare the checks, `catalogue.py` lists them.
"""
