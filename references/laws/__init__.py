"""Identities that exact results keep, and how far computed ones may be from them."""
