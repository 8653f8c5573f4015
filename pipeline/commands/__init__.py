"""What people call beside the DAG: `python -m pipeline COMMAND`."""
