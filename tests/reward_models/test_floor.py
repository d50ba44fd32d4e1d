"""The floor: what is no answer falls, what answers stays, and nothing breaks it."""

from __future__ import annotations

import random
from copy import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reward_models
from reward_models import load, method
from reward_models.floor import DEPTH, base_floor, open_floor
from reward_models.floor._base_floor import BaseFloor
from reward_models.floor._experts import WITHOUT_VECTORS, Expert
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.errors import UnknownNameError
from synthesizeme.evaluation.no_answers import KINDS, Source
from synthesizeme.scoring import as_answers
from synthesizeme.types import FLOOR_ERRS, Comparison, Message, Verdict

PROMPT = "How do I keep basil alive on a windowsill through the winter?"
ANSWER = (
    "Put the pot where it gets at least six hours of light, and turn it every few days so that it does not lean. "
    "Water it in the morning when the top of the soil feels dry, and never let it stand in a full saucer. Pinch off "
    "the tips above a pair of leaves, which makes the plant bushy. Basil hates cold draughts, so move it away from "
    "the glass on frosty nights."
)
OTHER = (
    "The treaty was signed in 1648 and ended thirty years of war. It gave the princes of the empire the right to "
    "choose the religion of their lands, and it drew borders that lasted for more than a century."
)
RIGHTFUL = {
    "Is the earth flat?": "No.",
    "What is 17 times 6?": "102",
    "Write a Python function that doubles a number.": "def double(x):\n    return 2 * x",
    "Give me the capitals of France and Spain as JSON.": '{"France": "Paris", "Spain": "Madrid"}',
    "Which emoji stands for rain?": "🌧️",
    "Translate into German: The train is late.": "Der Zug hat Verspätung.",
    "Correct the spelling: Their going to recieve the parcel tomorow.": "They're going to receive the parcel tomorrow.",
    "¿Cuál es la capital de Portugal?": "La capital de Portugal es Lisboa.",
    "How many stars are there in the sky tonight?": "I don't know, that depends on where you are and on the clouds.",
    PROMPT: ANSWER,
}


def turns(prompt):
    return (Message(role="user", content=prompt),)


def shortfall(prompt, *responses):
    return base_floor().shortfalls([turns(prompt)] * len(responses), list(responses))


@pytest.mark.parametrize("kind", [
    "echo", "echo twice", "echo as a question", "words shuffled", "words reversed", "doubled", "many times",
    "first sentence repeated", "lorem ipsum", "random letters", "base64", "hex", "html", "table", "refusal",
    "capitals", "spaces removed",
])  # fmt: skip
def test_what_is_no_answer_falls(kind):
    rng = random.Random(0)
    texts = [KINDS[kind](Source(PROMPT, ANSWER, OTHER), rng) for _ in range(5)]
    fallen = shortfall(PROMPT, *texts)
    assert (fallen > 1).mean() >= 0.6, list(zip(fallen, texts, strict=True))


@pytest.mark.parametrize("prompt", RIGHTFUL)
def test_what_answers_stays_however_odd(prompt):
    assert shortfall(prompt, RIGHTFUL[prompt]).tolist() == [0.0]


@pytest.mark.parametrize("response", [
    "", " \n\t", "\u200b", "\ud800", "a" * 1_000_000, "\ud83d\ud83d text", "مرحبا كيف حالك اليوم", "e\u0301" * 500, "\x00\x01",
    "word " * 10_000, "שלום " * 40, "🤷" * 3, "|" * 5_000, "((((" * 999,
])  # fmt: skip
def test_any_text_gets_a_finite_floor(response):
    (fallen,) = shortfall(PROMPT, response)
    assert 0 <= fallen <= DEPTH
    if not any(c.isprintable() and not c.isspace() for c in response):
        assert fallen == DEPTH


def test_the_last_user_turn_is_what_must_be_answered():
    earlier = (*turns(PROMPT), Message(role="assistant", content=ANSWER), *turns("And what is 2 + 2?"))
    assert base_floor().shortfalls([earlier], ["4"]).tolist() == [0.0]


