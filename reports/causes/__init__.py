"""Causes: why cells have other bits, as far as evidence goes, and which version changed them."""
