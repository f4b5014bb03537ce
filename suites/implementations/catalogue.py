"""The implementations that can be measured, by name; asking for one imports its framework, listing them does not."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Container, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from suites.implementations.call import Evaluator
from suites.implementations.frameworks import framework_named as framework_named
from suites.implementations.frameworks import frameworks as frameworks
from suites.implementations.implementation import COMPILER
from suites.implementations.implementation import Implementation as Implementation
from suites.implementations.read_back import in_words
from suites.implementations.user_files import UnknownName as UnknownName
from suites.implementations.user_files import found_file, load_function
from suites.vocabulary import LAYOUTS

CATALOGUE: dict[str, Implementation] = {i.name: i for f in frameworks().values() for i in f.implementations}
FRAMEWORKS = tuple(frameworks())


def of_frameworks(names: tuple[str, ...]) -> list[Implementation]:
    """The implementations of some frameworks, all if none is named.  Raises UnknownName."""
    for name in names:
        framework_named(name)
    return [i for i in CATALOGUE.values() if not names or i.framework in names]


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


def why_skipped(
    implementation: Implementation,
    variables: Mapping[str, str] = os.environ,
    installed: Container[str] | None = None,
) -> str | None:
    """Why a process with these environment variables can't measure an implementation of its framework, or None.

    ``installed`` are the packages of another interpreter than this one.  Imports nothing; ``why_not_measured`` says of
    the framework itself.
    """
    for framework in (name for name in implementation.needs if name != COMPILER):
        if importlib.util.find_spec(framework) is None if installed is None else framework not in installed:
            return f"{implementation.name} needs {framework}, which is not installed"
    if COMPILER in implementation.needs and not shutil.which(cxx_compiler()):
        return f"torch.compile needs {COMPILER}: {cxx_compiler()} is not found; install one, or name it in CXX"
    for name, value in implementation.environment.items():
        if variables.get(name) != value:
            return f"needs {name}={value} in the environment before Python starts"
    return None


def cxx_compiler() -> str:
    """The compiler that Inductor calls: CXX, or the platform's usual one."""
    return os.environ.get("CXX") or {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")


def means_something_to(framework: str, layout: str) -> bool:
    """Whether a framework sees a layout at all: some copy their arguments, some have no negative strides."""
    from suites.inputs.layouts import layout_named  # with NumPy, which names alone don't need

    found = layout_named(layout)
    return framework_named(framework).sees(found.shape, found.negative)


def layouts_of(implementation: Implementation) -> tuple[str, ...]:
    """The layouts that the framework of an implementation sees, and those whose arrays it computes on."""
    seen_by = (implementation.framework, *(need for need in implementation.needs if need != COMPILER))
    return tuple(layout for layout in LAYOUTS if all(means_something_to(each, layout) for each in seen_by))


@cache
def versions_of(framework: str) -> Mapping[str, str]:
    """Installed distributions of a framework and their versions."""
    found = {}
    for name in framework_named(framework).distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return MappingProxyType(found)


def settings_of(framework: str) -> dict[str, str]:
    """What else can change a framework's bits on this machine; imports it."""
    return in_words(settings_module(framework).settings())


def settings_module(framework: str) -> Any:
    """The module that reads back what a framework has chosen; imports the framework."""
    return _module(f"{framework}.settings")


def _module(name: str) -> Any:
    return importlib.import_module(f"suites.implementations.{name}")


# -- a user's own ----------------------------------------------------------------------------------------------------

# What can run a user's callable.
OWN_FRAMEWORKS = tuple(name for name, framework in frameworks().items() if framework.own)


def user_implementation(where: str, framework: str, operation: str | None) -> Implementation:
    """``FILE.py:NAME``, a callable NAME(x, axis) on arrays of the framework; gradients by its autodiff.

    The operation is taken from NAME where it is not given.  The file is not imported: workers alone do that, and
    ``suites.driver.own_functions.declared`` has a worker report what is in it.  Raises UnknownName for a file,
    framework or name that can't be.
    """
    file, colon, function = where.rpartition(":")
    if not colon or not file.endswith(".py") or not function.isidentifier():
        raise UnknownName(f"{where!r} is not FILE.py:NAME")
    known = frameworks().get(framework)
    if known is None or known.own is None:
        raise UnknownName(f"--framework {framework!r} can't run {where}; choose one of {', '.join(OWN_FRAMEWORKS)}")
    operation = operation or assumed_operation(function)
    path, name = found_file(file), f"{Path(file).stem}/{function}"
    if name in CATALOGUE:
        raise UnknownName(f"{where} would be called {name}, which is another implementation; rename the file")
    return Implementation(
        name=name,
        framework=framework,
        module=known.own.module,
        calls={operation: f"{where}(x, axis)"},
        compiles=known.few_shapes,
        quantities=known.own.quantities,
        formats=known.own.formats,
        flushes=known.implementation(known.usual).flushes,
        main=True,
        own=(path, function),
    )


def assumed_operation(function: str) -> str:
    """The operation that a function is taken for by its name, where nobody says which it is."""
    return "log_softmax" if re.search("log(?!it)", function.lower()) else "softmax"


def assumption(where: str) -> str:
    """One line on what ``FILE.py:NAME`` is taken for, and how to overrule it."""
    operation = assumed_operation(where.rpartition(":")[2])
    other = "softmax" if operation == "log_softmax" else "log_softmax"
    return f"{where} is judged as {operation}, by its name; if it is {other}, add --operation {other}"


def own_evaluator(module: str, file: str, function: str) -> Evaluator:
    """The evaluator of a user's function, run by one of the modules here.  Raises what their imports raise."""
    result: Evaluator = _module(module).from_callable(load_function(file, function))
    return result
