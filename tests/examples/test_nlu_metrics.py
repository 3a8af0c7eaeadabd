"""Exact match and tree F1, against cases counted by hand."""

import numpy as np
import pytest

# 0 IN:A, 1 SL:B, 2 SL:B*, 3 SL:C*, 4 ]
FRAMES = ("IN:A", "SL:B", "SL:B*", "SL:C*", "]")
TRUTH = [0, 2, 3, 4, -1]  # [IN:A [SL:B 0 1 ] [SL:C 3 3 ] ]


@pytest.fixture
def corpus(nlu):
    return nlu.data.Corpus((), FRAMES, {})


def split(nlu, rows, total=None):
    frames, first, last = (np.array([row[part] for row in rows]) for part in range(3))
    return nlu.data.Split(np.ones((len(rows), 6), int), frames, first, last, total or len(rows))


def predictions(nlu, rows):
    frames, first, last, length = (np.array([row[part] for row in rows]) for part in range(4))
    return nlu.metrics.Predictions(length, frames, first, last)


RIGHT = ([0, 2, 3, 4, 1], [5, 0, 3, 5, 5], [5, 1, 3, 5, 5], 4)  # what does not count is wrong
WRONG_LENGTH = (*RIGHT[:3], 5)
WRONG_LABEL = ([0, 3, 3, 4, 0], *RIGHT[1:])
WRONG_START = (RIGHT[0], [0, 1, 3, 0, 0], *RIGHT[2:])
WRONG_END = (*RIGHT[:2], [0, 1, 4, 0, 0], 4)
NO_TREE = ([0, 2, 3, 3, 0], *RIGHT[1:])


@pytest.mark.parametrize(
    ("row", "right"),
    [(RIGHT, 1), (WRONG_LENGTH, 0), (WRONG_LABEL, 0), (WRONG_START, 0), (WRONG_END, 0), (NO_TREE, 0)],
)
def test_exact_match_wants_length_labels_and_spans(nlu, corpus, row, right):
    truth = split(nlu, [(TRUTH, [0, 0, 3, 0, 0], [0, 1, 3, 0, 0])])
    assert nlu.metrics.exact_match(predictions(nlu, [row]), truth, corpus.leaves) == right


def test_what_could_not_be_read_counts_as_wrong(nlu, corpus):
    truth = split(nlu, [(TRUTH, [0, 0, 3, 0, 0], [0, 1, 3, 0, 0])] * 3, total=4)
    assert nlu.metrics.exact_match(predictions(nlu, [RIGHT, RIGHT, WRONG_END]), truth, corpus.leaves) == 0.5


@pytest.mark.parametrize(
    ("row", "f1"),
    [
        (RIGHT, 1.0),
        (WRONG_END, 1 / 3),  # SL:B is right; SL:C is not, nor IN:A, which covers what they cover
        (WRONG_START, 1 / 3),
        (WRONG_LABEL, 2 / 3),  # IN:A, and one of two SL:C
        (NO_TREE, 0.0),
        (([0, 3, 4, 0, 0], [0, 3, 0, 0, 0], [0, 3, 0, 0, 0], 3), 2 * 1 / (2 + 3)),
    ],
)
def test_tree_f1_counts_labels_with_their_words(nlu, corpus, row, f1):
    truth = split(nlu, [(TRUTH, [0, 0, 3, 0, 0], [0, 1, 3, 0, 0])])
    assert nlu.metrics.tree_f1(predictions(nlu, [row]), truth, corpus) == pytest.approx(f1)


def test_tree_f1_sums_over_utterances(nlu, corpus):
    truth = split(nlu, [(TRUTH, [0, 0, 3, 0, 0], [0, 1, 3, 0, 0])] * 2)
    assert nlu.metrics.tree_f1(predictions(nlu, [RIGHT, WRONG_END]), truth, corpus) == pytest.approx(4 / 6)
    assert nlu.metrics.tree_f1(predictions(nlu, [RIGHT, NO_TREE]), truth, corpus) == pytest.approx(2 * 3 / (3 + 6))
