"""The simulated exchange: a Deribit on loopback, made of pure functions of a seed.

It is the oracle of all tests and imports nothing of the program under test, so that the two can
only agree by both being right.
"""
