"""A user's function, asked of a worker: what it consists of, before anything is evaluated; never imported here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from suites.driver.pool import declaration_of
from suites.driver.profiles import Profile
from suites.driver.tasks import Declaration, Request
from suites.implementations.implementation import Implementation

# What asks a worker; reports hand it to their pool.
Ask = Callable[[Profile, tuple[str, str, str]], Declaration]


def declared(implementation: Implementation, profile: Profile, ask: Ask = declaration_of) -> tuple[Implementation, str]:
    """A user's implementation with its content, and what importing its file changes of a process's arithmetic.

    Raises UnknownName where the file can't be imported or has no such function; Unavailable, WorkerDied, ScratchError
    where no worker of the profile can be had.
    """
    assert implementation.own is not None
    found = ask(profile, (implementation.module, *implementation.own))
    return replace(implementation, content=found.content), found.state


def arithmetic_changed(implementation: Implementation, state: str) -> str:
    """What to say of a file whose import changes the arithmetic of its process."""
    file = f"{implementation.name.partition('/')[0]}.py"
    return f"importing {file} changes the arithmetic of its process: {state}; its results are judged as they are"


def request_for(
    implementation: Implementation,
    operation: str,
    quantity: str,
    layout: str,
    vectors: tuple[tuple[str, str], ...] = (),
    axis: int | None = None,
) -> Request:
    """An evaluation as a worker is asked for it: ``vectors`` are roles, and the names of the arrays in them; with an
    ``axis`` the arrays have any shape."""
    own = (implementation.module, *implementation.own) if implementation.own else None
    content = None if implementation.content is None else tuple(implementation.content.items())
    return Request(implementation.name, operation, quantity, layout, vectors, own, content, axis)
