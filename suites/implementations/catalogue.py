"""The implementations that can be measured, by name; asking for one imports its framework, listing them does not."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from suites.implementations.call import Evaluator

_BOTH = ("softmax", "log_softmax")
_FORWARD = ("forward",)
_DERIVATIVES = ("vjp", "jvp")
_ALL = (*_FORWARD, *_DERIVATIVES)
_FOUR = ("binary64", "binary32", "binary16", "bfloat16")
_THREE = ("binary64", "binary32", "binary16")


class UnknownName(ValueError):
    """An implementation, framework or file that can't be had; the message names it and says what can."""


@dataclass(frozen=True)
class Implementation:
    """One callable under test.

    ``calls`` is what a user writes, per operation.  ``flushes`` declares that the platform flushes subnormal numbers to
    zero; a probe proves it before anything is judged by it.
    """

    name: str
    framework: str
    module: str
    calls: dict[str, str]
    quantities: tuple[str, ...] = _ALL
    formats: tuple[str, ...] = _FOUR
    flushes: bool = False
    own: tuple[str, str] | None = field(default=None)  # file and function of a user's implementation

    def supports(self, operation: str, quantity: str, format: str) -> bool:
        return operation in self.calls and quantity in self.quantities and format in self.formats

    def evaluator(self) -> Evaluator:
        """Imports the framework.  Raises what the import raises."""
        if self.own is not None:
            return own_evaluator(self.module, *self.own)
        result: Evaluator = _module(self.module).evaluator(self.name.partition("/")[2])
        return result


def _module(name: str) -> Any:
    return importlib.import_module(f"suites.implementations.{name}")


def own_evaluator(module: str, file: str, function: str) -> Evaluator:
    """The evaluator of a user's function, run by one of the modules here.  Raises what their imports raise."""
    result: Evaluator = _module(module).from_callable(_load_function(file, function))
    return result


def _softmax_calls(text: str) -> dict[str, str]:
    return {operation: text.format(operation) for operation in _BOTH}


_JAX_RULE = "{} under JAX_SOFTMAX_CUSTOM_JVP=1"

_KNOWN = (
    Implementation("torch/eager", "torch", "torch_eager", _softmax_calls("torch.{}(x, dim)")),
    Implementation("torch/log-of-softmax", "torch", "torch_eager", {"log_softmax": "torch.log(torch.softmax(x, dim))"}),
    Implementation("jax/eager", "jax", "jax_nn", _softmax_calls("jax.nn.{}(x, axis)"), flushes=True),
    Implementation("jax/jit", "jax", "jax_nn", _softmax_calls("jax.jit(jax.nn.{})(x, axis)"), flushes=True),
    Implementation(
        "jax/eager-custom-jvp",
        "jax",
        "jax_nn",
        {"softmax": _JAX_RULE.format("jax.nn.softmax(x, axis)")},
        quantities=_DERIVATIVES,
        flushes=True,
    ),
    Implementation(
        "jax/jit-custom-jvp",
        "jax",
        "jax_nn",
        {"softmax": _JAX_RULE.format("jax.jit(jax.nn.softmax)(x, axis)")},
        quantities=_DERIVATIVES,
        flushes=True,
    ),
    Implementation(
        "jax/log-of-softmax",
        "jax",
        "jax_nn",
        {"log_softmax": "jax.jit(lambda x: jnp.log(jax.nn.softmax(x, axis)))"},
        flushes=True,
    ),
    Implementation(
        "scipy",
        "scipy",
        "scipy_special",
        _softmax_calls("scipy.special.{}(x, axis)"),
        quantities=_FORWARD,
        formats=_THREE,
    ),
    Implementation("numpy/naive", "numpy", "numpy_recipes", {"softmax": "exp(x) / sum(exp(x))"}, formats=_THREE),
    Implementation(
        "numpy/log-of-softmax",
        "numpy",
        "numpy_recipes",
        {"log_softmax": "log(exp(x) / sum(exp(x)))"},
        formats=_THREE,
    ),
    Implementation(
        "numpy/x-minus-log-sum-exp",
        "numpy",
        "numpy_recipes",
        {"log_softmax": "x - log(sum(exp(x)))"},
        formats=_THREE,
    ),
    Implementation(
        "numpy/shifted",
        "numpy",
        "numpy_recipes",
        {"softmax": "d = x - max(x); exp(d) / sum(exp(d))", "log_softmax": "d = x - max(x); d - log(sum(exp(d)))"},
        formats=_THREE,
    ),
    Implementation(
        "numpy/x-minus-logsumexp", "numpy", "numpy_recipes", {"log_softmax": "x - logsumexp(x)"}, formats=_THREE
    ),
)

