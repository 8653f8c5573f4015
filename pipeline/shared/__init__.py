"""Small and stable: every stage depends on it, so a change here re-runs everything."""
