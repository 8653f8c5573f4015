"""Every customer as of each snapshot."""
