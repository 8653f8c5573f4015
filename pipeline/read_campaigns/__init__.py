"""What campaigns changed: hold-out tests read on later orders."""
