"""The report: it formats and computes no figure."""
