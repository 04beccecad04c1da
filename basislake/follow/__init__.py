"""Following the market: rounds, messages, and the tasks between rounds."""
