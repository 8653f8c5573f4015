"""Every customer of every snapshot in one named segment."""
