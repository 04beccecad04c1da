"""Builds the curated tables from raw tables: validation, quality figures and the basis, all
offline.

This package contains rules and formulas; it has no code for exchanges or databases.
"""
