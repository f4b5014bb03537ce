"""The tests of what is tried: inputs, plan, measurements, and the catalogue of implementations."""
