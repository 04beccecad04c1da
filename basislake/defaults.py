"""What the command line assumes where the user says nothing; constants alone, so that help, wrong
usage and completion load nothing more.
"""

from datetime import UTC, datetime

LAKE = "./lake-data"
DEMO_LAKE = "./demo-lake"
# The PostgreSQL that is kept next to the lake.
EMBEDDED = "embedded"

# The simulated market. Its clock stands still, so that every run of the demo is the same.
SEED = 7
NOW = datetime(2024, 4, 5, 12, 0, 30, tzinfo=UTC)
WEEKS = 6
