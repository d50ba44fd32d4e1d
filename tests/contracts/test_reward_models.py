"""What every reward model promises; the methods are found by their files, a new one is tested at once.

A method without a line in `SMALL` is tested with its default arguments.
"""

from __future__ import annotations

import importlib
import inspect
import random
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import two_tastes
from invented import user_says

import reward_models
from reward_models import method_parameters
from synthesizeme import stylometry
from synthesizeme.errors import DataError, NotFittedError
from synthesizeme.feedback import THUMBS, Rating, UserWords
from synthesizeme.scoring import PairwiseScorer, as_answers
from synthesizeme.types import Failure, Reward, Verdict

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[1] / "reward_models"))
import tiny_backbones  # noqa: E402

BACKBONE = "a tiny backbone"
"""Stands for the folder of one."""
PERSONA_READER = "a tiny model that reads a persona of one word"
"""Stands for the checkpoint of one: what a frozen backbone must have learned before a plug can speak to it."""
TEXT = {"backbone": BACKBONE, "batch_size": 16, "max_length": 64, "precision": "float32"}
FRESH = {"features": "stylometric", "epochs": 30, "learning_rate": 3e-3}
READER = {"features": "stylometric", "epochs": 40, "warm_up": 10, "learning_rate": 3e-3, "width": 16}
SMALL = {
    "bradley-terry": TEXT | {"epochs": 4, "learning_rate": 3e-3},
    "gpo": READER | {"layers": 2, "heads": 2, "dropout": 0.1},
    "lore": FRESH | {"rank": 4},
    "pal": FRESH | {"rank": 4, "dim": 8, "hidden": 16, "dropout": 0.0},
    "pal-b": FRESH | {"rank": 4, "dim": 8, "hidden": 16, "dropout": 0.0},
    "persona-prompted": TEXT | {"epochs": 6, "learning_rate": 5e-3},
    "pooled": {"features": "stylometric"},
    "pooled-own": {"features": "stylometric"},
    "pplug": TEXT
    | {"features": "stylometric", "warm_start": PERSONA_READER, "epochs": 9, "learning_rate": 1e-2},
    "uem": TEXT
    | {"features": "stylometric", "warm_epochs": 0, "task_tokens": 4, "layers": 1, "width": 32, "epochs": 8}
    | {"learning_rate": 3e-3, "max_history": 24},
    "vpl": READER | {"latents": 4, "dropout": 0.1, "annealing": 10},
}
"""Arguments that make a method small and fast."""
IMPERSONAL = {"bradley-terry", "pooled"}
"""Methods that know no users: they are shown people who agree."""

ONE_TASTE = (two_tastes.SUNNY,)
OTHER = two_tastes.population(3, 6, tastes=(two_tastes.FROSTY,), seed=7)


def population(name, **sizes):
    return two_tastes.population(**sizes, **({"tastes": ONE_TASTE} if name in IMPERSONAL else {}))


def train_of(name):
    return population(name, n_pairs=16, validation=4)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    sentences = [f"Strongly prefers {f.more}. Prefers {f.less}." for f in stylometry.FEATURES]
    texts = two_tastes.texts(two_tastes.population()) + sentences
    return str(tiny_backbones.make(tmp_path_factory.mktemp("contract") / "backbone", texts, shape="llama"))


