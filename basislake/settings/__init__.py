"""What flags and environment name: the lake, the database and the exchange."""
