"""Trains a semantic parser for a phone, and prints how well it parses held-out utterances.

Plain PyTorch, settings as flags, one JSON line an epoch, the result as the last line. The defaults of the flags are the
production model.

    python train.py --encoder hybrid --encoder-layers 1 --encoder-width 64 --learning-rate 0.004
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from data import FIRST_WORD, Corpus, DataError, Split, load
from metrics import Predictions, exact_match, tree_f1
from model import HIDDEN, ModelConfig, Output, Parser
from options import add_data_flags, add_network_flags, add_training_flags, check, model_config

if TYPE_CHECKING:
    from collections.abc import Iterator

EVAL_BATCH = 256
BUCKET = 32  # batches are cut from this many at a time, sorted by length


class DivergedError(RuntimeError):
    """The loss is no number any more."""


def batches(words: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the rows of an epoch's batches in random order; utterances of a batch are about as long as each other."""
    lengths = (words != 0).sum(axis=1)
    order = rng.permutation(len(words))
    cut = []
    for start in range(0, len(order), size * BUCKET):
        part = order[start : start + size * BUCKET]
        part = part[np.argsort(lengths[part], kind="stable")]
        cut += [part[at : at + size] for at in range(0, len(part), size)]
    yield from (cut[at] for at in rng.permutation(len(cut)))


def tensors(split: Split, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return words `B x T`, frames, first and last `B x L` int64, with as many columns as the longest needs."""
    words, frames = split.words[rows], split.frames[rows]
    longest, most = int((words != 0).sum(axis=1).max()), int((frames >= 0).sum(axis=1).max())
    parts = words[:, :longest], frames[:, :most], split.first[rows, :most], split.last[rows, :most]
    first_four = [torch.from_numpy(part.astype(np.int64)) for part in parts]
    return first_four[0], first_four[1], first_four[2], first_four[3]


def smoothed(logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Return the mean cross-entropy, `N x C` against `N`; hidden classes get nothing of what is smoothed."""
    logs = functional.log_softmax(logits, dim=1)
    loss = -logs.gather(1, target[:, None]).squeeze(1)
    if smoothing:
        open_ = (logits > HIDDEN / 2).to(logs.dtype)
        spread = -(logs * open_).sum(dim=1) / open_.sum(dim=1)
        loss = (1 - smoothing) * loss + smoothing * spread
    return loss.mean()


def loss_of(
    output: Output, target: tuple[Tensor, Tensor, Tensor], leaves: Tensor, options: argparse.Namespace
) -> Tensor:
    """Return the loss of frames, pointers of leaf slots, and length."""
    frames, first, last = target
    inside = frames >= 0
    leaf = inside & leaves[frames.clamp(min=0)]
    smoothing = options.label_smoothing
    total = smoothed(output.frames[inside], frames[inside], smoothing)
    total = total + options.length_weight * smoothed(output.length, inside.sum(dim=1) - 1, smoothing)
    if leaf.any():
        total = total + smoothed(output.first[leaf], first[leaf], smoothing)
        total = total + smoothed(output.last[leaf], last[leaf], smoothing)
    return total


def predict(network: Parser, split: Split) -> Predictions:
    """Return what the network writes for each utterance of a split."""
    lengths = (split.words != 0).sum(axis=1)
    order = np.argsort(lengths, kind="stable")
    frames = np.zeros(split.frames.shape, np.int64)
    predicted = Predictions(np.zeros(len(split), np.int64), frames, np.zeros_like(frames), np.zeros_like(frames))
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(order), EVAL_BATCH):
            rows = order[start : start + EVAL_BATCH]
            output = network(tensors(split, rows)[0])
            predicted.length[rows] = output.length.argmax(dim=1).numpy() + 1
            predicted.frames[rows] = output.frames.argmax(dim=2).numpy()
            first = output.first.argmax(dim=2)
            before = torch.arange(output.last.shape[2]) < first[:, :, None]
            predicted.first[rows] = first.numpy()
            predicted.last[rows] = output.last.masked_fill(before, 2 * HIDDEN).argmax(dim=2).numpy()
    return predicted


