"""The command line of basislake, and the pipeline that joins ingest, transforms and load over one
lake.
"""

__version__ = "0.2.0"
PROGRAM = f"basislake {__version__}"
