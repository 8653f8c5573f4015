"""What the segments are, what they are worth, and what to do."""
