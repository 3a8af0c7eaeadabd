"""Semantic parses in the format of TOP and TOPv2, their decoupled form, and the flat form that the network writes.

A semantic parse is an utterance with brackets: `[IN:CREATE_ALARM wake me [SL:DATE_TIME at 7 am ] ]`. Its decoupled form
drops the words that are in no leaf slot. A leaf slot's words are a span of the utterance, so two positions say it:

    frames    IN:CREATE_ALARM  SL:DATE_TIME*  ]
    spans                      2 to 4

A frame that ends in `*` is a leaf slot and has a span (first and last word, both included). `]` closes the intent or
the slot that was opened last. That is the span pointer form of "Span Pointer Networks for Non-Autoregressive
Task-Oriented Semantic Parsing" (Shrivastava et al., 2021), section 3, with a leaf's label and its two pointers in one
position.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CLOSE = "]"
LEAF = "*"
NO_SPAN = (-1, -1)

Flat = tuple[tuple[str, ...], tuple[tuple[int, int], ...]]


class ParseError(ValueError):
    """A semantic parse that is not well formed."""


@dataclass(frozen=True, slots=True)
class Node:
    """An intent or a slot: what is inside it, and which words of the utterance it covers.

    Attributes:
        label: `IN:...` or `SL:...`.
        children: words (as positions in the utterance) and nodes, in order.
    """

    label: str
    children: tuple[int | Node, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The intents or slots right inside."""
        return tuple(child for child in self.children if isinstance(child, Node))


@dataclass(slots=True)
class _Open:
    label: str
    children: list[int | Node] = field(default_factory=list)


def parse(text: str) -> tuple[tuple[str, ...], Node]:
    """Return the words of a semantic parse, and its tree.

    Raises:
        ParseError: If a bracket is missing, there is more than one tree, or a label is neither an intent nor a slot.
    """
    words: list[str] = []
    stack = [_Open("")]
    for token in text.split():
        if token.startswith("["):
            if not token.startswith(("[IN:", "[SL:")):
                raise ParseError(f"{token!r} opens neither an intent ([IN:...) nor a slot ([SL:...)")
            stack.append(_Open(token[1:]))
        elif token == CLOSE:
            done = stack.pop()
            if not stack:
                raise ParseError("a bracket is closed that was never opened")
            stack[-1].children.append(Node(done.label, tuple(done.children)))
        else:
            stack[-1].children.append(len(words))
            words.append(token)
    if len(stack) > 1:
        raise ParseError(f"[{stack[-1].label} is never closed")
    if len(stack[0].children) != 1 or not isinstance(stack[0].children[0], Node):
        raise ParseError("a semantic parse is one intent with all the words inside it")
    return tuple(words), stack[0].children[0]


def flatten(root: Node) -> Flat:
    """Return a tree's decoupled form as frames, and a span of words for each (`NO_SPAN` where it has none).

    Raises:
        ParseError: If a leaf slot is empty.
    """
    frames: list[str] = []
    spans: list[tuple[int, int]] = []

    def visit(node: Node) -> None:
        leaf = node.label.startswith("SL:") and not node.nodes
        if leaf and not node.children:
            raise ParseError(f"[{node.label} ] holds no word")
        frames.append(node.label + LEAF if leaf else node.label)
        words = [child for child in node.children if isinstance(child, int)]
        spans.append((words[0], words[-1]) if leaf else NO_SPAN)
        if not leaf:
            for child in node.nodes:
                visit(child)
            frames.append(CLOSE)
            spans.append(NO_SPAN)

    visit(root)
    return tuple(frames), tuple(spans)


def unflatten(frames: tuple[str, ...], spans: tuple[tuple[int, int], ...]) -> Node:
    """Return the decoupled tree that frames and spans write.

    Raises:
        ParseError: If the brackets do not match, as a network may predict it.
    """
    stack = [_Open("")]
    for frame, (first, last) in zip(frames, spans, strict=True):
        if len(stack) == 1 and stack[0].children:
            raise ParseError("the tree goes on behind its end")
        if frame == CLOSE:
            done = stack.pop()
            if not stack:
                raise ParseError("a bracket is closed that was never opened")
            stack[-1].children.append(Node(done.label, tuple(done.children)))
        elif frame.endswith(LEAF):
            stack[-1].children.append(Node(frame.removesuffix(LEAF), tuple(range(first, last + 1))))
        else:
            stack.append(_Open(frame))
    if len(stack) > 1 or len(stack[0].children) != 1:
        raise ParseError("the tree has no end")
    root = stack[0].children[0]
    assert isinstance(root, Node)  # noqa: S101  (only nodes are appended above)
    return root


def decoupled(root: Node, words: tuple[str, ...]) -> str:
    """Return a tree's decoupled form in brackets: `[IN:CREATE_ALARM [SL:DATE_TIME at 7 am ] ]`."""
    parts = [f"[{root.label}"]
    leaf = root.label.startswith("SL:") and not root.nodes
    for child in root.children:
        if isinstance(child, Node):
            parts.append(decoupled(child, words))
        elif leaf:
            parts.append(words[child])
    return " ".join([*parts, CLOSE])


def constituents(root: Node) -> list[tuple[str, int, int]]:
    """Return each node of a decoupled tree as its label and the words it covers, first and last (-1 if none)."""
    found: list[tuple[str, int, int]] = []

    def visit(node: Node) -> list[int]:
        inside = [word for child in node.nodes for word in visit(child)]
        if node.label.startswith("SL:") and not node.nodes:
            inside = [child for child in node.children if isinstance(child, int)]
        found.append((node.label, min(inside, default=-1), max(inside, default=-1)))
        return inside

    visit(root)
    return found
