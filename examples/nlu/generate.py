"""Writes training, evaluation and test data in the format of TOPv2, from the grammar in grammar.txt.

For those who have no TOPv2 at hand. The same seed writes the same bytes. Names come from open classes with a long tail,
so that many of those in the held-out files were never trained on; some words have typing errors, and some sentences can
be read in two ways.

    python generate.py --to data
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

GRAMMAR = Path(__file__).with_name("grammar.txt")
DOMAINS = ("alarm", "reminder", "messaging", "weather", "navigation", "timer", "music", "event")
SPLITS = {"train": 32000, "eval": 4000, "test": 4000}
COLUMNS = ("domain", "utterance", "semantic_parse")
MAX_WORDS = 24
LETTERS = "abcdefghijklmnopqrstuvwxyz"

Expand = Callable[[random.Random], str]


class GrammarError(ValueError):
    """A grammar that cannot be read; the message names the rule."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several texts, at random by their weights."""

    texts: tuple[Expand, ...]
    cumulative: tuple[int, ...]

    def __call__(self, rng: random.Random) -> str:
        """Return one of them, expanded."""
        return rng.choices(self.texts, cum_weights=self.cumulative)[0](rng)


class Lexicon:
    """An open class of made-up words, some frequent and most rare."""

    ONSETS = (
        "b",
        "br",
        "c",
        "d",
        "dr",
        "f",
        "g",
        "h",
        "j",
        "k",
        "l",
        "m",
        "n",
        "p",
        "r",
        "s",
        "st",
        "t",
        "tr",
        "v",
        "w",
        "z",
    )
    VOWELS = ("a", "e", "i", "o", "u", "ai", "ee", "oo", "ia")
    CODAS = ("", "", "", "n", "r", "s", "l", "ck", "m", "nd", "th", "x")

    def __init__(self, name: str, size: int) -> None:
        """Make `size` words; the same name always makes the same words."""
        rng = random.Random(f"lexicon {name}")  # noqa: S311
        words: dict[str, None] = {}
        while len(words) < size:
            syllables = rng.choices((1, 2, 3), weights=(1, 6, 3))[0]
            word = "".join(rng.choice(self.ONSETS) + rng.choice(self.VOWELS) for _ in range(syllables))
            words[word + rng.choice(self.CODAS)] = None
        self.words = tuple(words)
        self.cumulative = tuple(accumulate(1.0 / (rank + 8) for rank in range(size)))

    def __call__(self, rng: random.Random) -> str:
        """Return a word; the first are drawn most often (Zipf's law)."""
        return rng.choices(self.words, cum_weights=self.cumulative)[0]


class Grammar:
    """Rules that write semantic parses, read from a text file; its head says how they are written."""

    def __init__(self, text: str) -> None:
        """Read the rules.

        Raises:
            GrammarError: If a rule is not well formed, or refers to one that is not there.
        """
        self.rules: dict[str, Choice] = {}
        self.lexicons: dict[str, Lexicon] = {}
        self.used: set[str] = set()
        joined = re.sub(r"\n[ \t]+", " ", re.sub(r"^#.*$", "", text, flags=re.MULTILINE))
        for line in filter(None, map(str.strip, joined.splitlines())):
            name, equals, body = line.partition(" = ")
            if not equals or name in self.rules:
                raise GrammarError(f"{line[:60]!r} is no rule, or a second one of its name")
            self.rules[name.strip()] = self._choice(f" {body} ")
        if missing := sorted(self.used - self.rules.keys()):
            raise GrammarError(f"there is no rule for <{missing[0]}>")

    def expand(self, name: str, rng: random.Random) -> str:
        """Return a text of a rule, its words and brackets separated by one space each."""
        return " ".join(self.rules[name](rng).split())

    def _choice(self, text: str) -> Choice:
        parts = [re.fullmatch(r"(.*?)(?:\*(\d+))?\s*", part, re.DOTALL) for part in split_choices(text)]
        matched = [part for part in parts if part]
        return Choice(
            tuple(self._sequence(part[1]) for part in matched),
            tuple(accumulate(int(part[2] or 1) for part in matched)),
        )

    def _sequence(self, text: str) -> Expand:
        pieces: list[Expand] = [self._piece(piece) for piece in split_pieces(text)]
        return lambda rng: "".join(piece(rng) for piece in pieces)

    def _piece(self, piece: str) -> Expand:
        if piece.startswith("("):
            return self._choice(piece[1:-1])
        if piece.startswith("<~"):
            return self.lexicons.setdefault(piece[2:-1], Lexicon(piece[2:-1], 600))
        if piece.startswith("<"):
            name = piece[1:-1].removeprefix("!")
            self.used.add(name)
            if piece.startswith("<!"):
                return lambda rng: " ".join(words_of(self.rules[name](rng)))
            return lambda rng: self.rules[name](rng)
        return lambda _: piece


