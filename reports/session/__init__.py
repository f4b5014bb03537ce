"""What a pytest session asks for, tells first, records and holds against a baseline; conftest.py joins it to pytest."""
