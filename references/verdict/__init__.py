"""Errors of computed elements, their ratios to the bounds, the verdict, and where an error comes from."""
