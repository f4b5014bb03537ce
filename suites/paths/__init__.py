"""Where it is implemented: which kernel or function runs for an array, read from suites/implementations/paths.toml."""
