"""Time: half-open intervals, and the steps that rows of a dataset cover."""
