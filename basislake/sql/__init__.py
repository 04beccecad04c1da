"""`sql`: where a query comes from, its shell, and the example queries."""
