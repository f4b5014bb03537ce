"""A run directory: what a record is, how one is made, written and read."""
