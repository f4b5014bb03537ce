"""Making a run: cells measured, judged and written."""