def rate_at(step: int, steps: int, warmup: float, schedule: str) -> float:
    """Return the learning rate of a step as a share of the highest."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}[schedule]


def optimizer_of(network: nn.Module, options: argparse.Namespace) -> torch.optim.AdamW:
    """Return AdamW, whose weight decay spares biases, norms and positions."""
    matrices = [
        weight for name, weight in network.named_parameters() if weight.dim() > 1 and name not in ("mask", "word_place")
    ]
    chosen = {id(weight) for weight in matrices}
    others = [weight for weight in network.parameters() if id(weight) not in chosen]
    groups = [{"params": matrices, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.98), fused=True)


class Trainer:
    """A training: the network, its optimiser, and everything random in it."""

    def __init__(self, corpus: Corpus, options: argparse.Namespace) -> None:
        """Make the network with random weights by the seed."""
        torch.manual_seed(options.seed)
        self.options = options
        self.rng = np.random.default_rng(options.seed)
        self.config = model_config(options, corpus)
        self.network = Parser(self.config)
        self.leaves = torch.from_numpy(corpus.leaves)
        self.train = corpus.splits["train"]
        self.steps = options.epochs * math.ceil(len(self.train) / options.batch_size)
        self.optimizer = optimizer_of(self.network, options)
        self.step = 0

    def epoch(self) -> float:
        """Train for one epoch and return the mean loss.

        Raises:
            DivergedError: If a loss is not finite.
        """
        self.network.train()
        losses = []
        for rows in batches(self.train.words, self.options.batch_size, self.rng):
            words, *target = tensors(self.train, rows)
            output = self.network(self.dropped(words), (target[0] >= 0).sum(dim=1))
            loss = loss_of(output, tuple(target), self.leaves, self.options)
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise DivergedError(
                    "the loss is no number any more; a lower --learning-rate or a longer --warmup may help"
                )
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), self.options.clip)
            self.advance()
        return sum(losses) / len(losses)

    def advance(self) -> None:
        """Take a step, as long as the schedule says."""
        share = rate_at(self.step, self.steps, self.options.warmup, self.options.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * share
        self.optimizer.step()
        self.step += 1

    def dropped(self, words: Tensor) -> Tensor:
        """Return words of which some are made unknown."""
        if not self.options.word_dropout:
            return words
        chosen = (torch.rand(words.shape) < self.options.word_dropout) & (words != 0)
        return torch.where(chosen, torch.randint(1, FIRST_WORD, words.shape), words)


def train(corpus: Corpus, options: argparse.Namespace) -> tuple[Parser, dict[str, float]]:
    """Train, print a line an epoch, and return the best epoch's network and its result."""
    trainer = Trainer(corpus, options)
    held_out = corpus.splits["eval"]
    best, best_epoch, weights = -1.0, 0, {}
    epoch = 0
    for epoch in range(1, options.epochs + 1):
        loss = trainer.epoch()
        accuracy = exact_match(predict(trainer.network, held_out), held_out, corpus.leaves)
        print(json.dumps({"epoch": epoch, "train_loss": round(loss, 4), "accuracy": round(accuracy, 5)}), flush=True)
        if accuracy > best:
            best, best_epoch = accuracy, epoch
            weights = {name: value.clone() for name, value in trainer.network.state_dict().items()}
        if options.patience and epoch - best_epoch >= options.patience:
            break
    trainer.network.load_state_dict(weights)
    result = {
        "accuracy": round(best, 5),
        "tree_f1": round(tree_f1(predict(trainer.network, held_out), held_out, corpus), 5),
    }
    if options.test:
        test = corpus.splits["test"]
        predicted = predict(trainer.network, test)
        result["test_accuracy"] = round(exact_match(predicted, test, corpus.leaves), 5)
        result["test_tree_f1"] = round(tree_f1(predicted, test, corpus), 5)
    result["params"] = sum(weight.numel() for weight in trainer.network.parameters())
    result["best_epoch"], result["epochs"] = best_epoch, epoch
    return trainer.network, result


def save(path: Path, network: Parser, corpus: Corpus) -> None:
    """Write a checkpoint: weights, shape, words and frames."""
    state = {"weights": network.state_dict(), "config": asdict(network.config)}
    state |= {"vocabulary": list(corpus.vocabulary), "frames": list(corpus.frames)}
    torch.save(state, path)


def restore(path: Path) -> tuple[Parser, Corpus]:
    """Return the network of a checkpoint, and its words and frames.

    Raises:
        DataError: If the file is no checkpoint.
    """
    try:
        state = torch.load(path, weights_only=True)
        network = Parser(ModelConfig(**state["config"]))
        network.load_state_dict(state["weights"])
        return network, Corpus(tuple(state["vocabulary"]), tuple(state["frames"]), {})
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # torch raises what it likes for a file that is something else
        raise DataError(f"{path} is no checkpoint of train.py: {error}") from error


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n    python")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_data_flags(parser)
    add_network_flags(parser)
    add_training_flags(parser)
    group = parser.add_argument_group("results")
    group.add_argument("--checkpoint", type=Path, metavar="FILE", help="write the best epoch's network there")
    group.add_argument("--test", action="store_true", help="parse the test files too, once, at the end")
    options = parser.parse_args(arguments)
    check(parser, options)
    return options


def main() -> None:
    """Train as the command line says; 1 if it diverges, 2 if the data cannot be used."""
    options = parse_options()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    splits = ("train", "eval", "test") if options.test else ("train", "eval")
    try:
        sizes = (options.max_words, options.max_frames, options.train_limit, options.eval_limit)
        corpus = load(options.data_dir, *sizes, needed=splits)
        if options.checkpoint:
            options.checkpoint.parent.mkdir(parents=True, exist_ok=True)  # rather now than after the training
        network, result = train(corpus, options)
        if options.checkpoint:
            save(options.checkpoint, network, corpus)
    except DivergedError as error:
        sys.exit(f"train.py: {error}")
    except (DataError, OSError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        sys.exit(2)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
