"""The words of what is true: operations, quantities, formats and verdicts.  The standard library alone is imported."""

from __future__ import annotations

OPERATIONS = ("softmax", "log_softmax")
QUANTITIES = ("forward", "vjp", "jvp", "hvp")

# Every format that a number can be rounded to; ``references.formats`` says what they are.
EVERY_FORMAT = ("binary64", "binary32", "binary16", "bfloat16", "float8_e5m2", "float8_e4m3fn")

# What the frameworks and C call the IEEE formats.
FORMAT_ALIASES = {
    "float64": "binary64",
    "double": "binary64",
    "fp64": "binary64",
    "float32": "binary32",
    "single": "binary32",
    "fp32": "binary32",
    "float16": "binary16",
    "half": "binary16",
    "fp16": "binary16",
    "bf16": "bfloat16",
}

# Worst first.  A better word is given only when every worse test is passed.
VERDICTS = ("wrong", "unstable", "storage-stable", "stable", "accurate", "faithful", "correctly rounded")
NOT_APPLICABLE = "n/a"
