"""Writes the network that runs on the phone: an ONNX file that parses one utterance.

Input `words`, `1 x T` int64: the words' numbers, 0 behind the last one. Outputs, for L frames at most: `length`,
`1 x L`; `frames`, `1 x L x labels`; `first` and `last`, `1 x L x T`, the pointers. The length is chosen inside the
network.

    python export.py --to net.onnx --encoder-layers 1         # random weights, to be measured before training
    python export.py --to net.onnx --checkpoint best.pt       # a trained one; its shape is in the checkpoint
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from pathlib import Path

import torch

from data import DataError, load
from model import Output, Parser
from options import add_data_flags, add_network_flags, check, model_config
from train import restore

OPSET = 17


def export(network: Parser, path: Path) -> None:
    """Write a network for one utterance."""
    network.eval()
    words = torch.zeros(1, network.config.max_words, dtype=torch.int64)
    words[0, : network.config.max_words // 2] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the exporter that takes a tenth of the time says that it is the old one
        torch.onnx.export(
            network, (words,), str(path), input_names=["words"], output_names=list(Output._fields),
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="the ONNX file")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="what train.py wrote; without it, weights are random"
    )
    parser.add_argument("--seed", type=int, default=0, help="of random weights")
    add_data_flags(parser)
    add_network_flags(parser)
    options = parser.parse_args(arguments)
    check(parser, options)
    return options


def main() -> None:
    """Export as the command line says; 2 if a file cannot be used or written."""
    options = parse_options()
    torch.manual_seed(options.seed)
    try:
        if options.checkpoint:
            network, _ = restore(options.checkpoint)
        else:
            network = Parser(
                model_config(
                    options, load(options.data_dir, options.max_words, options.max_frames, options.train_limit)
                )
            )
        export(network, options.to)
    except (DataError, OSError) as error:
        print(f"export.py: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
