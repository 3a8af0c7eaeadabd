"""Semantic parses: brackets to trees, their decoupled form, and the flat form that the network writes."""

import random

import pytest

NESTED = (
    "[IN:CREATE_REMINDER remind [SL:PERSON_REMINDED me ] to [SL:TODO [IN:SEND_MESSAGE text [SL:RECIPIENT ann lee ] "
    "] ] [SL:DATE_TIME at 7 ] please ]"
)


def test_a_parse_is_words_and_a_tree(nlu):
    words, root = nlu.top.parse("[IN:CREATE_ALARM wake me [SL:DATE_TIME at 7 am ] ]")
    assert words == ("wake", "me", "at", "7", "am")
    assert root.label == "IN:CREATE_ALARM"
    assert root.children[:2] == (0, 1)
    assert root.nodes == (nlu.top.Node("SL:DATE_TIME", (2, 3, 4)),)


def test_the_flat_form_has_a_span_for_each_leaf_slot(nlu):
    _, root = nlu.top.parse(NESTED)
    frames, spans = nlu.top.flatten(root)
    assert frames == (
        *("IN:CREATE_REMINDER", "SL:PERSON_REMINDED*", "SL:TODO", "IN:SEND_MESSAGE", "SL:RECIPIENT*", "]", "]"),
        *("SL:DATE_TIME*", "]"),
    )
    assert spans == ((-1, -1), (1, 1), (-1, -1), (-1, -1), (4, 5), (-1, -1), (-1, -1), (6, 7), (-1, -1))


def test_the_decoupled_form_drops_words_outside_of_leaf_slots(nlu):
    words, root = nlu.top.parse(NESTED)
    expected = (
        "[IN:CREATE_REMINDER [SL:PERSON_REMINDED me ] [SL:TODO [IN:SEND_MESSAGE [SL:RECIPIENT ann lee ] ] ] "
        "[SL:DATE_TIME at 7 ] ]"
    )
    assert nlu.top.decoupled(root, words) == expected
    assert nlu.top.decoupled(nlu.top.unflatten(*nlu.top.flatten(root)), words) == expected


def test_flat_and_tree_are_each_others_inverse(nlu):
    grammar = nlu.generate.Grammar(nlu.generate.GRAMMAR.read_text(encoding="utf-8"))
    rng = random.Random(3)
    for _, utterance, text in nlu.generate.examples(grammar, 500, 0.02, rng):
        words, root = nlu.top.parse(text)
        assert " ".join(words) == utterance
        flat = nlu.top.flatten(root)
        again = nlu.top.unflatten(*flat)
        assert nlu.top.flatten(again) == flat
        assert nlu.top.decoupled(again, words) == nlu.top.decoupled(root, words)


def test_constituents_cover_the_words_of_their_leaves(nlu):
    _, root = nlu.top.parse(NESTED)
    assert nlu.top.constituents(nlu.top.unflatten(*nlu.top.flatten(root))) == [
        ("SL:PERSON_REMINDED", 1, 1),
        ("SL:RECIPIENT", 4, 5),
        ("IN:SEND_MESSAGE", 4, 5),
        ("SL:TODO", 4, 5),
        ("SL:DATE_TIME", 6, 7),
        ("IN:CREATE_REMINDER", 1, 7),
    ]


def test_an_intent_without_slots_covers_nothing(nlu):
    _, root = nlu.top.parse("[IN:SNOOZE_ALARM snooze it ]")
    assert nlu.top.flatten(root) == (("IN:SNOOZE_ALARM", "]"), ((-1, -1), (-1, -1)))
    assert nlu.top.constituents(root) == [("IN:SNOOZE_ALARM", -1, -1)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[IN:A wake me", "IN:A is never closed"),
        ("[IN:A wake ] ]", "never opened"),
        ("[XX:A wake ]", "neither an intent"),
        ("wake [IN:A me ]", "one intent"),
        ("[IN:A a ] [IN:B b ]", "one intent"),
        ("wake me", "one intent"),
        ("", "one intent"),
    ],
)
def test_what_is_no_parse_is_refused(nlu, text, words):
    with pytest.raises(nlu.top.ParseError, match=words):
        nlu.top.parse(text)


def test_an_empty_slot_is_refused(nlu):
    _, root = nlu.top.parse("[IN:A wake [SL:B ] ]")
    with pytest.raises(nlu.top.ParseError, match="holds no word"):
        nlu.top.flatten(root)


@pytest.mark.parametrize(
    "frames", [("]",), ("IN:A",), ("IN:A", "]", "]"), ("IN:A", "]", "IN:B", "]"), ("IN:A", "SL:B", "]")]
)
def test_predicted_brackets_that_do_not_match_are_no_tree(nlu, frames):
    with pytest.raises(nlu.top.ParseError):
        nlu.top.unflatten(frames, ((-1, -1),) * len(frames))
