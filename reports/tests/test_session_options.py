"""pytest's options: the same words as the command line's, by friendly names too."""

from __future__ import annotations

from typing import Any, cast

import pytest

from reports.session.options import _OPTIONS, add_options, option
from reports.vocabulary import WORDS


class Config:
    """What ``option`` asks of a configuration: the options given, and values of an ini file."""

    def __init__(self, given: dict[str, Any], ini: dict[str, Any] | None = None) -> None:
        self._given, self._ini = given, ini or {}

    def getoption(self, name: str) -> Any:
        return self._given.get(name.removeprefix("--"))

    def getini(self, name: str) -> Any:
        return self._ini.get(name, [] if _OPTIONS[name][2] else "")


def asked(name: str, given: Any, ini: Any = None) -> Any:
    return option(cast(pytest.Config, Config({name: given}, {name: ini} if ini else {})), name)


@pytest.mark.parametrize("kind", ["framework", "format", "operation", "tier"])
def test_every_word_of_the_vocabulary_is_taken(kind: str) -> None:
    many = _OPTIONS[kind][2]
    for word in WORDS[kind]:
        assert asked(kind, [word] if many else word) == ((word,) if many else word)
    assert asked(kind, None) == (() if many else None)


@pytest.mark.parametrize(
    ("name", "given", "found"),
    [
        ("format", ["float32", "BF16"], ("binary32", "bfloat16")),
        ("framework", ["pytorch"], ("torch",)),
        ("profile", ["cuda:3", "default"], ("cuda:3", "default")),
        ("device", "cuda:1", "cuda:1"),
        ("require", "stable", "stable"),
    ],
)
def test_friendly_names_and_cards_are_taken_as_options_and_as_ini_values(name: str, given: Any, found: Any) -> None:
    assert asked(name, given) == found
    assert asked(name, None, ini=given) == found


@pytest.mark.parametrize(
    ("name", "given", "complaint"),
    [
        ("format", ["floot32"], "--format: unknown format 'floot32'; known are binary64, .*; did you mean float32"),
        ("framework", ["tensorflow"], "--framework: unknown framework 'tensorflow'; known are torch, jax"),
        ("device", "gpu", "--device: unknown device 'gpu'; known are cpu, cuda, cuda:N, all"),
        ("profile", ["avx2"], "--profile: unknown profile 'avx2'; known are default, .*, cuda, cuda:N"),
        ("require", "good", "--require: unknown verdict 'good'; known are wrong, unstable"),
    ],
)
def test_another_word_is_refused_in_one_line(name: str, given: Any, complaint: str) -> None:
    with pytest.raises(pytest.UsageError, match=f"^{complaint}") as refused:
        asked(name, given)
    assert "\n" not in str(refused.value)


def test_help_names_every_word() -> None:
    parser = pytest.Parser(_ispytest=True)
    add_options(parser)
    texts = {o.names()[0]: str(o.attrs()["help"]) for group in parser._groups for o in group.options}
    for name, (_, kind, _) in _OPTIONS.items():
        assert kind is None or texts[f"--{name}"].endswith(f": {', '.join(WORDS[kind])}")
