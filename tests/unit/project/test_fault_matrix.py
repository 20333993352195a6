"""The matrix of faults has every point that the program has: read from its source, so that no new one is missed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import messages
from actors.messages import Message
from actors.settlement import messages as settlement_messages
from actors.supervision import messages as supervision_messages
from tests.faults.matrix import ACTORS, LEFT_OUT, MATRIX, PATH

ROOT = Path(__file__).parents[3]
MODULES = {
    "PriceTracker": ["price_tracker"],
    "Snapshotter": ["snapshotter"],
    "PositionKeeper": ["position_keeper"],
    "ExecutionSimulator": ["execution_simulator"],
    "Sizer": ["sizer"],
    "DecisionWatcher": ["decision_watcher"],
    "Supervisor": ["supervisor", "supervision/recovery"],
}
AROUND = (
    "wiring",
    "system",
    "price_listener",
    "settlement/history",
    "introspection/status",
    "introspection/inspection",
)
"""Modules whose messages come from the threads around the actors."""
MESSAGES = {
    name
    for module in (messages, settlement_messages, supervision_messages)
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, Message) and value is not Message
}
BY_OTHERS = {("PriceTracker", "StoredPrices"), ("Supervisor", "Recover")}
"""Messages that an actor makes and another thread sends."""
UNNAMED = {
    ("store", "sample"),
    ("store", "thin"),
    ("prices", "record"),
    ("prices", "forget"),
    ("ledger", "record_audit"),
    ("ledger", "halt"),
} | {
    ("verdicts", "end_changed"),
    ("verdicts", "_save"),
}
"""What is written in a transaction without a name, because it is not on the way of a decision."""


def actor_module(name: str) -> ast.Module:
    return parsed(ROOT / "actors" / f"{name}.py")


def parsed(path: Path) -> ast.Module:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
    return tree


def around(node: ast.AST) -> Iterator[ast.AST]:
    while (node := getattr(node, "parent", None)) is not None:  # type: ignore[assignment]
        yield node


def called(node: ast.AST) -> str:
    """The name of what is called, without what it is an attribute of."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def names(node: ast.AST) -> set[str]:
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)} & MESSAGES


def asked_for(node: ast.AST) -> set[str]:
    """The kinds of message that a ``case`` or an ``if isinstance`` lets through."""
    if isinstance(node, ast.match_case):
        return names(node.pattern)
    if isinstance(node, ast.If) and called(node.test) == "isinstance":
        return names(node.test)
    return set()


def passed_on(call: ast.Call) -> set[str]:
    """The kinds that ``tell(message)`` may send, where it does not make the message itself."""
    assert isinstance(call.args[0], ast.Name)
    for node in around(call):
        if message := asked_for(node):
            return message
        if isinstance(node, ast.FunctionDef):
            annotations = [arg.annotation for arg in node.args.args if arg.arg == call.args[0].id]
            return {kind for annotation in annotations if annotation is not None for kind in names(annotation)}
    return set()


def sends(tree: ast.Module) -> set[str]:
    kinds = set()
    for node in ast.walk(tree):
        if called(node) in MESSAGES:
            kinds.add(called(node))
        elif isinstance(node, ast.Call) and called(node) == "tell" and isinstance(node.args[0], ast.Name):
            kinds |= passed_on(node)
    return kinds


def takes(tree: ast.Module) -> set[str]:
    kinds = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.match_case):
            kinds |= names(node.pattern)
        elif called(node) == "isinstance":
            kinds |= names(node)
    return kinds


def in_matrix(who: str, moment: str) -> set[str]:
    return {point.what for point in MATRIX if (point.who, point.moment) == (who, moment)}


@pytest.mark.parametrize("actor", MODULES)
def test_each_message_that_an_actor_sends_is_in_the_matrix(actor: str) -> None:
    kinds = {kind for module in MODULES[actor] for kind in sends(actor_module(module))}
    kinds -= {kind for who, kind in BY_OTHERS if who == actor}
    if actor in ACTORS:
        kinds.add("Crashed")  # by its cell
    assert in_matrix(actor, "sends") == kinds - LEFT_OUT.keys()


@pytest.mark.parametrize("actor", MODULES)
def test_each_message_that_an_actor_takes_is_in_the_matrix(actor: str) -> None:
    kinds = {kind for module in MODULES[actor] for kind in takes(actor_module(module))} | {"start"}
    if actor in PATH:
        kinds |= takes(actor_module("runtime/behaviour")) - {"PathMessage"}
    elif actor in ACTORS:
        kinds.add("Restart")
    assert in_matrix(actor, "takes") == kinds - LEFT_OUT.keys()


def test_each_message_from_around_the_actors_is_in_the_matrix() -> None:
    kinds = {kind for module in AROUND for kind in sends(actor_module(module))}
    there = {point.what for point in MATRIX if point.moment == "sends" and point.who not in MODULES}
    assert there - {"StoredPrices", "Recover"} == kinds - LEFT_OUT.keys()


def test_each_transaction_on_the_way_has_a_name_that_is_in_the_matrix() -> None:
    transactions, unnamed = set(), set()
    for path in [*(ROOT / "persistence").rglob("*.py"), *(ROOT / "actors").rglob("*.py")]:
        for node in ast.walk(parsed(path)):
            if called(node) in {"transaction", "writing"}:
                assert isinstance(node, ast.Call)
                words = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                transactions.update(words)
                if called(node) == "writing" and not words:
                    within = next(n.name for n in around(node) if isinstance(n, ast.FunctionDef))
                    unnamed.add((path.stem, within))
    assert {point.what for point in MATRIX if point.moment == "commits"} == transactions
    assert UNNAMED == unnamed


def test_no_point_is_there_twice() -> None:
    keys = [point.key for point in MATRIX]
    assert len(keys) == len(set(keys))
