"""What can be typed: each verb's options and help, a module a verb.

A command imports what it does (`basislake.verbs`) when it is called, so help, wrong usage and shell
completion load no library that takes time. No command imports another.
"""
