"""Reads TOPv2 files into arrays, once: what was read is kept beside them as an .npz file.

TOPv2 has one file for each domain and split, `<domain>_train.tsv` and so on, with the columns domain, utterance and
semantic_parse. Symbols below: n utterances, T words at most, L frames at most.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from top import LEAF, ParseError, flatten, parse

if TYPE_CHECKING:
    from pathlib import Path

PAD = 0
OOV_BUCKETS = 16
FIRST_WORD = 1 + OOV_BUCKETS
NO_FRAME = -1
FORMAT = 1
COLUMNS = ["domain", "utterance", "semantic_parse"]
MIN_COUNT = 2  # a word that is trained on less often is unknown

Row = tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[int, int], ...]]  # words, frames, spans


class DataError(ValueError):
    """Data that cannot be used; the message names the file and says what to do."""


@dataclass(frozen=True, slots=True)
class Split:
    """The utterances of a split.

    Attributes:
        words: `n x T` int32; `PAD` behind the last word.
        frames: `n x L` int16, positions in the list of frames; `NO_FRAME` behind the last.
        first, last: `n x L` int16, the span of a leaf slot; 0 where there is none.
        total: utterances that the files have: those that are too long for the arrays are counted here alone.
    """

    words: np.ndarray
    frames: np.ndarray
    first: np.ndarray
    last: np.ndarray
    total: int

    def __len__(self) -> int:
        """Return n."""
        return len(self.words)


@dataclass(frozen=True, slots=True)
class Corpus:
    """All splits, and what their numbers mean.

    Attributes:
        vocabulary: known words; the first has the number `FIRST_WORD`.
        frames: labels of the decoupled form; leaf slots end in `*`.
        splits: by name.
    """

    vocabulary: tuple[str, ...]
    frames: tuple[str, ...]
    splits: dict[str, Split]

    @property
    def words(self) -> int:
        """How many numbers words have, padding and buckets of unknown words included."""
        return FIRST_WORD + len(self.vocabulary)

    @property
    def leaves(self) -> np.ndarray:
        """For each frame, whether it is a leaf slot and has a span."""
        return np.array([frame.endswith(LEAF) for frame in self.frames])

    def encode(self, utterance: str, max_words: int) -> np.ndarray:
        """Return the numbers of an utterance's words, `1 x max_words` int64."""
        index = {word: number for number, word in enumerate(self.vocabulary, FIRST_WORD)}
        numbers = [index.get(word, bucket(word)) for word in utterance.lower().split()]
        if not 0 < len(numbers) <= max_words:
            raise DataError(f"an utterance has 1 to {max_words} words, and this one has {len(numbers)}")
        return np.array([numbers + [PAD] * (max_words - len(numbers))], dtype=np.int64)


def bucket(word: str) -> int:
    """Return the number of an unknown word: the same for words that end alike, so that an ending still tells."""
    digest = hashlib.sha256(word[-2:].encode()).digest()
    return 1 + digest[0] % OOV_BUCKETS


def load(
    folder: Path,
    max_words: int,
    max_frames: int,
    train_limit: int | None = None,
    eval_limit: int | None = None,
    *,
    needed: tuple[str, ...] = ("train", "eval"),
) -> Corpus:
    """Return the corpus of a folder, from its cache where the files have not changed.

    Args:
        folder: has `*_train.tsv` and `*_eval.tsv`, and maybe `*_test.tsv`.
        max_words: T. Utterances with more are left out of training, and count as errors elsewhere.
        max_frames: L, alike.
        train_limit: train on so many utterances, of all domains alike; words are known from these alone.
        eval_limit: evaluate on so many, alike.
        needed: splits that must be there.

    Raises:
        DataError: If the folder or a split is missing, or a line is not well formed.
    """
    files = {split: sorted(folder.glob(f"*_{split}.tsv")) for split in ("train", "eval", "test")}
    for split in needed:
        if not files[split]:
            raise DataError(
                f"{folder} has no *_{split}.tsv. Put the files of TOPv2 there, name their folder with --data-dir, "
                f"or make some: python generate.py --to {folder}"
            )
    digest = hashlib.sha256(json.dumps([FORMAT, max_words, max_frames, train_limit, eval_limit]).encode())
    for path in (path for group in files.values() for path in group):
        digest.update(path.name.encode() + path.read_bytes())
    cache = folder / f"cache-{digest.hexdigest()[:16]}.npz"
    try:
        return read_cache(cache)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # not there, or cut short
        corpus = build(files, max_words, max_frames, {"train": train_limit, "eval": eval_limit})
        write_cache(cache, corpus)
        return corpus


