"""What is fetched: one module for each dataset, one declaration in each.

A dataset says which table its rows go to, which steps of time its rows cover, what should be held
of each instrument, how that is cut into windows, and how a window is asked for and read. Planning,
locks, rate limit, retries, commits, coverage and progress are the same for all of them.
"""
