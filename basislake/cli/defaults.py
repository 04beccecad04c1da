"""Defaults of the command line: constants only, so that help and completion start quickly."""

from datetime import UTC, datetime

LAKE = "./lake-data"
DEMO_LAKE = "./demo-lake"
# The PostgreSQL that is kept next to the lake.
EMBEDDED = "embedded"

# The simulated market. Its clock is stopped, so that every run of the demo is the same.
SEED = 7
NOW = datetime(2024, 4, 5, 12, 0, 30, tzinfo=UTC)
WEEKS = 6
