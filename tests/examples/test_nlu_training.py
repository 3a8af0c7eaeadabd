"""The parser trains by itself, prints its progress, and what is exported is what was trained."""

import argparse
import json
import os
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch

SMALL = [
    *("--embedding-width=16", "--encoder-layers=1", "--encoder-width=16", "--encoder-feedforward=16"),
    *("--decoder-layers=1", "--decoder-width=16", "--decoder-feedforward=16", "--pointer-width=8", "--length-width=8"),
]
KINDS = [
    [],
    ["--encoder=convolution", "--encoder-kernel=3", "--encoder-layers=2", "--activation=gelu"],
    [
        "--encoder=hybrid",
        "--decoder-mixing=convolution",
        "--decoder-layers=2",
        "--share-layers=on",
        "--activation=silu",
    ],
]

# Runs a script of the example where hwnas cannot be imported.
WITHOUT_HWNAS = """
import runpy, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "hwnas":
            raise ImportError("hwnas is blocked")
sys.meta_path.insert(0, Block())
folder, script, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = script
sys.path.insert(0, folder)
try:
    runpy.run_path(f"{folder}/{script}", run_name="__main__")
finally:
    assert not [name for name in sys.modules if name.partition(".")[0] == "hwnas"]
"""


def run(nlu, script, *arguments):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-I", "-c", WITHOUT_HWNAS, str(nlu.folder), script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


def network(nlu, corpus, flags):
    options = nlu.train.parse_options([*SMALL, *flags])
    torch.manual_seed(0)
    return nlu.model.Parser(nlu.options.model_config(options, corpus)).eval()


def test_a_training_without_hwnas_prints_a_line_an_epoch_and_its_result(nlu, small_data, tmp_path):
    checkpoint = tmp_path / "best.pt"
    done = run(nlu, "train.py", *SMALL, "--data-dir", small_data, "--epochs", 2, "--test", "--checkpoint", checkpoint)
    assert (done.returncode, done.stderr) == (0, "")
    *epochs, last = map(json.loads, done.stdout.splitlines())
    assert [line["epoch"] for line in epochs] == [1, 2]
    assert all({"epoch", "train_loss", "accuracy"} == line.keys() for line in epochs)
    assert last["accuracy"] == max(line["accuracy"] for line in epochs)
    assert {"tree_f1", "test_accuracy", "test_tree_f1", "params", "best_epoch", "epochs"} < last.keys()
    assert 0 <= last["accuracy"] <= last["tree_f1"] <= 1
    exported = run(
        nlu, "export.py", "--data-dir", small_data, "--to", tmp_path / "net.onnx", "--checkpoint", checkpoint
    )
    assert (exported.returncode, exported.stderr) == (0, "")
    assert (tmp_path / "net.onnx").stat().st_size > 4 * last["params"] * 0.9


def test_a_training_learns_and_depends_on_its_seed_alone(nlu, corpus, capsys):
    results, lines = [], []
    flags = ["--learning-rate=0.01", "--batch-size=8", "--epochs=3", "--patience=0", "--encoder=hybrid"]
    for seed in "112":
        options = nlu.train.parse_options([*SMALL, *flags, "--seed", seed])
        results.append(nlu.train.train(corpus, options)[1])
        lines.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert (results[0], lines[0]) == (results[1], lines[1])
    assert lines[0] != lines[2]
    assert lines[0][-1]["train_loss"] < 0.8 * lines[0][0]["train_loss"]
    assert results[0]["tree_f1"] > 0.03


def test_it_stops_early_and_keeps_the_best_epoch(nlu, corpus, capsys, monkeypatch):
    scores = iter([0.1, 0.3, 0.2, 0.3, 0.2])
    monkeypatch.setattr(nlu.train, "exact_match", lambda *_: next(scores))
    options = nlu.train.parse_options([*SMALL, "--epochs=9", "--patience=2", "--batch-size=256"])
    _, result = nlu.train.train(corpus, options)
    assert (result["accuracy"], result["best_epoch"], result["epochs"]) == (0.3, 2, 4)
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_training_that_diverges_says_so(nlu, small_data):
    done = run(nlu, "train.py", *SMALL, "--data-dir", small_data, "--learning-rate", "1e30", "--clip", "1e30")
    assert done.returncode == 1
    assert "no number any more" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("flags", KINDS)
