"""Verbs of the command line: each reads options, calls the pipeline, and shows the result."""
