"""A place in a list of tokens, and what every part of the grammar may ask of the others.

The grammar is one recursive descent in two files: tree.py reads statements, sums and products, atoms.py what they are
made of. Node kinds are listed in tree.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from reward_fns.symbolic.tokens import Token, TooHard

Node = tuple[Any, ...]
"""A kind and its parts, as listed in tree.py. The parts are not typed: every kind has its own, a tagged union of
thirty tuples says less than that list, and what the grammar builds is checked by tests/reward_fns/symbolic."""

MAX_DEPTH = 40


class Cursor(ABC):
    """Token access. Every method of the grammar leaves ``at`` after what it read."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.bars = 0

    # token access

    def peek(self, ahead: int = 0) -> Token | None:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else None

    def value(self, ahead: int = 0) -> str:
        token = self.peek(ahead)
        return token[1] if token is not None else ""

    def is_cmd(self, *names: str) -> bool:
        token = self.peek()
        return token is not None and token[0] == "cmd" and token[1] in names

    def is_sign(self, *signs: str) -> bool:
        """Whether the next token is a bare sign such as "+" (and not a command of that name)."""
        token = self.peek()
        return token is not None and token[0] not in ("cmd", "text", "env") and token[1] in signs

    def expect(self, closing: str) -> None:
        if self.value() != closing:
            raise TooHard(f"{closing} missing")
        self.at += 1

    # Defined in tree.py, used in atoms.py as well.

    @abstractmethod
    def sequence(self, closers: tuple[str, ...]) -> Node: ...

    @abstractmethod
    def items(self, closers: tuple[str, ...]) -> list[Node]: ...

    @abstractmethod
    def relation(self, closers: tuple[str, ...]) -> Node: ...

    @abstractmethod
    def joiner(self) -> bool: ...

    @abstractmethod
    def signed(self) -> Node: ...

    @abstractmethod
    def starts_factor(self) -> bool: ...

    @abstractmethod
    def power(self) -> Node: ...

    @abstractmethod
    def postfix(self, node: Node) -> Node: ...

    @abstractmethod
    def script(self) -> Node: ...


def negative(node: Node) -> Node:
    if node[0] == "num":
        return ("num", -node[1])
    if node[0] == "dec":
        return ("dec", -node[1], node[2])
    return ("neg", node)


def times(left: Node, right: Node) -> Node:
    parts = left[1] if left[0] == "mul" else (left,)
    return ("mul", (*parts, right))


def shown(node: Node) -> str:
    return str(node[1]) if node[0] == "num" else ""


def mapped(node: Node, change: Callable[[Node], Node]) -> Node:
    """The tree with ``change`` applied to every node, the lowest first."""
    parts: list[object] = []
    for place, part in enumerate(node):
        if not isinstance(part, tuple) or not part or (node[0] == "rel" and place == 1):
            parts.append(part)
        elif isinstance(part[0], str):
            parts.append(mapped(part, change))
        else:
            parts.append(tuple(_mapped_item(item, change) for item in part))
    return change(tuple(parts))


def _mapped_item(item: object, change: Callable[[Node], Node]) -> object:
    """An item of a collection: a node, or a row of nodes."""
    if not isinstance(item, tuple) or not item:
        return item
    return mapped(item, change) if isinstance(item[0], str) else tuple(_mapped_item(cell, change) for cell in item)
