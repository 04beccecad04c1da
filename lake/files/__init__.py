"""Parquet files of the lake: written, named, hashed and read."""