@pytest.fixture(scope="module")
def persona_reader(backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("contract") / "persona-reader"
    words = {f"u{i}": "frosty" if i % 2 else "sunny" for i in range(10)}
    settings = TEXT | {"backbone": backbone, "epochs": 8, "learning_rate": 4e-3}
    reader = reward_models.method("persona-prompted")(profiles=words, **settings)
    reader.fit(two_tastes.population(n_pairs=16, validation=4)).save(folder)
    return str(folder)


@pytest.fixture(scope="module", params=reward_models.method_names())
def name(request):
    return request.param


@pytest.fixture(scope="module")
def make(name, request):
    """A fresh model of the method."""
    folders = {BACKBONE: "backbone", PERSONA_READER: "persona_reader"}
    settings = {n: request.getfixturevalue(folders[v]) if v in folders else v
                for n, v in SMALL.get(name, {}).items()}  # fmt: skip

    def made(**more):
        return reward_models.method(name)(**settings | more)

    return made


@pytest.fixture(scope="module")
def trained(name, make):
    return make().fit(train_of(name))


@pytest.fixture(scope="module")
def fitted_twice(name, make):
    """A model that learned others first and one that did not, and what was seen on the way."""
    model, before = make(), generators()
    returned = model.fit(OTHER)
    seen = SimpleNamespace(
        model=model, returned=returned, users=model.users, before=before, after=generators()
    )
    pairs = population(name, n_users=4, n_pairs=8, validation=2)
    model.fit_user("stranger", two_tastes.asked_as(OTHER[:3], "stranger")).fit(pairs)
    seen.at_once = make().fit(pairs)
    return seen


@pytest.fixture
def fitted(trained):
    """The trained model; what a test does to its users is undone."""
    users, unknown_user, asked = dict(trained.users_), trained.unknown_user, trained._sampled
    yield trained
    trained.users_, trained.unknown_user, trained._sampled = users, unknown_user, asked


@pytest.fixture(scope="module")
def held_out(name):
    return population(name, n_pairs=8, seed=1)


@pytest.fixture(scope="module")
def a_few(held_out):
    """One or two pairs of every user, where each is to be asked by itself or by several models."""
    return held_out[::5]


def asked(pairs):
    return [pair.compare("chosen_first") for pair in pairs]


def columns(pairs):
    return [p.prompt for p in pairs], [p.chosen_text for p in pairs], [p.user_id for p in pairs]


def generators():
    """State of every global generator."""
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


def bits(arrays):
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_is_registered_under_the_name_of_its_file(name, fitted):
    assert fitted.name == name
    assert isinstance(fitted, PairwiseScorer)
    assert not fitted.order_sensitive


def test_arguments_are_keywords_and_only_stored(name, make):
    model = make(seed=5, unknown_user="refuse")
    assert (model.seed, model.unknown_user) == (5, "refuse")
    assert set(model.params()) | set(model.unsaved) == set(method_parameters(type(model)))
    assert not [n for n in vars(model) if n.endswith("_")], "nothing is learned before fit"
    with pytest.raises(TypeError):
        type(model)(5)
    with pytest.raises(TypeError):
        make(no_such_argument=1)


def test_fit_returns_the_model_and_knows_its_users(fitted_twice, trained):
    assert fitted_twice.returned is fitted_twice.model
    assert fitted_twice.users == ("u0", "u1", "u2"), "from data without validation rows"
    assert trained.users == tuple(f"u{i}" for i in range(10))
    assert trained.parameters > 0


def test_a_second_fit_forgets_the_first_and_the_same_seed_gives_the_same_scores(fitted_twice, a_few):
    again, at_once = fitted_twice.model, fitted_twice.at_once
    assert again.users == at_once.users
    assert again.compare(asked(a_few)) == at_once.compare(asked(a_few))
    assert again.score(as_answers(*columns(a_few))) == at_once.score(as_answers(*columns(a_few)))


def test_fit_leaves_the_global_generators_alone(fitted_twice):
    assert fitted_twice.after == fitted_twice.before


def test_exchanging_the_responses_negates_the_margin(fitted, a_few):
    comparisons = asked(a_few)
    shown, swapped = fitted.compare(comparisons), fitted.compare([c.swapped() for c in comparisons])
    for one, other in zip(shown, swapped, strict=True):
        assert other.margin == -one.margin
        assert other.probability == pytest.approx(1 - one.probability, abs=1e-12)
        assert other.standard_error == one.standard_error
        assert one.preference == ("tie" if one.margin == 0 else "first" if one.margin > 0 else "second")
        assert (one.probability > 0.5) == (one.margin > 0)
        assert one.probability_source == "model"


def test_a_margin_is_the_difference_of_two_rewards(fitted, a_few):
    prompts, chosen, users = columns(a_few)
    rejected = [pair.rejected_text for pair in a_few]
    of_chosen, of_rejected = (
        fitted.rewards(as_answers(prompts, chosen, users)),
        fitted.rewards(as_answers(prompts, rejected, users)),
    )
    margins = [verdict.margin for verdict in fitted.compare(asked(a_few))]
    assert np.subtract(of_chosen, of_rejected) == pytest.approx(margins, rel=1e-4, abs=1e-4)


def test_scores_depend_on_nothing_else_in_the_batch(fitted, a_few):
    prompts, texts, users = columns(a_few)
    together = fitted.rewards(as_answers(prompts, texts, users))
    alone = [
        fitted.rewards(as_answers([p], [t], [u]))[0] for p, t, u in zip(prompts, texts, users, strict=True)
    ]
    turned = fitted.rewards(as_answers(prompts[::-1], texts[::-1], users[::-1]))[::-1]
    doubled = fitted.rewards(as_answers(prompts + prompts, texts + texts, users + users))
    beside_a_long_one = fitted.rewards(
        as_answers(
            [*prompts, (user_says("calm water " * 40),)],
            [*texts, "frosty island! " * 400],
            [*users, "nobody"],
        )
    )
    for other in (alone, turned, doubled[: len(texts)], doubled[len(texts) :], beside_a_long_one[:-1]):
        assert other == pytest.approx(together, rel=1e-4, abs=1e-4)
    margins = [verdict.margin for verdict in fitted.compare(asked(a_few))]
    assert [fitted.compare([c])[0].margin for c in asked(a_few)] == pytest.approx(margins, rel=1e-4, abs=1e-4)


def test_whether_a_text_was_judged_is_told_where_it_makes_a_difference(name, make, fitted, a_few):
    told = {verdict.judged for verdict in fitted.compare(asked(a_few))}
    told |= {reward.judged for reward in fitted.score(as_answers(*columns(a_few)))}
    makes_a_difference = name.startswith("hierarchical")
    assert told == {False if makes_a_difference else None}, "all of these texts are new"
    if not makes_a_difference:
        return
    again = make().fit([*OTHER, *two_tastes.asked_as(OTHER[:2], "u9")])  # two pairs were judged twice
    for found in (
        again.compare(asked([*OTHER[:3], *a_few[:1]])),
        again.score(as_answers(*columns([*OTHER[:3], *a_few[:1]]))),
    ):
        assert [result.judged for result in found] == [True, True, False, False]


def test_learns_the_planted_tastes(name, fitted, held_out):
    own = two_tastes.accuracy(fitted, held_out)
    without = two_tastes.accuracy(fitted, two_tastes.asked_as(held_out, "nobody"))
    assert own >= 0.85
    if name in IMPERSONAL:
        assert without == own
        return
    other = {f"u{i}": f"u{(i + 1) % 10}" for i in range(10)}
    wrong = two_tastes.accuracy(
        fitted, [p.model_copy(update={"user_id": other[p.user_id]}) for p in held_out]
    )
    assert without <= own - 0.2
    assert wrong <= min(without, 0.3)


def test_the_report_of_a_fit_says_whether_the_user_changes_anything(name, fitted):
    told = fitted.fit_report()
    assert told["user changes nothing"] is (name in IMPERSONAL)
    for moved in ("own history moves a margin by", "swapped labels by", "share of verdicts moved"):
        assert (told[moved] == 0) is (name in IMPERSONAL), moved


def test_a_new_user_is_fitted_without_touching_what_is_shared(name, fitted, tmp_path):
    pairs = population(name, n_users=2, n_pairs=20, seed=9)
    before = bits(fitted._arrays()), fitted._facts()
    fitted.save(tmp_path / "before")
    for user in ("u0", "u1"):
        own = two_tastes.asked_as([p for p in pairs if p.user_id == user], f"new-{user}")
        assert fitted.fit_user(f"new-{user}", own[:10]) is fitted
        assert two_tastes.accuracy(fitted, own[10:]) >= 0.8
    assert fitted.users[-2:] == ("new-u0", "new-u1")
    assert (bits(fitted._arrays()), fitted._facts()) == before
    fitted.save(tmp_path / "after")
    old, new = files(tmp_path / "before"), files(tmp_path / "after")
    about_users = {"users.safetensors", "users.json", "model.json"}
    assert {n: c for n, c in new.items() if n not in about_users} == {
        n: c for n, c in old.items() if n not in about_users
    }


def test_fit_user_with_the_pairs_of_fit_gives_the_state_of_fit(name, fitted):
    before = bits(fitted.users_["u3"])
    fitted.fit_user("u3", [pair for pair in train_of(name) if pair.user_id == "u3"])
    assert bits(fitted.users_["u3"]) == before


def test_words_make_a_user_known_to_a_method_that_reads_them_and_change_nothing_for_another(name, fitted):
    own, before = [pair for pair in train_of(name) if pair.user_id == "u3"], bits(fitted.users_["u3"])
    said = UserWords(user_id="quiet", about="I like sunny answers.", demographics={"age": "30-39"})
    fitted.fit_user("quiet", [], said).fit_user("u3", own, said.lent_to("u3"))
    assert ("quiet" in fitted.users) == fitted.reads_words
    assert fitted.reads_words or bits(fitted.users_["u3"]) == before
    fitted.fit_user("quiet", []).fit_user("u3", own)
    assert "quiet" not in fitted.users
    assert bits(fitted.users_["u3"]) == before


def test_feedback_is_learned_from_or_left_out_and_a_user_forgets_it_with_the_rest(name, fitted):
    own, before = [pair for pair in train_of(name) if pair.user_id == "u3"], bits(fitted.users_["u3"])
    thumbs = [
        Rating(
            feedback_id=f"{user} {value}", user_id=user, prompt=own[0].prompt, response=text, value=value, scale=THUMBS
        )
        for user in ("quiet", "u3") for value, text in ((1, own[0].chosen_text), (0, own[0].rejected_text))
    ]  # fmt: skip
    fitted.fit_user("quiet", [], None, thumbs[:2]).fit_user("u3", own, None, thumbs[2:])
    assert ("quiet" in fitted.users) == ("rating" in fitted.reads_feedback)
    assert (bits(fitted.users_["u3"]) == before) == ("rating" not in fitted.reads_feedback)
    fitted.fit_user("quiet", []).fit_user("u3", own)
    assert "quiet" not in fitted.users
    assert bits(fitted.users_["u3"]) == before


def test_words_of_another_user_are_refused_and_change_nobody(fitted):
    said, before = UserWords(user_id="u3", about="I like sunny answers."), dict(fitted.users_)
    with pytest.raises(DataError, match="words given for user 'u4' are those of 'u3'"):
        fitted.fit_users({"u4": [], "u5": []}, {"u4": said})
    assert fitted.users_ == before


def test_a_history_with_swapped_labels_turns_a_user_round(name, fitted, held_out):
    if name in IMPERSONAL:
        pytest.skip("knows no users")
    swapped = [p.swapped_labels() for p in train_of(name) if p.user_id == "u0"]
    fitted.fit_user("u0", swapped)
    assert two_tastes.accuracy(fitted, [p for p in held_out if p.user_id == "u0"]) <= 0.3


def test_an_unknown_user_is_answered_by_the_population_or_refused(fitted, held_out):
    prompts, texts, _ = columns(held_out[:3])
    users = ["nobody", "u0", "no one"]
    results = fitted.score(as_answers(prompts[:1] * 3, texts[:1] * 3, users))
    assert [r.status for r in results] == ["population", "scored", "population"]
    assert results[0] == results[2]
    known = results[1]
    fitted.unknown_user = "refuse"
    results = fitted.score(as_answers(prompts[:1] * 3, texts[:1] * 3, users))
    assert [isinstance(r, Failure) and r.kind for r in results] == ["unknown_user", False, "unknown_user"]
    assert results[1].value == pytest.approx(known.value, rel=1e-4, abs=1e-4)
    verdicts = fitted.compare(asked(two_tastes.asked_as(held_out[:1], "nobody") + held_out[:1]))
    assert [type(v) for v in verdicts] == [Failure, Verdict]
    with pytest.raises(DataError, match="nobody"):
        fitted.rewards(as_answers(prompts[:1], texts[:1], ["nobody"]))


def test_a_forgotten_user_is_answered_as_unknown(fitted, held_out):
    prompts, texts, _ = columns(held_out[:1])
    fitted.forget_user("u0").fit_user("u1", []).forget_user("never there")
    nobody, u0, u1 = fitted.score(as_answers(prompts * 3, texts * 3, ["nobody", "u0", "u1"]))
    assert u0 == u1 == nobody
    assert fitted.users == tuple(f"u{i}" for i in range(2, 10))


def test_a_checkpoint_scores_the_same_to_the_bit_and_holds_no_pickle(fitted, held_out, a_few, tmp_path):
    said = UserWords(user_id="quiet", about="I like sunny answers.", demographics={"age": "30-39"})
    fitted.fit_user("quiet", [], said)
    fitted.save(tmp_path / "model")
    kinds = {path.suffix for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert kinds <= {".json", ".safetensors", ".jinja", ".txt", ".model"}
    loaded = reward_models.load(tmp_path / "model")
    assert type(loaded) is type(fitted)
    assert loaded.users == fitted.users
    assert loaded.params() == fitted.params()
    assert loaded.parameters == fitted.parameters
    for model in (fitted, loaded):
        model.fit_user("new", two_tastes.asked_as(held_out[:6], "new"))
    others = [p for who in ("nobody", "new", "quiet") for p in two_tastes.asked_as(a_few, who)]
    pairs = a_few + others
    assert loaded.compare(asked(pairs)) == fitted.compare(asked(pairs))
    assert loaded.score(as_answers(*columns(pairs))) == fitted.score(as_answers(*columns(pairs)))


def test_the_unfitted_raises(name, make, tmp_path):
    model, pair = make(), OTHER[0]
    for use in (
        lambda: model.score(as_answers([pair.prompt], [pair.chosen_text], ["u0"])),
        lambda: model.compare(asked([pair])),
        lambda: model.fit_user("u0", [pair]),
        lambda: model.forget_user("u0"),
        lambda: model.save(tmp_path / "model"),
        lambda: model.users,
        lambda: model.parameters,
    ):
        with pytest.raises(NotFittedError, match=name):
            use()
    assert not (tmp_path / "model").exists()


def test_test_rows_foreign_rows_and_no_rows_are_refused(make, fitted):
    held = OTHER[0].model_copy(update={"split": "test"})
    for use in (lambda: make().fit([*OTHER, held]), lambda: fitted.fit_user("u0", [held])):
        with pytest.raises(DataError, match="test split"):
            use()
    with pytest.raises(DataError, match="no pair"):
        make().fit([])
    with pytest.raises(DataError, match="other users"):
        fitted.fit_user("u0", [OTHER[-1]])


def test_the_smallest_data_is_enough(make):
    model = make().fit(OTHER[:1])
    assert model.users == ("u0",)
    assert np.isfinite(model.compare(asked(OTHER[:1]))[0].margin)


def test_contradictory_pairs_say_nothing_wild(fitted, held_out):
    contradictory = [q for p in held_out[:3] for q in (p, p.swapped_labels())]
    fitted.fit_user("u0", two_tastes.asked_as(contradictory, "u0"))
    verdicts = fitted.compare(asked(two_tastes.asked_as(held_out, "u0")))
    assert all(np.isfinite(verdict.margin) for verdict in verdicts)
    fitted.fit_user("u0", two_tastes.asked_as(held_out[:1], "u0"))
    assert np.isfinite(fitted.compare(asked(two_tastes.asked_as(held_out[:1], "u0")))[0].margin)


def test_any_text_is_scored(fitted):
    texts = ["", " ", "\ud800 lone surrogate", "😀 \x00 " * 3, "sunny water " * 3000, "\n\n```\n"]
    prompts = [(user_says("?"),)] * (len(texts) - 1) + [(user_says("calm " * 5000),)]
    for user in ("u0", "nobody"):
        results = fitted.score(as_answers(prompts, texts, [user] * len(texts)))
        assert all(isinstance(r, Reward) and np.isfinite(r.value) for r in results)


def test_nothing_is_scored_without_anything_to_score(fitted):
    assert (
        fitted.score(as_answers([], [], [])),
        fitted.compare([]),
        fitted.rewards(as_answers([], [], [])),
    ) == ([], [], [])
    with pytest.raises(ValueError, match="shorter"):
        as_answers([OTHER[0].prompt], [], [])


def test_the_docstring_names_shapes_objective_back_off_and_references(name):
    method = reward_models.method(name)
    text = inspect.getdoc(method)
    assert "References:" in text
    for module, other in re.findall(r"`(reward_models\.\w+)\.(\w+)`", text):
        text += inspect.getdoc(
            getattr(importlib.import_module(module), other)
        )  # it says what it has in common with that one
    assert re.search(r"\((\w+, )*[A-Za-z]\w*,?\)|\(\w+, \d+\)", text), "shapes such as (n, D)"
    assert re.search(r"objective", text, re.IGNORECASE)
    assert re.search(r"sigma|max\(0|log", text), "a formula"
    assert re.search(r"unknown user|without a user|no user", text, re.IGNORECASE), "the back-off"
    assert re.search(r"\b(19|20)\d\d\b|arXiv", text.partition("References:")[2])
    assert [p for p in method_parameters(method) if not re.search(rf"\b{p}\b", text)] == []
