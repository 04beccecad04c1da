"""Rates in the SQL of views: a basis in percent, and what it is a year."""

from lake.query.views.clock import DAYS_PER_YEAR


def basis_pct(price: str, reference: str) -> str:
    """SQL of how far a price is above a reference, in percent of the reference."""
    return f"({price} - {reference}) / {reference} * 100"


def annualised(percent: str, days: str) -> str:
    """SQL of a simple annual rate; null if 60 minutes or less are left."""
    return f"CASE WHEN {days} * 24 > 1 THEN {percent} * {DAYS_PER_YEAR} / {days} END"
