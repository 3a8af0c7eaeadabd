"""The flags of train.py and export.py. Their defaults are the production model: what ships today."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from model import ModelConfig

if TYPE_CHECKING:
    import argparse

    from data import Corpus

HERE = Path(__file__).parent


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say what is read."""
    group = parser.add_argument_group("data")
    add = group.add_argument
    add(
        "--data-dir",
        type=Path,
        default=HERE / "data",
        metavar="DIR",
        help="*_train.tsv and *_eval.tsv as TOPv2 has them (default: data, beside this file)",
    )
    add(
        "--max-words",
        type=int,
        default=32,
        metavar="N",
        help="longer utterances are not trained on, and count as errors",
    )
    add(
        "--max-frames",
        type=int,
        default=16,
        metavar="N",
        help="the same for answers: intents, slots and closing brackets",
    )
    add("--train-limit", type=int, metavar="N", help="train on so many utterances, and know their words (default: all)")


def add_network_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that decide the network: all that its latency depends on."""
    group = parser.add_argument_group("network")
    add = group.add_argument
    add("--embedding-width", type=int, default=96, metavar="N", help="channels of a word")
    add(
        "--encoder",
        choices=["attention", "convolution", "hybrid"],
        default="hybrid",
        help="what mixes the words; hybrid: both in each layer",
    )
    add("--encoder-layers", type=int, default=2, metavar="N")
    add("--encoder-width", type=int, default=96, metavar="N", help="channels; a multiple of --encoder-heads")
    add("--encoder-feedforward", type=int, default=256, metavar="N", help="channels inside its feed-forward parts")
    add("--encoder-heads", type=int, default=4, metavar="N", help="used by attention and hybrid")
    add(
        "--encoder-kernel",
        type=int,
        default=5,
        metavar="N",
        help="words that a convolution sees, odd; used by convolution and hybrid",
    )
    add("--decoder-layers", type=int, default=2, metavar="N")
    add("--decoder-width", type=int, default=96, metavar="N", help="channels; a multiple of --decoder-heads")
    add("--decoder-feedforward", type=int, default=192, metavar="N", help="channels inside its feed-forward parts")
    add("--decoder-heads", type=int, default=4, metavar="N", help="of the attention to the words, and among the frames")
    add("--decoder-mixing", choices=["attention", "convolution"], default="attention", help="what mixes the frames")
    add(
        "--decoder-kernel",
        type=int,
        default=3,
        metavar="N",
        help="frames that a convolution sees, odd; used by --decoder-mixing convolution",
    )
    add("--activation", choices=["relu", "gelu", "silu"], default="relu")
    add(
        "--share-layers",
        choices=["off", "on"],
        default="off",
        help="on: all layers of the encoder have the same weights, and all of the decoder",
    )
    add("--pointer-width", type=int, default=64, metavar="N", help="channels in which frames and words are compared")
    add("--length-width", type=int, default=64, metavar="N", help="channels inside the length module")


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that decide the training."""
    group = parser.add_argument_group("training")
    add = group.add_argument
    add("--dropout", type=float, default=0.1, metavar="P", help="behind the embeddings and each part of a layer")
    add(
        "--word-dropout",
        type=float,
        default=0.05,
        metavar="P",
        help="share of the words that are made unknown in training",
    )
    add("--label-smoothing", type=float, default=0.1, metavar="P", help="of the three losses")
    add("--learning-rate", type=float, default=0.003, metavar="LR", help="of AdamW, at its highest")
    add("--warmup", type=float, default=0.1, metavar="P", help="share of the steps in which the learning rate rises")
    add("--weight-decay", type=float, default=0.01, metavar="W")
    add("--batch-size", type=int, default=32, metavar="N")
    add(
        "--schedule",
        choices=["cosine", "linear", "constant"],
        default="cosine",
        help="how the learning rate falls after the warm-up",
    )
    add("--length-weight", type=float, default=0.5, metavar="W", help="of the length module's loss")
    add("--clip", type=float, default=1.0, metavar="NORM", help="longest gradient")
    add("--epochs", type=int, default=30, metavar="N")
    add("--patience", type=int, default=5, metavar="N", help="stop after so many epochs without a better one; 0: never")
    add("--eval-limit", type=int, metavar="N", help="evaluate on so many utterances (default: all)")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1, metavar="N", help="of PyTorch")


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with a message about the first flag whose value makes no sense."""
    values = {f"--{name.replace('_', '-')}": value for name, value in vars(options).items()}
    for flag, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            parser.error(f"{flag} is a number, not {value}")
        if flag in ("--seed", "--patience"):
            if value < 0:
                parser.error(f"{flag} is 0 or more, not {value}")
        elif isinstance(value, int) and not isinstance(value, bool) and value < 1:
            parser.error(f"{flag} is at least 1, not {value}")
    for flag in ("--dropout", "--word-dropout", "--label-smoothing", "--warmup"):
        if not 0 <= values.get(flag, 0) < 1:
            parser.error(f"{flag} is a share from 0 to less than 1, not {values[flag]}")
    for flag in ("--learning-rate", "--clip"):
        if values.get(flag, 1) <= 0:
            parser.error(f"{flag} is more than 0, not {values[flag]}")
    for flag in ("--weight-decay", "--length-weight"):
        if values.get(flag, 0) < 0:
            parser.error(f"{flag} is 0 or more, not {values[flag]}")
    check_network(parser, options)


def check_network(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with a message if heads do not divide widths or kernels are even, where the network has them."""
    if options.encoder != "convolution" and options.encoder_width % options.encoder_heads:
        parser.error(
            f"--encoder-width {options.encoder_width} is no multiple of --encoder-heads {options.encoder_heads}"
        )
    if options.encoder != "attention" and options.encoder_kernel % 2 == 0:
        parser.error(f"--encoder-kernel is odd, not {options.encoder_kernel}")
    if options.decoder_width % options.decoder_heads:
        parser.error(
            f"--decoder-width {options.decoder_width} is no multiple of --decoder-heads {options.decoder_heads}"
        )
    if options.decoder_mixing == "convolution" and options.decoder_kernel % 2 == 0:
        parser.error(f"--decoder-kernel is odd, not {options.decoder_kernel}")


def model_config(options: argparse.Namespace, corpus: Corpus) -> ModelConfig:
    """Return the network's shape, for the words and frames of a corpus."""
    settings = {
        field.name: getattr(options, field.name) for field in fields(ModelConfig) if hasattr(options, field.name)
    }
    settings |= {"words": corpus.words, "frames": len(corpus.frames), "share_layers": options.share_layers == "on"}
    return ModelConfig(**{"dropout": 0.0, **settings})
