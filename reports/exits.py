"""The exit codes of the verbs."""

OK = 0  # nothing worse
WORSE = 1  # worse than allowed
USAGE = 2  # usage, configuration or I/O
INCOMPLETE = 3  # cells are missing, or a named framework is
NOTHING_COMPARED = 4  # two runs without a cell in common
