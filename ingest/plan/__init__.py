"""Plans: which data, instruments and minutes to ask for, and how complete the lake is."""
