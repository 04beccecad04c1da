"""Maintenance: compaction, vacuum, checkpoints, and how much of the disk a lake takes."""
