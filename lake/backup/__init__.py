"""A lake copied to another folder or store, and back."""
