"""Default settings of calls to the exchange; constants alone, quick to import."""

TIMEOUT_S = 30.0
RETRIES = 6
# Calls in flight to one exchange.
MAX_CONNECTIONS = 8
THREADS = MAX_CONNECTIONS