BRIEF = {
    "What is 12*9?": "108", "What's the boiling point of water?": "100 °C", "What is the largest planet?": "Jupiter",
    "Who wrote Hamlet?": "Shakespeare", "What colour is the sky?": "Blue.", "Translate 'dog' to Spanish": "perro",
    "When did WW2 end?": "1945", "Where is the Eiffel Tower?": "Paris", "Do you like pizza?": "Yes!", "hello": "Hi!",
    "Name a mammal that lays eggs.": "The platypus.", "Is it raining in the desert often?": "No.", "thanks": "Any time!",
    "How do I exit vim?": ":q!", "Give me a synonym for happy": "joyful", "How can I stop hiccups?": "Hold your breath.",
    "Which letter comes after C?": "D", "What's the square root of 81?": "9", "Best month to visit Kyoto?": "November",
    "What's a good name for a cat?": "Mochi", "What currency does Japan use?": "The yen",
    "Finish the proverb: A stitch in time": "saves nine", "Who is the author of the poem 'The Raven'?": "Edgar Allan Poe",
    "Guess the riddle: what has keys but can't open locks?": "A piano", "How do I say sorry?": "Just say it.",
    "Write a title for my essay on whales": "Deep Songs", "Write a one-word poem": "Alone",
}  # fmt: skip
"""Plain questions and their answers in a word or two, none of them learned from."""
PIECES = [
    "Write me a poem about autumn.", "Explain how photosynthesis works.", "Tell me a joke about cats.",
    "Write an email to my boss asking for leave.", "What are some tips for better sleep?", "Create a study plan for the exam",
    "Draft a cover letter for a nurse.", "Summarize the plot of Hamlet in a paragraph.", "Compare cats and dogs as pets.",
    "Give me 5 ideas for dinner", "Generate a story about dragons", "What's the difference between a crow and a raven?",
]  # fmt: skip
"""Prompts that no word or name answers."""
TERSE = {
    "Explain how photosynthesis works.": "Plants turn light into sugar.", "Tell me about the old forest.": "The forest waits.",
    "Write me a poem about autumn.": "Leaves fall. So do I.", "Tell me about your day.": "Nothing happened.",
    "What are some tips for better sleep?": "Go to bed early.", "Tell me a joke about cats.": "My cat is a joke.",
    "Compare cats and dogs as pets.": "Dogs need more time.", "Explain inflation.": "Prices rise.",
    "Summarize Hamlet.": "Everybody dies.", "Write a story about dragons": "A dragon slept.",
    "Give me 5 ideas for dinner": "Soup, pasta, rice, eggs, salad", "Tell me about Paris": "Capital of France.",
}  # fmt: skip
"""What somebody who likes short answers would take for one."""


def test_a_word_answers_a_plain_question_and_hardly_a_demand_for_a_piece_of_writing():
    fallen = [prompt for prompt, answer in {**BRIEF, **TERSE}.items() if shortfall(prompt, answer)[0] > 0.1]
    assert len(fallen) <= 1, fallen
    phrases = ["Hugging Face", "Bob", "Sounds good!", "New York City", "Thank you", "y", "banana"]
    beaten = np.array([shortfall(prompt, *phrases) > 1 for prompt in PIECES])
    assert beaten.mean() >= 0.35, beaten


def test_a_floor_never_depends_on_the_batch():
    texts = [ANSWER, PROMPT, "banana", OTHER, ""]
    together = shortfall(PROMPT, *texts)
    assert together.tolist() == [shortfall(PROMPT, text)[0] for text in texts]
    assert shortfall(PROMPT).tolist() == []


def test_an_answer_to_a_prompt_that_is_known_is_known_for_it():
    floor = base_floor()
    history = turns("What did the Peace of Westphalia change in the Holy Roman Empire?")
    knowing = floor.beside(floor.meanings([history]))
    alone, known = (it.shortfalls([turns(PROMPT)], [OTHER])[0] for it in (floor, knowing))
    assert known >= alone
    assert knowing.shortfalls([history, turns(PROMPT)], [OTHER, ANSWER]).tolist() == [0.0, 0.0]


def test_without_static_vectors_the_other_experts_remain(monkeypatch):
    monkeypatch.setattr("reward_models.floor._base_floor.missing", lambda: "it is not installed")
    floor = BaseFloor()
    assert set(floor.beliefs([turns(PROMPT)], [PROMPT])) == set(WITHOUT_VECTORS)
    assert floor.shortfalls([turns(PROMPT)] * 2, [PROMPT, ANSWER]).tolist() == [DEPTH, 0.0]
    assert floor.meanings([turns(PROMPT)]).size == 0


