"""The rule-based reader: symmetric, blind to everything but the prompt, and honest about what it cannot do."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
from invented import comparison, pair, user_says

from synthesizeme.backends import ModelSettings, Question, Session, open_model
from synthesizeme.backends.builtin import _weights
from synthesizeme.backends.builtin._prompt import read_limit
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.judges import LLMJudge, memory_profile
from synthesizeme.perceived import FEATURES
from synthesizeme.personas.selection import labelled
from synthesizeme.personas.synthesis import parse_persona, persona_messages
from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.prompts import load_prompt
from synthesizeme.stylometry import difference
from synthesizeme.types import ORDERS, Comparison, Failure, Message

THETA = load_prompt("persona/default")
PROSE = "Boil the potatoes until they are soft, then mash them with butter and warm milk and add some salt."
BULLETS = "- Boil the potatoes until soft\n- Mash them with butter\n- Add warm milk\n- Add some salt"


@pytest.fixture
def ledger():
    with Session(open_model("builtin")) as session:
        yield session.ledger()


@pytest.fixture(scope="module")
def planted():
    return planted_population(4, 24, seed=11)


def persona(*sentences):
    parts = tuple(PersonaSentence(text=sentence) for sentence in sentences)
    return UserProfile(user_id="ada", persona=Persona(sentences=parts, made_by="me", prompt_id="none"))


def verdict(ledger, shown, profile=None):
    profiles = None if profile is None else {shown.user_id: profile}
    return LLMJudge(ledger, profiles).compare([shown])[0]


# --- judging


def test_swapping_the_responses_flips_the_preference_and_mirrors_the_probability(ledger, planted):
    flipped = {"first": "second", "second": "first", "tie": "tie"}
    for user, pairs in planted.by_user.items():
        known = memory_profile(user, pairs[:8]).model_copy(
            update={"persona": persona("The user likes lists.").persona}
        )
        judge = LLMJudge(ledger, {user: known})
        shown = [one.compare("chosen_first") for one in pairs[8:]]
        forth, back = judge.compare(shown), judge.compare([c.swapped() for c in shown])
        assert {v.preference for v in forth} >= {"first", "second"}
        for one, other in zip(forth, back, strict=True):
            assert flipped[one.preference] == other.preference
            assert one.probability == pytest.approx(1 - other.probability)


def test_the_order_in_which_a_demonstration_shows_its_responses_means_nothing(ledger, planted):
    user, pairs = next(iter(planted.by_user.items()))
    results = []
    for order in ORDERS:
        known = UserProfile(user_id=user, demonstrations=tuple(labelled(one, order) for one in pairs[:10]))
        results.append(
            LLMJudge(ledger, {user: known}).compare([one.compare("chosen_first") for one in pairs[10:]])
        )
    assert [(v.preference, v.probability) for v in results[0]] == [
        (v.preference, v.probability) for v in results[1]
    ]


def test_it_sees_the_prompt_and_nothing_else(planted):
    """Other ids and metadata, another history of calls, another instance: the same replies."""
    pairs = planted.pairs[:12]
    renamed = [
        one.model_copy(update={"pair_id": f"x{n}", "user_id": "somebody", "metadata": {}})
        for n, one in enumerate(pairs)
    ]
    shown = [one.compare("chosen_first") for one in pairs]
    with Session(open_model("builtin")) as one, Session(open_model("builtin")) as other:
        first = LLMJudge(one.ledger()).compare(shown)
        LLMJudge(other.ledger()).compare([p.compare("rejected_first") for p in planted.pairs[12:40]])
        mixed = random.Random(0).sample(range(12), 12)
        second = LLMJudge(other.ledger()).compare([renamed[n].compare("chosen_first") for n in mixed])
    assert second == [first[n] for n in mixed]


def test_swapped_labels_are_invisible_to_the_default_judge(ledger, planted):
    for one in planted.pairs[:10]:
        shown = one.compare("chosen_first")
        assert verdict(ledger, shown) == verdict(ledger, one.swapped_labels().compare("rejected_first"))


@pytest.mark.parametrize(
    ("sentence", "preference"),
    [
        ("The user strongly prefers bullet lists.", "first"),
        ("The user strongly dislikes bullet lists.", "second"),
        ("The user prefers flowing prose and hates lists.", "second"),
    ],
)
def test_a_persona_decides(ledger, sentence, preference):
    assert verdict(ledger, comparison(BULLETS, PROSE), persona(sentence)).preference == preference


def test_demonstrations_teach(ledger, planted):
    """Ten choices of bullets over prose, then ten the other way round."""
    history = [pair(n, chosen=f"{BULLETS}\n- Dish {n}", rejected=f"{PROSE} Dish {n}.") for n in range(10)]
    new = comparison("- Slice bread\n- Toast it\n- Butter it", "Slice the bread, toast it, then butter it.")
    for pairs, preference in ((history, "first"), ([p.swapped_labels() for p in history], "second")):
        result = verdict(ledger, new, memory_profile("ada", pairs))
        assert result.preference == preference
        assert abs(result.probability - 0.5) > 0.05
        assert "list" in result.reasoning


def test_more_of_the_same_choices_make_it_surer(ledger):
    history = [pair(n, chosen=f"{BULLETS}\n- Dish {n}", rejected=f"{PROSE} Dish {n}.") for n in range(16)]
    new = comparison("- Slice bread\n- Toast it\n- Butter it", "Slice the bread, toast it, then butter it.")
    sure = [verdict(ledger, new, memory_profile("ada", history[:n])).probability for n in (1, 4, 16)]
    assert sure == sorted(set(sure))


@pytest.mark.parametrize(
    "worse",
    [
        "Boil the potatoes until they are soft, then mash them with",
        f"{PROSE} {PROSE} {PROSE}",
        "I'm sorry, but I cannot help with that request.",
        f"{PROSE}</s>\nUser: and now?\nAssistant: {PROSE}",
    ],
)
def test_it_assumes_that_people_want_whole_clean_willing_answers(ledger, worse):
    assert verdict(ledger, comparison(PROSE, worse)).preference == "first"
    assert verdict(ledger, comparison(worse, PROSE)).preference == "second"


def test_no_difference_is_a_tie(ledger):
    result = verdict(ledger, comparison(PROSE, PROSE))
    assert (result.preference, result.probability) == ("tie", 0.5)


def test_the_reasoning_names_features_and_the_confidence_is_a_percentage(ledger):
    result = verdict(
        ledger, comparison(BULLETS, PROSE), persona("The user very strongly prefers bullet lists.")
    )
    assert result.probability_source == "stated"
    assert 0.5 < result.probability <= 0.99
    assert result.reasoning.startswith("The first response is closer to bullet lists")


def test_the_last_user_turn_is_the_question():
    talk = (
        user_says("Unrelated."),
        Message(role="assistant", content="Yes."),
        user_says("Which apples bake best?"),
    )
    texts = {"first": "Bramley apples bake best.", "second": "Tuesday is a fine day then."}
    shown = Comparison(pair_id="p", user_id="u", prompt=talk, **texts)
    with Session(open_model("builtin")) as session:
        alone = verdict(session.ledger(), shown.model_copy(update={"prompt": talk[-1:]}))
        assert verdict(session.ledger(), shown) == alone
    assert alone.preference == "first"


@pytest.mark.parametrize(
    "text", ["a", "🦊" * 500, "\x00\x1b[31m", "שלום " * 100, "x" * 100_000, "- \n- \n-", "<b></b>"]
)
def test_odd_responses_get_a_verdict(ledger, text):
    for shown in (comparison(text, PROSE), comparison(PROSE, text)):
        assert not isinstance(verdict(ledger, shown), Failure)


# --- samples


def replies(count, temperature):
    shown = comparison(BULLETS, PROSE)
    with Session(open_model("builtin", ModelSettings(temperature=temperature))) as session:
        ledger = session.ledger()
        question = LLMJudge(ledger).question(shown)
        return [a.text for a in ledger.ask([Question(question.messages, n) for n in range(count)])]


def test_samples_differ_by_their_index_and_repeat_themselves():
    assert len(set(replies(12, None))) > 3
    assert replies(12, 1.0) == replies(12, 1.0) == replies(12, None)


def test_samples_at_temperature_zero_are_the_same():
    assert len(set(replies(6, 0.0))) == 1


# --- writing personas


def write(ledger, choices, system=None):
    messages = persona_messages(choices, THETA)
    if system is not None:
        messages = (Message(role="system", content=system), *messages[1:])
    return ledger.ask([Question(messages)])[0].text


def test_a_persona_names_what_the_choices_have_in_common_and_cites_existing_pairs(ledger, planted):
    for pairs in planted.by_user.values():
        text = write(ledger, [labelled(one, ORDERS[n % 2]) for n, one in enumerate(pairs)])
        sentences = parse_persona(text, [one.pair_id for one in pairs])
        assert 1 <= len(sentences) <= 12
        for line, sentence in zip(text.splitlines(), sentences, strict=True):
            numbers = [int(n) for n in re.findall(r"\d+", line[line.rindex("[") :])]
            assert numbers == sorted(set(numbers))
            assert min(numbers) >= 1
            assert max(numbers) <= len(pairs)
            assert len(sentence.pair_ids) == len(numbers)
            assert sentence.text.startswith("The user ")


def test_one_taste_gives_few_statements_with_the_plainest_first(ledger):
    lists = [pair(n, chosen=f"{BULLETS}\n- Dish {n}", rejected=f"{PROSE} Dish {n}.") for n in range(8)]
    text = write(ledger, [labelled(one, ORDERS[n % 2]) for n, one in enumerate(lists)])
    assert re.match(
        r"The user (clearly|strongly|very strongly) prefers bullet lists\. \[[\d, ]+\]$", text.splitlines()[0]
    )
    assert len(text.splitlines()) <= 8


def test_the_labels_matter_and_the_order_of_display_does_not(ledger, planted):
    pairs = planted.by_user["planted-00000"]
    one, other = (write(ledger, [labelled(p, order) for p in pairs]) for order in ORDERS)
    assert one == other
    turned = write(ledger, [labelled(p.swapped_labels(), "chosen_first") for p in pairs])
    assert not set(re.sub(r" \[.*", "", turned).splitlines()) & set(re.sub(r" \[.*", "", one).splitlines())


@pytest.mark.parametrize(
    ("words", "limit"), [("three", 3), ("one", 1), ("2", 2), ("two short sentences", 2), ("eleven", 11)]
)
def test_the_limit_in_the_instruction_is_honoured(ledger, planted, words, limit):
    system = THETA.render("system").replace("at most twelve", f"at most {words}")
    assert system != THETA.render("system")
    choices = [labelled(p, "chosen_first") for pairs in planted.by_user.values() for p in pairs]
    lines = write(ledger, choices, system).splitlines()
    assert len(lines) <= limit
    assert len(
        write(ledger, choices, system.replace(f"at most {words}", "at most twelve")).splitlines()
    ) >= min(3, limit)


def test_limits_are_read_and_absent_ones_leave_the_default():
    assert read_limit("Write at most five lines.", 8) == 5
    assert read_limit("Write at most a few lines.", 8) == 8
    assert read_limit("Write.", 8) == 8


def test_without_a_clear_taste_there_is_no_statement(ledger):
    same = pair(0, chosen="Yes it is so.", rejected="No it is not.")
    assert write(ledger, [labelled(same, "chosen_first")]) == "None"


# --- what it is not


@pytest.mark.parametrize(
    "messages",
    [
        (user_says("Write a poem about rain."),),
        (Message(role="system", content="You are a poet."), user_says("<conversation>\nHi\n</conversation>")),
        (user_says("<first_response>\nonly one\n</first_response>"),),
        (Message(role="system", content=load_prompt("judge/default").render("system")), user_says("Go on.")),
    ],
)
def test_another_task_is_refused_with_a_typed_failure(ledger, messages):
    (outcome,) = ledger.ask([Question(messages)])
    assert isinstance(outcome, Failure)
    assert "answers judge and persona prompts only" in outcome.detail
    assert ledger.failures == {outcome.kind: 1}


def test_it_calls_itself_what_it_is():
    model = open_model("builtin")
    assert (model.name, model.kind) == ("builtin", "rule-based reader, not a language model")
    assert model.lm.model.startswith("builtin/rule-reader-")


# --- learning


def test_learned_weights_are_stationary_points_of_the_posterior():
    """P (w - mean) = sum_i x_i sigma(-x_i.w), the gradient of the log-posterior, for x chosen minus rejected."""
    rng = np.random.default_rng(0)
    differences = rng.normal(size=(30, _weights.SIZE))
    signed = differences * np.sign(differences[:, :1])
    mean = rng.normal(size=_weights.SIZE) / 4
    weights = _weights.learn(signed, mean, _weights.PRECISION)
    gradient = signed.T @ (1 / (1 + np.exp(signed @ weights)))
    assert np.allclose(_weights.PRECISION * (weights - mean), gradient, atol=1e-5)
    assert (weights - mean).argmax() == 0


def test_without_choices_nothing_is_learned():
    mean = _weights.assumed("The user clearly prefers bullet lists.")
    assert np.array_equal(_weights.learn(np.zeros((0, _weights.SIZE)), mean, _weights.PRECISION), mean)
    assert _weights.each_alone(np.zeros((0, 48)), 8) == {}


def test_few_weights_explain_the_choices_and_the_causes_are_found():
    """Choices follow features 5 and 7 alone, twelve random others come along."""
    rng = np.random.default_rng(1)
    differences = rng.normal(size=(60, len(FEATURES)))
    margins = 4 * differences[:, 5] - 4 * differences[:, 7]
    signed = differences * np.sign(margins)[:, None]
    found = _weights.each_alone(signed, 8)
    assert list(found)[:2] in ([5, 7], [7, 5])
    assert found[5] > 0 > found[7]
    assert len(_weights.each_alone(signed, 1)) == 1


def test_the_assumed_weights_say_nothing_about_length_or_style():
    assumed = dict(zip([f.name for f in FEATURES], _weights.assumed("")[: len(FEATURES)], strict=True))
    for name in ("length", "sentence_length", "formality", "warmth", "emoji", "hedging", "headings"):
        assert assumed[name] == 0
    told = _weights.assumed("The user somewhat prefers answers that break off")
    assert told[[f.name for f in FEATURES].index("truncated")] == 0.5


def test_its_features_are_those_of_the_library():
    assert len(difference(BULLETS, PROSE, features=FEATURES)) == len(FEATURES)
