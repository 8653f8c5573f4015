"""Contracts: what each table promises to the stages that read it, one table a file."""
