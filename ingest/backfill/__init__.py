"""The backfill: fetches what the plan names and commits it in batches, safe to kill."""