def build(files: dict[str, list[Path]], max_words: int, max_frames: int, limits: dict[str, int | None]) -> Corpus:
    """Return the corpus of those files; words and frames are those of the utterances that are trained on."""
    parsed = {split: mixed([row for path in paths for row in read(path)]) for split, paths in files.items() if paths}
    parsed = {split: rows[: limits.get(split)] for split, rows in parsed.items()}
    counts = Counter(word for words, _, _ in parsed["train"] for word in words)
    vocabulary = tuple(sorted(word for word, count in counts.items() if count >= MIN_COUNT))
    frames = tuple(sorted({frame for _, row, _ in parsed["train"] for frame in row}))
    corpus = Corpus(vocabulary, frames, {})
    for split, rows in parsed.items():
        corpus.splits[split] = to_arrays(rows, corpus, max_words, max_frames)
        if not len(corpus.splits[split]):
            raise DataError(f"no {split} utterance has at most {max_words} words and {max_frames} frames")
    return corpus


def mixed(rows: list[Row]) -> list[Row]:
    """Return rows in a random order, always the same: the first ones are then of all domains."""
    return [rows[at] for at in np.random.default_rng(0).permutation(len(rows))]


def to_arrays(rows: list[Row], corpus: Corpus, max_words: int, max_frames: int) -> Split:
    """Return rows in numbers; without those that are too long, or have a frame that is not known."""
    word_index = {word: number for number, word in enumerate(corpus.vocabulary, FIRST_WORD)}
    frame_index = {frame: number for number, frame in enumerate(corpus.frames)}
    kept = [
        row
        for row in rows
        if len(row[0]) <= max_words and len(row[1]) <= max_frames and all(frame in frame_index for frame in row[1])
    ]
    words = np.full((len(kept), max_words), PAD, np.int32)
    frames = np.full((len(kept), max_frames), NO_FRAME, np.int16)
    first, last = np.zeros_like(frames), np.zeros_like(frames)
    for at, (tokens, labels, spans) in enumerate(kept):
        words[at, : len(tokens)] = [word_index.get(token, bucket(token)) for token in tokens]
        frames[at, : len(labels)] = [frame_index[label] for label in labels]
        first[at, : len(labels)] = [max(span[0], 0) for span in spans]
        last[at, : len(labels)] = [max(span[1], 0) for span in spans]
    return Split(words, frames, first, last, len(rows))


def read(path: Path) -> list[Row]:
    """Return the words, frames and spans of each line of a TOPv2 file."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no UTF-8 text: {error}") from error
    rows: list[Row] = []
    lines = csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    if next(lines, None) != COLUMNS:
        raise DataError(f"{path}, line 1: expected the columns {', '.join(COLUMNS)}, separated by tabs")
    for line in lines:
        if len(line) != len(COLUMNS):
            raise DataError(f"{path}, line {lines.line_num}: {len(line)} columns instead of {len(COLUMNS)}")
        try:
            words, root = parse(line[2])
            rows.append((tuple(word.lower() for word in words), *flatten(root)))
        except ParseError as error:
            raise DataError(f"{path}, line {lines.line_num}: {error}") from error
    if not rows:
        raise DataError(f"{path} has no utterance")
    return rows


def write_cache(path: Path, corpus: Corpus) -> None:
    """Write a corpus whole or not at all: other trainings may do the same at the same time."""
    arrays = {"vocabulary": np.array(corpus.vocabulary), "frames": np.array(corpus.frames)}
    for name, split in corpus.splits.items():
        arrays[f"{name}.total"] = np.array(split.total)
        for part in ("words", "frames", "first", "last"):
            arrays[f"{name}.{part}"] = getattr(split, part)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            np.savez(file, **arrays)
        os.replace(file.name, path)  # noqa: PTH105  (the name is a string)
    except OSError:
        return  # a folder that cannot be written to costs time, no more


def read_cache(path: Path) -> Corpus:
    """Return what `write_cache` wrote."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = [key.removesuffix(".total") for key in arrays.files if key.endswith(".total")]
        parts = ("words", "frames", "first", "last")
        return Corpus(
            tuple(arrays["vocabulary"].tolist()),
            tuple(arrays["frames"].tolist()),
            {
                name: Split(*(arrays[f"{name}.{part}"] for part in parts), total=int(arrays[f"{name}.total"]))
                for name in names
            },
        )
