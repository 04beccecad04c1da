"""The verbs of the command line: each reads options, calls the pipeline, and shows what came of
it.
"""
