"""What customers bring after costs, and buy at list price or below."""
