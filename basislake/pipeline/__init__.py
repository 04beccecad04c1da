"""The pipeline: discover, backfill, build and load, on this machine or a Dask cluster."""
