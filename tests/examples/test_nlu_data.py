"""The generator writes TOPv2's files, and they are read into arrays, once."""

import csv
import random
import re
import shutil

import numpy as np
import pytest

HEAD = "domain\tutterance\tsemantic_parse\n"
LINES = [
    "alarm\twake me at 7\t[IN:CREATE_ALARM wake me [SL:DATE_TIME at 7 ] ]",
    "alarm\tWake me at 8\t[IN:CREATE_ALARM Wake me [SL:DATE_TIME at 8 ] ]",
]


def put(folder, train=LINES, held_out=LINES):
    for split, lines in (("train", train), ("eval", held_out)):
        (folder / f"alarm_{split}.tsv").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tsv"))}


def test_the_same_seed_writes_the_same_bytes(nlu, tmp_path):
    sizes = {"train": 50, "eval": 20, "test": 10}
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        nlu.generate.write(tmp_path / name, sizes, seed, noise=0.05)
    one, two, other = (contents(tmp_path / name) for name in "abc")
    assert one == two
    assert one != other
    assert set(one) == {f"{domain}_{split}.tsv" for domain in nlu.generate.DOMAINS for split in sizes}


def test_its_files_are_like_topv2s(nlu, small_data):
    seen = []
    for path in sorted(small_data.glob("*_train.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            head, *rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        assert head == ["domain", "utterance", "semantic_parse"]
        for domain, utterance, parse in rows:
            assert path.name.startswith(f"{domain}_")
            assert " ".join(nlu.top.parse(parse)[0]) == utterance
            assert len(utterance.split()) <= 24
            seen.append(utterance)
    assert len(seen) == len(set(seen)) == 400


def test_every_rule_can_be_reached_and_every_domain_nests(nlu):
    grammar = nlu.generate.Grammar(nlu.generate.GRAMMAR.read_text(encoding="utf-8"))
    assert grammar.rules.keys() - grammar.used == set(nlu.generate.DOMAINS) - grammar.used
    rng = random.Random(0)
    for domain in set(nlu.generate.DOMAINS) - {"timer"}:
        assert any("[SL:" in text and re.search(r"\[SL:\w+ \[IN:", text) for text in
                   (grammar.expand(domain, rng) for _ in range(800))), domain  # fmt: skip


def test_a_grammars_weights_choices_and_words_without_brackets(nlu):
    grammar = nlu.generate.Grammar(
        "# a comment\nt = [IN:A <a> ] (x|) *3\n  | [IN:B <!u> ]\nu = [IN:C [SL:D hello ] ]\na = <~w>\n"
    )
    rng = random.Random(0)
    found = [grammar.expand("t", rng) for _ in range(400)]
    assert 240 < sum(text.startswith("[IN:A") for text in found) < 360
    assert "[IN:B hello ]" in found
    assert {text.endswith(" x") for text in found if text.startswith("[IN:A")} == {True, False}
    assert len({text.split()[1] for text in found if text.startswith("[IN:A")}) > 60


@pytest.mark.parametrize(
    ("text", "words"), [("a = <b>", "no rule for <b>"), ("a = (b|c", "parenthesis"), ("only words", "is no rule")]
)
def test_a_grammar_that_is_wrong_is_refused(nlu, text, words):
    with pytest.raises(nlu.generate.GrammarError, match=words):
        nlu.generate.Grammar(text)


def test_typing_errors_change_words_and_not_brackets(nlu):
    parse = "[IN:CREATE_ALARM please wake me [SL:DATE_TIME tomorrow at 7 ] ]"
    noisy = nlu.generate.with_noise(parse, 1.0, random.Random(0)).split()
    assert [token for token in noisy if "[" in token or "]" in token] == ["[IN:CREATE_ALARM", "[SL:DATE_TIME", "]", "]"]
    changed = [(old, new) for old, new in zip(parse.split(), noisy, strict=True) if old != new]
    assert {old for old, _ in changed} <= {"please", "wake", "tomorrow"}
    assert changed
    assert nlu.generate.with_noise(parse, 0.0, random.Random(0)) == parse


def test_a_corpus_in_numbers(nlu, tmp_path):
    corpus = nlu.data.load(put(tmp_path), 6, 5)
    assert corpus.vocabulary == ("at", "me", "wake")  # 7 and 8 are there once
    assert corpus.frames == ("IN:CREATE_ALARM", "SL:DATE_TIME*", "]")
    assert corpus.leaves.tolist() == [False, True, False]
    split = corpus.splits["train"]
    assert (len(split), split.total, split.words.shape, split.frames.shape) == (2, 2, (2, 6), (2, 5))
    first = nlu.data.FIRST_WORD
    assert split.words[:, :3].tolist() == [[first + 2, first + 1, first]] * 2
    assert ((split.words[:, 3] >= 1) & (split.words[:, 3] < first)).all()
    assert (split.words[:, 4:] == nlu.data.PAD).all()
    assert split.frames.tolist() == [[0, 1, 2, -1, -1]] * 2
    assert (split.first.tolist(), split.last.tolist()) == ([[0, 2, 0, 0, 0]] * 2, [[0, 3, 0, 0, 0]] * 2)
    numbers = corpus.encode("Wake me at 7", 6)
    assert numbers.tolist() in [row.tolist() for row in split.words[:, None].astype(np.int64)]
    with pytest.raises(nlu.data.DataError, match="1 to 3 words"):
        corpus.encode("wake me at 7", 3)


def test_what_is_too_long_or_unheard_of_counts_and_is_not_read(nlu, tmp_path):
    held_out = [*LINES, "alarm\tstop\t[IN:SILENCE_ALARM stop ]", LINES[0].replace("wake me", "please do wake me now")]
    split = nlu.data.load(put(tmp_path, held_out=held_out), 4, 5).splits["eval"]
    assert (len(split), split.total) == (2, 4)


def test_limits_take_some_of_each_domain_and_know_their_words_alone(nlu, small_data, corpus):
    limited = nlu.data.load(small_data, 32, 16, 100, 20)
    assert [limited.splits[name].total for name in ("train", "eval")] == [100, 20]
    assert len(limited.splits["train"]) == 100
    assert 10 < len(limited.splits["eval"]) <= 20  # some have a frame that those 100 do not
    assert len(limited.vocabulary) < 0.6 * len(corpus.vocabulary)
    intents = {limited.frames[row[0]] for row in limited.splits["train"].frames}
    words = ("ALARM", "REMINDER", "MESSAGE", "WEATHER", "DIRECTIONS", "TIMER", "MUSIC", "EVENT")
    assert all(any(word in intent for intent in intents) for word in words)


def test_the_cache_is_used_until_a_file_changes(nlu, tmp_path, monkeypatch):
    put(tmp_path)
    first = nlu.data.load(tmp_path, 6, 5)
    (cache,) = tmp_path.glob("cache-*.npz")
    with monkeypatch.context() as patch:
        patch.setattr(nlu.data, "build", None)
        again = nlu.data.load(tmp_path, 6, 5)
    assert (again.vocabulary, again.frames) == (first.vocabulary, first.frames)
    for part in ("words", "frames", "first", "last", "total"):
        assert np.array_equal(getattr(again.splits["eval"], part), getattr(first.splits["eval"], part))
    cache.write_bytes(cache.read_bytes()[:100])
    assert nlu.data.load(tmp_path, 6, 5).vocabulary == first.vocabulary
    put(tmp_path, train=[*LINES, *LINES])
    assert "7" in nlu.data.load(tmp_path, 6, 5).vocabulary
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: expected the columns"),
        (HEAD, "has no utterance"),
        (HEAD + "alarm\twake me\n", "line 2: 2 columns instead of 3"),
        (HEAD + LINES[0] + "\n" + LINES[0].removesuffix(" ]") + "\n", "line 3: .*never closed"),
    ],
)
def test_files_that_are_wrong_are_named(nlu, tmp_path, text, words):
    put(tmp_path)
    (tmp_path / "alarm_eval.tsv").write_text(text, encoding="utf-8")
    with pytest.raises(nlu.data.DataError, match=rf"alarm_eval\.tsv.*{words}"):
        nlu.data.load(tmp_path, 6, 5)


