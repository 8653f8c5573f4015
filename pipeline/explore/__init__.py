"""The key patterns of the sales."""
