"""What several stages share, a room for each subject."""
