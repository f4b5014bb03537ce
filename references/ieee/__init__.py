"""Arithmetic by IEEE operations alone: binary64, pairs of it, and how this processor computes."""
