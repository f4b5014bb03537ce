"""What is tried: implementations, inputs, and the tests that hold one against the other."""
