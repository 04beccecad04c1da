"""Where a lake is: a folder or an object store, and what both must be able to do."""
