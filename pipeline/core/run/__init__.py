"""How a stage runs: parameters, outputs, metrics, errors, progress."""
