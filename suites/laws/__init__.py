"""The laws: what is asserted of every implementation."""
