"""Conditions as data: comparisons and arithmetic over named quantities, such as ``n >= 9 and inner % lanes > 0``."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

Value = bool | int | str

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


class ConditionError(ValueError):
    """A condition that can't be read; the message quotes it and names what is at fault."""


@cache
def _tree(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ConditionError(f"{text!r} is no condition: {error.msg}") from None


def names_in(text: str) -> set[str]:
    """The quantities that a condition speaks of.  Raises ConditionError for anything but arithmetic and comparisons."""
    found = set()
    for node in ast.walk(_tree(text)):
        known = ast.Name | ast.Constant | ast.BoolOp | ast.UnaryOp | ast.BinOp | ast.Compare | ast.Tuple
        if isinstance(node, ast.expr) and not isinstance(node, known):
            raise ConditionError(
                f"{text!r} has {ast.unparse(node)!r}: only names, numbers, words and operators are read"
            )
        if isinstance(node, ast.unaryop) and not isinstance(node, ast.Not | ast.USub):
            raise ConditionError(f"{text!r} has a sign other than - and not")
        if isinstance(node, ast.operator) and type(node) not in _ARITHMETIC:
            raise ConditionError(f"{text!r} has an operator other than + - * // %")
        if isinstance(node, ast.cmpop) and type(node) not in _COMPARISONS:
            raise ConditionError(f"{text!r} has a comparison other than == != < <= > >= in")
        if isinstance(node, ast.Name):
            found.add(node.id)
    return found


def evaluate(text: str, quantities: Mapping[str, Value]) -> Any:
    """The value of an expression that ``names_in`` has accepted.  Raises ConditionError for a quantity not given."""
    return _evaluate(_tree(text), quantities, text)


def _evaluate(node: ast.expr, quantities: Mapping[str, Value], text: str) -> Any:
    def of(part: ast.expr) -> Any:
        return _evaluate(part, quantities, text)

    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            if name not in quantities:
                raise ConditionError(f"{text!r} speaks of {name!r}; known are {', '.join(sorted(quantities))}")
            return quantities[name]
        case ast.Tuple(elements):
            return tuple(of(e) for e in elements)
        case ast.BoolOp(ast.And(), values):
            return all(of(v) for v in values)
        case ast.BoolOp(_, values):
            return any(of(v) for v in values)
        case ast.UnaryOp(ast.Not(), operand):
            return not of(operand)
        case ast.UnaryOp(_, operand):
            return -of(operand)
        case ast.BinOp(left, operation, right):
            return _ARITHMETIC[type(operation)](of(left), of(right))
        case ast.Compare(left, operations, rights):
            values = [of(part) for part in (left, *rights)]
            pairs = zip(operations, values, values[1:], strict=False)
            return all(_COMPARISONS[type(operation)](a, b) for operation, a, b in pairs)
    raise ConditionError(f"{text!r} is no condition")
