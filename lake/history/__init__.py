"""The lake as of a batch, its fingerprint, and what differs between two batches."""
