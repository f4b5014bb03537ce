"""From bits to errors to a verdict."""