def test_what_is_exported_is_what_was_trained(nlu, corpus, tmp_path, flags):
    trained = network(nlu, corpus, flags)
    nlu.export.export(trained, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    assert [item.name for item in session.get_inputs()] == ["words"]
    assert [item.name for item in session.get_outputs()] == ["length", "frames", "first", "last"]
    assert session.get_inputs()[0].shape == [1, 32]
    for words in corpus.splits["eval"].words[:8, None].astype(np.int64):
        with torch.inference_mode():
            expected = trained(torch.from_numpy(words))
        for found, wanted in zip(session.run(None, {"words": words}), expected, strict=True):
            np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("flags", KINDS)
def test_padding_changes_nothing(nlu, corpus, flags):
    parser = network(nlu, corpus, flags)
    words = torch.from_numpy(corpus.splits["eval"].words[:16].astype(np.int64))
    longest = int((words != 0).sum(dim=1).max())
    with torch.inference_mode():
        short, long = parser(words[:, :longest]), parser(words)
    torch.testing.assert_close(short.length, long.length, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(short.frames, long.frames, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(short.first, long.first[:, :, :longest], atol=2e-3, rtol=1e-4)


def test_the_network_gets_the_length_in_training_and_chooses_it_on_the_phone(nlu, corpus):
    parser = network(nlu, corpus, [])
    words = torch.from_numpy(corpus.splits["eval"].words[:4].astype(np.int64))
    with torch.inference_mode():
        chosen = parser(words)
        length = chosen.length.argmax(dim=1) + 1
        given = parser(words, length)
    longest = int(length.max())
    assert given.frames.shape[1] == longest
    torch.testing.assert_close(given.frames, chosen.frames[:, :longest], atol=1e-4, rtol=1e-4)


def test_shared_layers_are_one_layer(nlu, corpus):
    flags = ["--encoder-layers=3", "--decoder-layers=2"]
    alone, shared = (network(nlu, corpus, [*flags, f"--share-layers={word}"]) for word in ("off", "on"))
    assert len({id(layer) for layer in shared.encoder}) == len({id(layer) for layer in shared.decoder}) == 1
    assert len(shared.encoder) == len(alone.encoder) == 3
    assert sum(w.numel() for w in shared.parameters()) < sum(w.numel() for w in alone.parameters())


def test_smoothing_leaves_out_what_is_hidden(nlu):
    logits = torch.tensor([[2.0, 1.0, nlu.model.HIDDEN]])
    logs = torch.log_softmax(logits[:, :2], dim=1)[0]
    loss = nlu.train.smoothed(logits, torch.tensor([0]), 0.2)
    torch.testing.assert_close(loss, -(0.8 * logs[0] + 0.2 * logs.mean()))


def test_spans_end_behind_their_start(nlu, corpus):
    parser = network(nlu, corpus, [])
    predicted = nlu.train.predict(parser, corpus.splits["eval"])
    assert (predicted.last >= predicted.first).all()
    assert (predicted.length >= 1).all()


def test_the_rate_rises_and_falls(nlu):
    rates = [nlu.train.rate_at(step, 100, 0.1, "cosine") for step in range(100)]
    assert (max(rates), rates.index(max(rates))) == (1.0, 9)
    assert rates[0] == 0.1
    assert rates[-1] < 0.001
    assert nlu.train.rate_at(55, 100, 0.1, "linear") == 0.5
    assert nlu.train.rate_at(99, 100, 0.1, "constant") == 1.0
    assert nlu.train.rate_at(0, 100, 0.0, "cosine") == 1.0


def test_batches_have_each_utterance_once_and_like_lengths(nlu, corpus):
    words = corpus.splits["train"].words
    cut = list(nlu.train.batches(words, 32, np.random.default_rng(0)))
    assert sorted(np.concatenate(cut)) == list(range(len(words)))
    lengths = (words != 0).sum(axis=1)
    assert np.mean([np.ptp(lengths[rows]) for rows in cut]) < 0.2 * np.ptp(lengths)


def test_a_checkpoint_is_read_back_and_other_files_are_not(nlu, corpus, tmp_path):
    parser = network(nlu, corpus, KINDS[2])
    nlu.train.save(tmp_path / "a.pt", parser, corpus)
    again, known = nlu.train.restore(tmp_path / "a.pt")
    assert (known.vocabulary, known.frames, again.config) == (corpus.vocabulary, corpus.frames, parser.config)
    assert all(torch.equal(one, two) for one, two in zip(again.parameters(), parser.parameters(), strict=True))
    (tmp_path / "b.pt").write_text("no checkpoint")
    for name, words in (("b.pt", "is no checkpoint"), ("c.pt", "cannot be read")):
        with pytest.raises(nlu.data.DataError, match=words):
            nlu.train.restore(tmp_path / name)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--encoder-heads", "3"], "--encoder-width 16 is no multiple of --encoder-heads 3"),
        (["--decoder-heads", "5"], "--decoder-width 16 is no multiple of --decoder-heads 5"),
        (["--encoder", "hybrid", "--encoder-kernel", "4"], "--encoder-kernel is odd"),
        (["--decoder-mixing", "convolution", "--decoder-kernel", "2"], "--decoder-kernel is odd"),
        (["--learning-rate", "0"], "--learning-rate is more than 0"),
        (["--learning-rate", "nan"], "--learning-rate is a number"),
        (["--dropout", "1"], "--dropout is a share"),
        (["--weight-decay", "-1"], "--weight-decay is 0 or more"),
        (["--batch-size", "0"], "--batch-size is at least 1"),
        (["--encoder", "lstm"], "invalid choice: 'lstm'"),
    ],
)
def test_flags_that_make_no_sense_are_refused(nlu, flags, words, capsys):
    with pytest.raises(SystemExit) as refused:
        nlu.train.parse_options([*SMALL, *flags])
    assert refused.value.code == 2
    assert words in capsys.readouterr().err


def test_heads_and_kernels_do_not_matter_where_there_are_none(nlu):
    nlu.train.parse_options([*SMALL, "--encoder", "convolution", "--encoder-heads", "3"])
    nlu.train.parse_options([*SMALL, "--encoder", "attention", "--encoder-kernel", "4", "--decoder-kernel", "2"])


def test_missing_data_is_one_message(nlu, tmp_path):
    for script, flags in (("train.py", []), ("export.py", ["--to", tmp_path / "net.onnx"])):
        done = run(nlu, script, "--data-dir", tmp_path / "none", *flags)
        assert done.returncode == 2
        assert "generate.py --to" in done.stderr
        assert "Traceback" not in done.stderr


def test_help_tells_of_every_flag(nlu):
    parser = argparse.ArgumentParser()
    nlu.options.add_network_flags(parser)
    nlu.options.add_training_flags(parser)
    done = run(nlu, "train.py", "--help")
    assert done.returncode == 0
    assert all(action.option_strings[-1] in done.stdout for action in parser._actions)
    assert "(default: " in done.stdout
