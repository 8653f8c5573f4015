"""The kept segment model: what selection, assignment and scoring share."""
