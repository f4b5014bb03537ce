"""Which reference judged, in words: from counts, in the order of the references."""

from __future__ import annotations

import pytest

from reports.wording import judged_by, main_tier


@pytest.mark.parametrize(
    ("counts", "main", "words"),
    [
        ({"binary64": 288}, "binary64", "binary64"),
        ({"double-double": 234, "mpmath": 63}, "double-double", "double-double, 63 of 297 elements by mpmath"),
        ({"mpmath": 2, "binary64": 2}, "binary64", "binary64, 2 of 4 elements by mpmath"),
        (
            {"mpmath": 1, "binary64": 1, "double-double": 2},
            "double-double",
            "double-double, 1 of 4 elements by binary64, 1 of 4 elements by mpmath",
        ),
    ],
)
def test_counts_in_words(counts: dict[str, int], main: str, words: str) -> None:
    assert (main_tier(counts), judged_by(counts)) == (main, words)