def test_files_of_other_encodings_and_limits_that_leave_nothing_are_refused(nlu, tmp_path):
    put(tmp_path)
    with pytest.raises(nlu.data.DataError, match="no train utterance has at most 3 words"):
        nlu.data.load(tmp_path, 3, 5)
    (tmp_path / "alarm_eval.tsv").write_bytes(HEAD.encode() + b"alarm\t\xff\xfe")
    with pytest.raises(nlu.data.DataError, match=r"alarm_eval\.tsv is no UTF-8"):
        nlu.data.load(tmp_path, 6, 5)


def test_a_folder_that_cannot_be_written_is_one_message(nlu, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("here")
    monkeypatch.setattr("sys.argv", ["generate.py", "--to", str(tmp_path / "file")])
    with pytest.raises(SystemExit) as refused:
        nlu.generate.main()
    assert refused.value.code == 2
    assert "cannot write to" in capsys.readouterr().err


def test_a_folder_without_data_says_how_to_make_some(nlu, tmp_path):
    with pytest.raises(nlu.data.DataError, match=r"\*_train\.tsv.*generate\.py --to"):
        nlu.data.load(tmp_path, 6, 5)
    shutil.copytree(put(tmp_path), tmp_path / "no-test")
    with pytest.raises(nlu.data.DataError, match=r"\*_test\.tsv"):
        nlu.data.load(tmp_path / "no-test", 6, 5, needed=("train", "eval", "test"))
