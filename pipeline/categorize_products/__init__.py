"""Every product in one named category."""
