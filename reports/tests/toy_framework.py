"""A framework that exists in a test alone: its package, and the folder that declares it to the suite."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = {
    "toy.py": """
import numpy

__version__ = "1.2"


def softmax(x, axis):
    e = numpy.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def log_softmax(x, axis):
    d = x - x.max(axis, keepdims=True)
    return d - numpy.log(numpy.exp(d).sum(axis, keepdims=True))
""",
    "toy-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: toy\nVersion: 1.2\n",
    "toy-1.2.dist-info/RECORD": "toy.py,,\ntoy-1.2.dist-info/METADATA,,\ntoy-1.2.dist-info/RECORD,,\n",
}

_DECLARED = {
    "__init__.py": "",
    "framework.py": """
from __future__ import annotations

from suites.implementations.calls import any_numpy, both, no_variables
from suites.implementations.framework import ANY_STRIDES, Framework
from suites.implementations.implementation import VALUES, Implementation


def _path_values(format, size, settings):
    return {}


FRAMEWORK = Framework(
    name="toy",
    title="Toy",
    place=90,
    distributions=("toy",),
    computes_with=("toy", "numpy"),
    beside="",
    strides=ANY_STRIDES,
    compiles=False,
    few_shapes=False,
    quick=True,
    compiler=None,
    written_out=False,
    usual="toy/eager",
    calls_agree=False,
    log_of_softmax=None,
    timed=False,
    watched_formats=("binary64",),
    profiles=(),
    cards=False,
    variables=no_variables,
    flags_variable=None,
    path_facts=(),
    path_values=_path_values,
    numpy=any_numpy,
    own=None,
    mapped=None,
    implementations=(
        Implementation(
            "toy/eager",
            "toy",
            "toy.calls",
            both("toy.{}(x, axis)"),
            compiles=False,
            inputs=(),
            quantities=VALUES,
            formats=("binary64",),
            main=True,
            script="return {call}",
        ),
    ),
)
""",
    "settings.py": """
def settings():
    return {"device": "cpu"}


def flushes():
    return False


def details():
    return {"flushes subnormals": False}


def no_device():
    return None


def card():
    return None
""",
    "calls.py": """
import numpy as np
import toy


def evaluator(name):
    def evaluate(call):
        result = getattr(toy, call.operation)(call.logits.view(np.float64), call.axis)
        return np.ascontiguousarray(result).view(np.uint64)

    return evaluate
""",
    "paths.toml": """
[framework.toy]
read = "1.2"
assumed = { device = "cpu" }

[[path]]
id = "toy-formula"
framework = "toy"
calls = ["toy.{operation}"]
runs = "its formula"
source = "toy.py"
function = "softmax"
condition = "always"
algorithm = "NumPy's"
evidence = "read"

[[route]]
implementation = ["toy/eager"]
every = ["toy.{operation}"]
""".replace('calls = ["toy.{operation}"]', 'calls = ["toy.softmax", "toy.log_softmax"]'),
    "replay.py.j2": """{% extends "replay.py.j2" %}
{% block imports %}
import toy{% endblock %}
{% block evaluate %}
axis = {{ axis }}


def function(x):
    {{ function }}


result = np.ascontiguousarray(function(batch(logits).view(np.float64))).view(np.uint64)
{% endblock %}
""",
}


def put_toy(place: Path) -> dict[str, str]:
    """Write the package and its declaration, and give the environment variables that bring them to a process."""
    for folder, files in (("packages", _PACKAGE), ("frameworks/toy", _DECLARED)):
        for name, text in files.items():
            file = place / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.lstrip("\n"), encoding="utf-8")
    return {"PYTHONPATH": str(place / "packages"), "SOFTMAX_ACCURACY_FRAMEWORKS": str(place / "frameworks")}
