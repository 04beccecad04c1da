"""Checks of `doctor`: whether this machine and the exchange behave as basislake assumes.

`machine_input.py` holds the input of the checks of this machine; `machine.py` and `places.py`
declare them. `ingest.assumptions` declares the checks of the exchange. `saved_replies.py` saves the
exchange's replies.
"""
