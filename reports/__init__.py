"""What was found: records and run directories, pages, and the command line."""
