"""Commands: the options and the help of each verb, in a module each.

A command imports its implementation (`basislake.verbs`) only when it is called, so help, wrong
usage and shell completion load no slow library. No command imports another.
"""
