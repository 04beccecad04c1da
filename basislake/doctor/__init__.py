"""`doctor`: whether this machine, and the exchange, are what basislake relies on.

`here.py` says what the checks look at, `machine.py` and `places.py` declare those of this machine;
those of the exchange are in `ingest.assumptions`. `saved.py` keeps what was seen.
"""
