"""How one number was computed: formula, rows, calls, and what is missing."""
