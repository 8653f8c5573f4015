"""Benchmarks, each beside its limit and its rival."""
