"""How fast the oracle, the references and the command line are; measured, never asserted."""
