"""Which cells a tier has."""
