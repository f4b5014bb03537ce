"""What is true: formats, the exact functions, errors and bounds; no framework is imported here."""
