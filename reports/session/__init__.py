"""What a pytest session asks for, prints first, records and compares with a baseline; conftest.py uses it."""
