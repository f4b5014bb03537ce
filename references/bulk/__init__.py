"""The exact results of many rows at a time, each element with a stated error."""
