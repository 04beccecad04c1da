"""Command line of basislake, and the pipeline of ingest, transforms and load over one lake."""

__version__ = "0.2.0"
PROGRAM = f"basislake {__version__}"
