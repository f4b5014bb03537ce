"""The exit codes of the verbs."""

OK = 0  # nothing worse
WORSE = 1  # worse than allowed
USAGE = 2  # usage, configuration or I/O
INCOMPLETE = 3  # cells are missing, or a named framework or device is
NOTHING_COMPARED = 4  # two runs without a cell in common
FAULT = 70  # a fault of this program: never Python's own 1, which would read as "worse"; the system's EX_SOFTWARE
