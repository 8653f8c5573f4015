"""New order lines, customers' segments by the model of the last run."""
