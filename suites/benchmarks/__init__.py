"""What takes longer than a test may: how fast things are, measured and never asserted; the certification by mpmath."""