CATALOGUE: dict[str, Implementation] = {implementation.name: implementation for implementation in _KNOWN}
FRAMEWORKS = tuple(dict.fromkeys(implementation.framework for implementation in _KNOWN))
_DISTRIBUTIONS = {"torch": ("torch",), "jax": ("jax", "jaxlib"), "scipy": ("scipy",), "numpy": ("numpy",)}


def implementation_named(name: str) -> Implementation:
    """Raises UnknownName with the names that exist."""
    try:
        return CATALOGUE[name]
    except KeyError:
        raise UnknownName(f"unknown implementation {name!r}; known are {', '.join(CATALOGUE)}") from None


def of_frameworks(frameworks: tuple[str, ...]) -> list[Implementation]:
    """The implementations of some frameworks, all if none is named.  Raises UnknownName."""
    for name in frameworks:
        if name not in FRAMEWORKS:
            raise UnknownName(f"unknown framework {name!r}; known are {', '.join(FRAMEWORKS)}")
    return [i for i in CATALOGUE.values() if not frameworks or i.framework in frameworks]


@cache
def why_not_measured(framework: str) -> str | None:
    """Why nothing of a framework can be measured here, or None; imports it only if it is installed."""
    if importlib.util.find_spec(framework) is None:
        return f"{framework} is not installed"
    try:
        importlib.import_module(framework)
    except Exception as error:  # a broken wheel can raise anything while it is imported
        return f"{framework} can't be imported: {type(error).__name__}: {error}".splitlines()[0]
    return None


@cache
def versions_of(framework: str) -> Mapping[str, str]:
    """Installed distributions of a framework and their versions."""
    found = {}
    for name in _DISTRIBUTIONS[framework]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return MappingProxyType(found)


def settings_of(framework: str) -> dict[str, str]:
    """What else can change a framework's bits on this machine; imports it."""
    result: dict[str, str] = settings_module(framework).settings()
    return result


def settings_module(framework: str) -> Any:
    """The module that reads back what a framework has chosen; imports the framework."""
    modules = {"torch": "torch_settings", "jax": "jax_settings", "numpy": "numpy_settings", "scipy": "numpy_settings"}
    return _module(modules[framework])


# -- a user's own ----------------------------------------------------------------------------------------------------

_OWN_MODULES = {
    "torch": ("torch_eager", _ALL, _FOUR),
    "jax": ("jax_nn", _ALL, _FOUR),
    "numpy": ("numpy_recipes", _FORWARD, _THREE),
}


# What can run a user's callable.
OWN_FRAMEWORKS = tuple(_OWN_MODULES)


def user_implementation(where: str, framework: str, operation: str | None) -> Implementation:
    """``FILE.py:NAME``, a callable NAME(x, axis) on arrays of the framework; gradients by its autodiff.

    The operation is taken from NAME where it is not given.  Raises UnknownName for a file, function, framework or
    operation that can't be had.
    """
    file, colon, function = where.rpartition(":")
    if not colon or not file.endswith(".py") or not function.isidentifier():
        raise UnknownName(f"{where!r} is not FILE.py:NAME")
    if framework not in _OWN_MODULES:
        raise UnknownName(f"--framework {framework!r} can't run {where}; choose one of {', '.join(_OWN_MODULES)}")
    if operation is None:
        operation = "log_softmax" if re.search("log(?!it)", function.lower()) else "softmax"
    path, name = str(Path(file).resolve()), f"{Path(file).stem}/{function}"
    if name in CATALOGUE:
        raise UnknownName(f"{where} would be called {name}, which is another implementation; rename the file")
    _load_function(path, function)
    module, quantities, formats = _OWN_MODULES[framework]
    return Implementation(
        name=name,
        framework=framework,
        module=module,
        calls={operation: f"{where}(x, axis)"},
        quantities=quantities,
        formats=formats,
        flushes=framework == "jax",
        own=(path, function),
    )


@cache
def _load_function(file: str, name: str) -> Callable[..., Any]:
    module = _load_module(file)
    function = getattr(module, name, None)
    if not callable(function):
        raise UnknownName(f"{file} has no function {name!r}")
    result: Callable[..., Any] = function
    return result


@cache
def _load_module(file: str) -> ModuleType:
    if not os.path.isfile(file):
        raise UnknownName(f"no such file: {file}")
    spec = importlib.util.spec_from_file_location(f"user_{Path(file).stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a user's file can raise anything, and leave as a script does
        raise UnknownName(f"{file} can't be imported: {type(error).__name__}: {error}") from error
    return module
