"""How good predictions are: exact match and tree F1 of decoupled trees. Symbols: n utterances, T words, L frames."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from top import LEAF, NO_SPAN, Node, ParseError, constituents, unflatten

if TYPE_CHECKING:
    from data import Corpus, Split


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the network chose.

    Attributes:
        length: `n`, frames of each answer.
        frames, first, last: `n x L`; what is behind the length does not count, nor spans of frames without one.
    """

    length: np.ndarray
    frames: np.ndarray
    first: np.ndarray
    last: np.ndarray


def exact_matches(predicted: Predictions, truth: Split, leaves: np.ndarray) -> np.ndarray:
    """Return `n` bools: all frames and all their spans are right. `leaves` says which frames have a span."""
    inside = truth.frames >= 0
    frames_right = (predicted.frames == truth.frames) | ~inside
    spanless = ~leaves[np.maximum(truth.frames, 0)] | ~inside
    spans_right = ((predicted.first == truth.first) & (predicted.last == truth.last)) | spanless
    return (predicted.length == inside.sum(axis=1)) & (frames_right & spans_right).all(axis=1)


def exact_match(predicted: Predictions, truth: Split, leaves: np.ndarray) -> float:
    """Return the share of exact matches among all utterances of the files; what was too long to read is wrong."""
    return float(exact_matches(predicted, truth, leaves).sum()) / truth.total


def tree_f1(predicted: Predictions, truth: Split, corpus: Corpus) -> float:
    """Return F1 over the trees' nodes: a node is right if its label and the words that it covers are.

    Trees are decoupled, and counts are summed over all utterances. A prediction with brackets that do not match has no
    node.
    """
    right = found = wanted = 0
    for at in range(len(truth)):
        length = int((truth.frames[at] >= 0).sum())
        true = Counter(constituents(tree(corpus, truth.frames[at], truth.first[at], truth.last[at], length)))
        wanted += true.total()
        length = int(predicted.length[at])
        try:
            guess = tree(corpus, predicted.frames[at], predicted.first[at], predicted.last[at], length)
        except ParseError:
            continue
        mine = Counter(constituents(guess))
        found += mine.total()
        right += (true & mine).total()
    return 2 * right / (found + wanted) if found + wanted else 0.0


def tree(corpus: Corpus, frames: np.ndarray, first: np.ndarray, last: np.ndarray, length: int) -> Node:
    """Return the tree that a row of numbers means.

    Raises:
        ParseError: If its brackets do not match.
    """
    labels = tuple(corpus.frames[number] for number in frames[:length])
    spans = tuple(
        (int(first[at]), int(last[at])) if label.endswith(LEAF) else NO_SPAN for at, label in enumerate(labels)
    )
    return unflatten(labels, spans)
