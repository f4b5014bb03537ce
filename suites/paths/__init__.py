"""Where it is implemented: which kernel or function runs for an array, by each framework's paths.toml."""
