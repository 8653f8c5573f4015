"""The embedded sample: a made-up gift shop with known truths."""
