"""Deribit: its hosts, its HTTP API, and how its replies are read and checked."""
