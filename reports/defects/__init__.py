"""The known defects against what is installed or was measured."""
