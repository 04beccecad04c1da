"""A PostgreSQL server of our own next to the lake: its programs, data folder and process."""
