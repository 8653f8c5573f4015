"""Order lines of any file in the one canonical schema."""
