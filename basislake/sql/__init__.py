"""`sql`: its shell, its rows, and the example queries."""
