"""What is raised where a run directory can't be read or written as asked."""


class RunError(Exception):
    """A run directory that can't be read or written as asked; one line, with the path and the remedy."""
