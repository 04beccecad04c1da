"""The rate limit that all processes of a machine keep towards an exchange."""
