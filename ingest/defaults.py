"""How the exchange is called where nobody says otherwise; constants alone, quick to import."""

TIMEOUT_S = 30.0
RETRIES = 6
# At once, to one exchange.
MAX_CONNECTIONS = 8
THREADS = MAX_CONNECTIONS
