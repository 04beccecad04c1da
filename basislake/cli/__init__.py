"""The command line: verbs, options, help, completion, signals and exit codes."""
