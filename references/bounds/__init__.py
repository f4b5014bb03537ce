"""How far a good algorithm may be off: a bound for each operation and quantity."""
