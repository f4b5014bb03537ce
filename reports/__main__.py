"""``python -m reports``: the command line where the console script is not installed."""

from reports.entry import main

main()
