"""Any number of stored runs in one view: how the errors of cells moved over the versions of a framework."""
