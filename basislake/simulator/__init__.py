"""The simulated exchange: a Deribit on loopback, computed by pure functions of a seed.

It is the oracle of all tests and imports nothing from the program under test, so the two agree only
if both are right.
"""