def split_choices(text: str) -> Iterator[str]:
    """Yield what `|` separates, outside of parentheses."""
    depth, start = 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "|" and not depth:
            yield text[start:at]
            start = at + 1
    if depth:
        raise GrammarError(f"a parenthesis does not match: {text.strip()[:60]!r}")
    yield text[start:]


def split_pieces(text: str) -> Iterator[str]:
    """Yield references, parenthesised choices, and the words between them."""
    at = 0
    while at < len(text):
        if text[at] == "(":
            depth, end = 1, at + 1
            while depth:
                depth += (text[end] == "(") - (text[end] == ")")
                end += 1
        elif text[at] == "<":
            end = text.index(">", at) + 1
        else:
            end = min((place for place in (text.find("(", at), text.find("<", at)) if place >= 0), default=len(text))
        yield text[at:end]
        at = end


def words_of(parse: str) -> list[str]:
    """Return the words of a semantic parse, without its brackets."""
    return [piece for piece in parse.split() if piece != "]" and not piece.startswith("[")]


def mistyped(word: str, rng: random.Random) -> str:
    """Return a word with one typing error: two letters swapped, or one left out, doubled or changed."""
    at = rng.randrange(len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    return word[:at] + (word[at] * 2 if kind == 2 else rng.choice(LETTERS)) + word[at + 1 :]


def with_noise(parse: str, rate: float, rng: random.Random) -> str:
    """Return a semantic parse in which each longer word is mistyped with the probability `rate`."""
    tokens = parse.split()
    for at, token in enumerate(tokens):
        if token.isalpha() and len(token) > 3 and rng.random() < rate:
            tokens[at] = mistyped(token, rng)
    return " ".join(tokens)


def examples(grammar: Grammar, count: int, noise: float, rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Yield that many (domain, utterance, semantic parse), each utterance once."""
    seen: set[str] = set()
    while len(seen) < count:
        domain = DOMAINS[rng.randrange(len(DOMAINS))]
        parse = with_noise(grammar.expand(domain, rng), noise, rng)
        words = words_of(parse)
        utterance = " ".join(words)
        if len(words) <= MAX_WORDS and utterance not in seen:
            seen.add(utterance)
            yield domain, utterance, parse


def write(folder: Path, sizes: dict[str, int], seed: int, noise: float) -> None:
    """Write `<domain>_<split>.tsv` for each domain and split, as TOPv2 has them."""
    grammar = Grammar(GRAMMAR.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    for split, size in sizes.items():
        rng = random.Random(f"{seed} {split}")  # noqa: S311
        rows: dict[str, list[tuple[str, str, str]]] = {domain: [] for domain in DOMAINS}
        for row in examples(grammar, size, noise, rng):
            rows[row[0]].append(row)
        for domain, lines in rows.items():
            with (folder / f"{domain}_{split}.tsv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
                writer.writerows([COLUMNS, *lines])


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "--to",
        type=Path,
        default=Path(__file__).with_name("data"),
        help="folder to write to (default: data, beside this file)",
    )
    for split, size in SPLITS.items():
        add(
            f"--{split}", type=int, default=size, metavar="N", help=f"utterances in the {split} files (default: {size})"
        )
    add("--noise", type=float, default=0.015, help="share of the longer words with a typing error (default: 0.015)")
    add("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if min(getattr(options, split) for split in SPLITS) < 1:
        parser.error("--train, --eval and --test must be at least 1")
    if not 0 <= options.noise <= 1:
        parser.error("--noise is a share: from 0 to 1")
    return options


def main() -> None:
    """Write the files and say where; 2 if they cannot be written."""
    options = parse_options()
    sizes = {split: getattr(options, split) for split in SPLITS}
    try:
        write(options.to, sizes, options.seed, options.noise)
    except OSError as error:
        print(f"generate.py: cannot write to {options.to}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    told = ", ".join(f"{size} {split}" for split, size in sizes.items())
    print(f"{options.to}: {told} utterances of {len(DOMAINS)} domains", file=sys.stderr)


if __name__ == "__main__":
    main()
