"""How fast the reports are; measured, never asserted."""