def test_an_unknown_floor_is_refused_by_name():
    with pytest.raises(UnknownNameError, match="lm:NAME"):
        open_floor("lm:")
    with pytest.raises(UnknownNameError, match="ceiling"):
        method("hierarchical-stylometric")(floor="ceiling")


@pytest.fixture(scope="module")
def fitted():
    pairs = [p for p in planted_population(4, 12, seed=1).pairs if p.split != "test"]
    return method("hierarchical-stylometric")(tastes="none").fit(pairs), pairs


def test_a_reward_is_its_taste_and_its_floor(fitted):
    model, pairs = fitted
    user = pairs[0].user_id
    echo, answer = model.score(as_answers([turns(PROMPT)] * 2, [PROMPT, ANSWER], [user] * 2))
    assert answer.floor == 0
    assert answer.value == answer.taste
    assert echo.floor == pytest.approx(-DEPTH * model.standing.unit)
    assert echo.value == echo.taste + echo.floor
    bare = copy(model).stand_on("none")
    alone, beside = bare.score(as_answers([turns(PROMPT)] * 2, [PROMPT, ANSWER], [user] * 2))
    assert [alone.value, beside.value] == [echo.taste, answer.taste]
    assert answer.probability == beside.probability
    assert echo.probability == pytest.approx(FLOOR_ERRS * alone.probability, abs=0.05)


def test_pairs_are_compared_on_the_floor(fitted):
    model, pairs = fitted
    asked = Comparison(
        pair_id="p", user_id=pairs[0].user_id, prompt=turns(PROMPT), first=ANSWER, second=PROMPT
    )
    turned = asked.model_copy(update={"first": PROMPT, "second": ANSWER})
    (verdict,), (opposite,) = model.compare([asked]), model.compare([turned])
    assert verdict.preference == "first"
    (bare,) = copy(model).stand_on("none").compare([asked])
    assert verdict.probability == pytest.approx(1 - FLOOR_ERRS * (1 - bare.probability), abs=0.05)
    assert opposite.margin == -verdict.margin
    assert opposite.probability == pytest.approx(1 - verdict.probability)


@given(st.floats(0.001, 0.999), st.floats(-30, 0), st.floats(-30, 0))
def test_a_probability_is_on_the_side_of_the_margin_and_never_surer_than_a_floor_that_errs(p, first, second):
    taste = Verdict(preference="first" if p > 0.5 else "second" if p < 0.5 else "tie", probability=p)
    verdict = taste.on(first, second)
    assert (verdict.probability - 0.5) * verdict.margin >= 0
    assert FLOOR_ERRS * p - 1e-9 <= verdict.probability <= 1 - FLOOR_ERRS * (1 - p) + 1e-9
    assert taste.on(first, first).probability == p


def test_a_checkpoint_keeps_what_the_floor_knows(fitted, tmp_path):
    model, pairs = fitted
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert np.array_equal(again.standing.known, model.standing.known)
    assert again.standing.unit == model.standing.unit
    ids = [pairs[0].user_id] * 3
    asked = [turns(PROMPT)] * 3, [ANSWER, PROMPT, OTHER], ids
    assert again.score(as_answers(*asked)) == model.score(as_answers(*asked))
    assert reward_models.load(tmp_path / "model").floor == "base"


def test_only_prompts_of_several_users_are_known(fitted):
    model, pairs = fitted
    users = {}
    for pair in pairs:
        users.setdefault(pair.prompt, set()).add(pair.user_id)
    assert len(model.standing.known) == sum(len(whose) > 1 for whose in users.values())


def test_trees_say_what_the_library_that_grew_them_says():
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(400, 4)), rng.random((400, 1)) > 0.5], axis=1)
    y = x[:, 0] * x[:, 1] + x[:, 4] > 0.3
    grown = HistGradientBoostingClassifier(max_depth=Expert.DEPTH, max_iter=20).fit(x, y)
    ours = Expert(*laid_out(grown, 5), np.zeros(2))
    fresh = rng.normal(size=(100, 4))
    called = rng.random(100) > 0.5
    expected = grown.decision_function(np.concatenate([fresh, called[:, None]], axis=1))
    np.testing.assert_allclose(ours.log_odds(fresh, called), expected, atol=1e-9)


def laid_out(grown, width):
    import importlib.util
    import sys
    from pathlib import Path

    folder = Path(__file__).parents[2] / "experiments" / "floor"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location("floor_training", folder / "train.py")
        training = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(training)
    finally:
        sys.path.remove(str(folder))
    return training.trees(grown, width)
