"""What basislake relies on of the exchange: each declared once, judged by replies.

`calls.py` says which calls show it, `asking.py` makes them and is the only part that calls; what
came is `evidence.py`, plain values that can be stored and judged again. `lists.py`,
`candles.py` and `carry.py` declare the checks, `catalogue.py` lists them.
"""
