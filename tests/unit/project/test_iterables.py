"""A parameter that may be an iterator is read once: the second time an iterator is empty, and nobody sees it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.unit.project.test_walls import PACKAGES, modules

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def reads(node: ast.AST, name: str, *, again: bool = False) -> Iterator[tuple[int, bool]]:
    """Yield each line that reads a name, and whether it is run more than once in one call of its function."""
    match node:
        case ast.Name(id=read, ctx=ast.Load()) if read == name:
            yield node.lineno, again
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            first, rest = node.generators[0].iter, [child for child in ast.walk(node) if isinstance(child, ast.Name)]
            yield from reads(first, name, again=again)
            within = {id(child) for child in ast.walk(first)}
            yield from ((one.lineno, True) for one in rest if one.id == name and id(one) not in within)
        case ast.For():
            yield from reads(node.iter, name, again=again)
            for child in (*node.body, *node.orelse):
                yield from reads(child, name, again=True)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from reads(child, name, again=again or isinstance(node, ast.While | ast.Lambda))


def read_twice(tree: ast.AST) -> Iterator[str]:
    """Yield the parameters of type ``Iterable`` that are read more than once, unless they become a collection first."""
    for function in (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)):
        for parameter in (*function.args.args, *function.args.kwonlyargs):
            if parameter.annotation is None or not ast.unparse(parameter.annotation).startswith("Iterable["):
                continue
            lines = [one for statement in function.body for one in reads(statement, parameter.arg)]
            stored = [
                node.lineno for node in ast.walk(function)
                if isinstance(node, ast.Name) and node.id == parameter.arg and isinstance(node.ctx, ast.Store)
            ]  # fmt: skip
            before = [one for one in lines if not stored or one[0] <= min(stored)]
            if len(before) > 1 or any(again for _, again in before):
                yield f"{function.name}: {parameter.arg}"


def test_an_iterable_is_read_once() -> None:
    names_by_module = {
        str(path.name): names
        for path in modules(*PACKAGES)
        if (names := list(read_twice(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert {} == names_by_module


def test_a_second_read_is_recognised() -> None:
    source = """
def in_each_round(present: Iterable[str]) -> list[str]:
    return [name for name in names if name in set(present)]
def twice(present: Iterable[str]) -> list[str]:
    return sorted(present) + list(present)
def once(present: Iterable[str]) -> list[str]:
    return [name for name in present]
def kept(present: Iterable[str]) -> list[str]:
    present = tuple(present)
    return [name for name in names if name in present]
"""
    assert ["in_each_round: present", "twice: present"] == list(read_twice(ast.parse(source)))
