"""Measures the load on this machine, into an embedded PostgreSQL.

    python benchmarks/load.py [speed | growth]... [--folder FOLDER] [--futures N...]

- speed: rows a second of a first load, next to COPY of the same rows from binary files on the
  server, to psycopg's executemany with upserts, and to dlt; bytes a row
- growth: first loads of up to 45 M candles and 38 M rows of basis, then one with nothing new, one
  with 1,000 new minutes of one future, and a comparison of every cell

The lakes are synthetic; with a folder they are kept, and used again. Results are kept in
RESULTS.md.
"""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    # Its folder is searched first, and there this file would be taken for the package `load`.
    sys.path.remove(str(Path(__file__).parent))
    import_module("benchmarks.load_measures").main(__doc__)
