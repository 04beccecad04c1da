"""From the lake's curated tables to PostgreSQL, by partition, each in one verified transaction.

This package knows the lake and PostgreSQL; it knows nothing of exchanges or rules.
`load.loader.load` is the way in.
"""
