"""Profiles, the worker processes that evaluate under them, and what is available here."""
