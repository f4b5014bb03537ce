"""What is measured: callables under test, one module per framework, imported only when asked for.

Nothing here but catalogue.py imports the rest of the project: an evaluator needs NumPy and its framework alone.
"""
