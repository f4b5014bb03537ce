"""What runs in a worker: the standard library, NumPy and the framework, from Python 3.9 on."""
