"""One row or one cell: explained, exported as golden vectors, replayed."""
