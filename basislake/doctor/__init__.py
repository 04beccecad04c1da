"""Checks of `doctor`: whether this machine and the exchange behave as basislake assumes.

`here.py` holds the input of the checks; `machine.py` and `places.py` declare those of this machine;
`ingest.assumptions` declares those of the exchange. `saved.py` saves the exchange's replies.
"""
