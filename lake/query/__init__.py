"""Queries: DuckDB over the lake, and the derived views."""
