"""What is measured: callables under test, a folder for each framework, imported only when asked for."""
