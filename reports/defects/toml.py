"""The measured lines of known_defects.toml, written anew; what people wrote in it stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping


def rewritten(text: str, table: str, fields: Mapping[str, Mapping[str, str]]) -> str:
    """The text with lines of the entries of a table replaced: ``fields`` are TOML values by name, by the entry's id."""
    blocks = re.split(r"(?m)^(?=\[\[)", text)
    for index, block in enumerate(blocks):
        match = re.search(r'(?m)^id = "(.+)"$', block)
        if not match or not block.startswith(f"[[{table}]]"):
            continue
        for name, value in fields.get(match.group(1), {}).items():
            block = re.sub(rf"(?m)^{re.escape(name)} = .*$", lambda _, line=f"{name} = {value}": line, block)
        blocks[index] = block
    return "".join(blocks)
