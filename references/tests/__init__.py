"""The tests of the references; an oracle of their own (Arb) judges the oracle."""
