"""Genuine sales, a ledger of what left, and returns netted."""
