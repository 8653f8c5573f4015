"""Campaigns: draw who is treated and held out, export lists, read the effect."""
