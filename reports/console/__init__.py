"""Speaking to a person: lines, tables, progress, exit codes, and where output goes."""
