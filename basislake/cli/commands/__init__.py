"""Commands: the options and the help of each verb, in a module each.

The decorator `verb` imports the implementation (`basislake.verbs`) only when the command is called,
so help, wrong usage and shell completion load no slow library. No command imports another.
"""
