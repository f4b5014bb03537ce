"""The certified truth, a row at a time, in mpmath."""
