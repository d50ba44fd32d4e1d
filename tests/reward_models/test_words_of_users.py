"""What a user wrote, as features of agreement: what they are, when they count, and what is learned from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hashed_texts import ASKED, Hashed, asked, asked_as, embedding, flat, likes, numbers, population
from invented import user_says

import reward_models
from reward_models._basis import Basis
from reward_models._features import Encoded
from reward_models._own_words import OwnWords, as_of
from reward_models._types import Item
from reward_models.hierarchical import Hierarchical
from reward_models.hierarchical_stylometric import HierarchicalStylometric
from synthesizeme.feedback import OwnAnswer, UserWords
from synthesizeme.types import Comparison

pytestmark = pytest.mark.usefixtures("taste_alone")

NOON = datetime(2024, 6, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TOPICS = ("harbours", "lanterns", "meadows", "granite", "whistles", "orchards")
SAID = UserWords(
    user_id="u",
    answers=(
        OwnAnswer(question="Where to?", text="over calm water", answered_at=NOON),
        OwnAnswer(question="And why?", text="the small island is near", answered_at=NOON + HOUR),
    ),
    about="I sail a ship.",
    wishes=("be brief",),
)


@pytest.fixture(scope="module")
def basis():
    basis = Basis(Encoded(Hashed()))
    basis.learn([Item(ASKED, f"the {a} and a {b}") for a in TOPICS for b in TOPICS], 0)
    return basis


@pytest.fixture
def words(basis):
    found = OwnWords(basis, texts=True, demographics=False)
    found.learn({})
    return found


def unit(vector):
    return vector / max(np.linalg.norm(vector), 1e-12)


# The features.


def test_a_feature_is_the_product_with_the_mean_of_the_users_own_texts(basis, words):
    state = words.state(SAID)
    asked_why = (user_says("  and WHY? "),)
    prompts = [ASKED, asked_why, (user_says("Anything else?"),)]
    own = basis.rows([Item(prompt, "the ship sails near home") for prompt in prompts])[1]
    found = words.rows(prompts, own, [state] * 3)
    assert found.shape == (3, words.count()) == (3, 4)
    texts = ["over calm water", "the small island is near", "I sail a ship.", "be brief"]
    of_texts = basis.rows([Item(ASKED, text) for text in texts])[1]
    for g, name in enumerate(("meaning", "wording")):
        place = basis.place(name)
        units = np.stack([unit(row) for row in of_texts[:, place]])
        everything = own[:, place] @ unit(units.mean(axis=0))
        assert found[:, 2 * g] == pytest.approx(everything, abs=1e-5)
        to_the_question = [own[0, place] @ units[0], own[1, place] @ units[1], 0.0]
        assert found[:, 2 * g + 1] == pytest.approx(to_the_question, abs=1e-5)


def test_agreement_is_linear_in_the_response(basis, words):
    state = words.state(SAID)
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 5, len(basis.variances()[1])))
    prompts, states = [ASKED] * 5, [state] * 5
    both = words.rows(prompts, 2 * one - 3 * two, states)
    apart = 2 * words.rows(prompts, one, states) - 3 * words.rows(prompts, two, states)
    assert both == pytest.approx(apart, abs=1e-9)
    assert np.abs(both).min() > 0


def test_every_response_is_read_with_its_own_users_words_alone(basis, words):
    states = [
        words.state(SAID),
        None,
        words.state(UserWords(user_id="v", about="granite whistles")),
        words.state(None),
    ]
    own = np.random.default_rng(1).normal(size=(4, len(basis.variances()[1])))
    together = words.rows([ASKED] * 4, own, states)
    assert not together[[1, 3]].any()
    for i in (0, 2):
        assert together[i].tobytes() == words.rows([ASKED], own[i : i + 1], [states[i]])[0].tobytes()
        assert np.abs(together[i]).max() > 0


def test_no_text_is_kept_and_every_user_has_the_same_arrays(words, named):
    for found, spoken, sizes in (
        (words, SAID, [4, 4, 4, 0]),
        (words, None, [0, 0, 0, 0]),
        (words, UserWords(user_id="u"), [0, 0, 0, 0]),
        (named, SAID, [0, 0, 0, 0]),
        (named, UserWords(user_id="u", demographics={"age": "65+"}), [0, 0, 0, 1]),
    ):
        state = found.state(spoken)
        assert list(state) == ["said", "said_at", "said_to", "demographics"]
        assert [array.dtype.name for array in state.values()] == ["float32", "float64", "uint64", "float64"]
        assert [len(array) for array in state.values()] == sizes


def test_what_was_said_later_is_left_out(words):
    state = words.state(SAID)
    for moment, reached in ((None, 4), (NOON - HOUR, 2), (NOON, 3), (NOON + HOUR, 4)):
        found = as_of(state, moment)
        assert [len(found[name]) for name in ("said", "said_at", "said_to")] == [reached] * 3
    assert len(as_of(state, NOON.replace(tzinfo=None))["said"]) == 3, "without a zone it is UTC"
    assert len(state["said"]) == 4, "the state itself stays"


def test_features_have_standard_deviation_one_over_the_pairs_of_users_who_spoke(words):
    rng = np.random.default_rng(3)
    words.learn_scale([5 * rng.normal(size=(40, 4)), np.zeros((30, 4)), 5 * rng.normal(size=(60, 4))])
    assert words.arrays["words.scale"] == pytest.approx([5] * 4, rel=0.2)
    words.learn_scale([np.tile([2.0, 0.0, 0.0, 0.0], (3, 1))])
    assert words.arrays["words.scale"].tolist() == [2, 1, 1, 1]


# Demographics, which are read only where that is asked for.


def people(n, field="age", values=("18-29", "65+")):
    return {f"u{i}": UserWords(user_id=f"u{i}", demographics={field: values[i % 2]}) for i in range(n)}


@pytest.fixture
def named(basis):
    found = OwnWords(basis, texts=False, demographics=True)
    rare = {"rare": UserWords(user_id="rare", demographics={"age": "18-29", "shoe size": "46"})}
    found.learn(people(12) | rare)
    return found


def test_named_values_are_coordinates_of_the_user_times_components_of_the_meaning(basis, named):
    assert named.values == ["age: 18-29", "age: 65+"], "fewer than five gave the other"
    young, old = (named.state(UserWords(user_id="x", demographics={"age": v})) for v in ("18-29", "65+"))
    assert young["demographics"] * old["demographics"] < 0
    own = basis.rows([Item(ASKED, "the ship sails near home")])[1]
    found = named.rows([ASKED] * 2, np.repeat(own, 2, axis=0), [young, old])
    meaning = own[0, basis.place("meaning")][:16]
    assert found.shape == (2, len(meaning)) == (2, named.count())
    for row, state in zip(found, (young, old), strict=True):
        assert row == pytest.approx(state["demographics"][0] * meaning)
    assert named.variances() == pytest.approx(np.full(len(meaning), 0.002))


def test_values_that_training_did_not_see_are_left_out(named):
    nothing = {"shoe size": "46", "age": "none of your business", "": "x"}
    assert len(named.state(UserWords(user_id="x", demographics=nothing))["demographics"]) == 0
    known = named.state(UserWords(user_id="x", demographics={"age": "65+"}))
    more = named.state(UserWords(user_id="x", demographics={"age": "65+", "planet": "Mars"}))
    assert len(known["demographics"]) == 1
    assert known["demographics"].tolist() == more["demographics"].tolist()


def test_words_are_not_read_with_demographics_alone_nor_demographics_with_words_alone(named, words):
    both = SAID.model_copy(update={"demographics": {"age": "65+"}})
    assert {name for name, array in named.state(both).items() if len(array)} == {"demographics"}
    assert {name for name, array in words.state(both).items() if len(array)} == {"said", "said_at", "said_to"}


# In the model.


def topical(user, number, liked, disliked, rng, **fields):
    def text(topic):
        rest = rng.choice(["calm", "near", "small", "old", "far", "wide"], size=3)
        return f"{rest[0]} {topic} and {rest[1]} {topic}, {rest[2]} number {number}"

    return likes(user, number, text(liked), text(disliked)).model_copy(update=fields)


def said_of(user, topic):
    return UserWords(user_id=user, about=f"I love {topic}, and all {topic} there are.")


def speakers(n, pairs, *, seed=0, prefix="u"):
    """Users who like one topic, which nothing but their words tells, with all topics equally many; and their words."""
    rng = np.random.default_rng(seed)
    histories, words = {}, {}
    for i in range(n):
        user, liked = f"{prefix}{i}", TOPICS[i % len(TOPICS)]
        words[user] = said_of(user, liked)
        others = [topic for topic in TOPICS if topic != liked]
        histories[user] = [topical(user, k, liked, others[k % 5], rng) for k in range(pairs)]
    return histories, words


def aged(words):
    """The same words, every second user's with another age."""
    return {
        user: said.model_copy(update={"demographics": {"age": TOPICS[i % 2]}})
        for i, (user, said) in enumerate(words.items())
    }


@pytest.fixture(scope="module")
def told():
    """A model of 36 users with five pairs each, and their words."""
    histories, words = speakers(36, 5)
    return HierarchicalStylometric().fit(flat(histories), words)


def accuracy(model, pairs):
    return np.mean([verdict.preference == "first" for verdict in model.compare(asked(pairs))])


def test_agreement_is_learned_across_users_and_carries_over_to_who_has_words_alone(told):
    histories, words = speakers(30, 10, seed=1, prefix="new")
    users = dict(told.users_)
    told.fit_users(dict.fromkeys(histories, ()), words)
    own = accuracy(told, flat(histories))
    nobody = accuracy(told, asked_as("nobody", flat(histories)))
    names = list(words)
    lent = {user: words[names[(i + 1) % 30]].lent_to(user) for i, user in enumerate(names)}
    told.fit_users(dict.fromkeys(histories, ()), lent)
    anothers = accuracy(told, flat(histories))
    told.users_ = users
    assert own > 0.95
    assert nobody == pytest.approx(0.5, abs=0.1)
    assert anothers < 0.55, "at chance, or misled where the other topic is the rejected one"


def test_words_alone_make_a_user_known(told):
    pair = topical("quiet", 0, "granite", "meadows", np.random.default_rng(5))
    nobody = told.compare(asked([pair]))[0]
    users = dict(told.users_)
    told.fit_user("quiet", [], said_of("quiet", "granite"))
    own = told.compare(asked([pair]))[0]
    told.fit_user("quiet", [], said_of("other", "meadows").lent_to("quiet"))
    lent = told.compare(asked([pair]))[0]
    told.fit_user("quiet", [], UserWords(user_id="quiet"))
    silent = told.compare(asked([pair]))[0]
    told.users_ = users
    assert own.margin > nobody.margin + 0.5
    assert lent.margin < nobody.margin - 0.5
    assert silent == nobody


def test_users_who_spoke_and_have_no_pairs_are_known_after_fit():
    histories, words = speakers(6, 4)
    model = HierarchicalStylometric(variances="fixed").fit(
        flat(histories), {**words, "quiet": said_of("quiet", "granite")}
    )
    assert model.users == (*histories, "quiet")
    assert model.users_["quiet"]["mean"].any() == np.False_
    assert len(model.users_["quiet"]["said"]) == 1


def timed(said_at, pair_at=None):
    said = UserWords(
        user_id="late",
        answers=(OwnAnswer(question="What do you love?", text="I love granite.", answered_at=said_at),),
    )
    shown = topical("late", 0, "granite", "meadows", np.random.default_rng(5), created_at=pair_at)
    return said, shown


def test_only_what_was_said_by_the_moment_of_a_question_counts_for_it(told):
    users = dict(told.users_)
    said, shown = timed(NOON)
    nobody = told.compare(asked([shown]))[0].margin
    told.fit_user("late", [], said)
    found = {
        moment: told.compare(asked([shown.model_copy(update={"created_at": moment})]))[0].margin
        for moment in (None, NOON - HOUR, NOON, NOON + HOUR)
    }
    together = told.compare(asked([shown.model_copy(update={"created_at": m}) for m in found]))
    told.users_ = users
    assert found[NOON - HOUR] == nobody
    assert found[None] == found[NOON] == found[NOON + HOUR] != nobody
    assert [verdict.margin for verdict in together] == list(found.values())


def test_only_what_was_said_by_the_moment_of_a_choice_is_learned_from(told):
    said, shown = timed(NOON, NOON - HOUR)
    later = shown.model_copy(update={"created_at": NOON + HOUR})
    rows = told._differences([shown, later], said)
    agreement = rows.shared[:, -told.words_.count() :]
    assert not agreement[0].any()
    assert agreement[1].any()


def test_the_scale_of_agreement_is_learned_from_the_users_who_spoke():
    histories, words = speakers(12, 6)
    spoke = {user: words[user] for user in list(words)[:6]}
    model = HierarchicalStylometric(variances="fixed").fit(flat(histories), spoke)
    rows = np.concatenate([model._differences(histories[user], spoke[user]).shared for user in spoke])
    agreement = rows[:, -model.words_.count() :]
    assert (agreement[:, 0] ** 2).mean() == pytest.approx(1)
    silent = model._differences(histories["u9"]).shared[:, -model.words_.count() :]
    assert not silent.any()


AWKWARD = {
    "another language": UserWords(user_id="x", about="他们在喝茶。😀", wishes=("Пиши коротко, пожалуйста.",)),
    "a long text": UserWords(user_id="x", about="harbour lights " * 60_000),
    "no letters": UserWords(user_id="x", about="\x00?", wishes=("```", "\u200b.")),
    "many answers": UserWords(
        user_id="x",
        answers=tuple(OwnAnswer(question=f"Q{i % 7}?", text=f"answer {i}") for i in range(300)),
    ),
    "demographics alone": UserWords(user_id="x", demographics={"planet": "Mars", "age": "-1"}),
}


@pytest.mark.parametrize("which", AWKWARD)
@pytest.mark.parametrize("knows", ["choices+words", "choices+words+demographics"])
def test_any_words_are_read(which, knows, encoder):
    histories, words = speakers(12, 4)
    words = aged(words)
    for kind in (Hierarchical, HierarchicalStylometric):
        model = kind(variances="fixed", knows=knows).fit(flat(histories), words)
        shown = asked_as("x", histories["u0"])
        nobody = numbers(model.compare(asked(shown)))
        model.fit_user("x", [], AWKWARD[which])
        found = numbers(model.compare(asked(shown)))
        assert np.isfinite(found).all()
        assert np.abs(found[0]).max() < 20
        if which == "demographics alone":
            assert found.tolist() == nobody.tolist(), "fields that training did not see"
        elif which == "a long text":
            assert len(AWKWARD[which].about) == 20_000


def test_a_model_knows_what_it_was_asked_to_know(encoder):
    histories, words = speakers(12, 6)
    words = aged(words)
    pairs, train = histories["u0"], flat(histories)
    swapped = [pair.swapped_labels() for pair in pairs]
    of_another = words["u1"].lent_to("u0")
    older = words["u0"].model_copy(update={"demographics": {"age": TOPICS[1]}})
    for knows in ("choices", "words", "demographics", "choices+words", "words+demographics",
                  "choices+demographics", "choices+words+demographics"):  # fmt: skip
        model = Hierarchical(knows=knows, variances="fixed").fit(train, words)
        said = {}
        for name, history, spoken in (
            ("own", pairs, words["u0"]),
            ("other choices", swapped, words["u0"]),
            ("other words", pairs, of_another.model_copy(update={"demographics": words["u0"].demographics})),
            ("other age", pairs, older),
            ("no words", pairs, None),
        ):
            model.fit_user("u0", history, spoken)
            said[name] = numbers(model.compare(asked(pairs)))[0].tolist()
        known = knows.split("+")
        assert (said["other choices"] != said["own"]) == ("choices" in known), knows
        assert (said["other words"] != said["own"]) == ("words" in known), knows
        assert (said["other age"] != said["own"]) == ("demographics" in known), knows
        assert (said["no words"] != said["own"]) == (known != ["choices"]), knows
        nobody = numbers(model.compare(asked(asked_as("nobody", pairs))))[0].tolist()
        assert said["own"] != nobody, knows


def test_choices_are_still_learned_from_beside_words(encoder):
    histories, _ = population(10, 30, own=5.0, shared=1.0)
    words = {user: said_of(user, TOPICS[i % 6]) for i, user in enumerate(histories)}
    train, held_out = flat(histories, slice(20)), flat(histories, slice(20, None))
    silent, with_words = Hierarchical().fit(train), Hierarchical().fit(train, words)
    losses = [-np.log(numbers(m.compare(asked(held_out)))[2]).mean() for m in (silent, with_words)]
    assert losses[1] < losses[0] + 0.02, "words that tell nothing do no harm"
    assert losses[1] < np.log(2) - 0.05


@pytest.mark.parametrize("knows", ["choices+words", "words", "choices+words+demographics"])
def test_a_checkpoint_with_words_says_the_same_to_the_bit_and_holds_none_of_them(knows, tmp_path, encoder):
    histories, words = speakers(12, 6)
    words = aged(words)
    words = {user: said for user, said in words.items() if user not in ("u3", "u4")}  # who said nothing
    model = Hierarchical(knows=knows).fit(flat(histories), words)
    model.fit_user("quiet", [], SAID.lent_to("quiet"))
    model.save(tmp_path / "model")
    loaded = reward_models.load(tmp_path / "model")
    assert loaded.knows == knows
    assert loaded.users == model.users == (*histories, "quiet")
    shown = [
        c.model_copy(update={"created_at": moment})
        for c in asked([*flat(histories), *asked_as("quiet", histories["u1"])])
        for moment in (None, NOON - HOUR)
    ]
    assert loaded.compare(shown) == model.compare(shown)
    for one in (loaded, model):
        one.fit_user("late", histories["u2"][:0], said_of("late", "granite"))
    late = [c.model_copy(update={"user_id": "late"}) for c in shown[:8]]
    assert loaded.compare(late) == model.compare(late)
    stored = b"".join(p.read_bytes() for p in (tmp_path / "model").rglob("*") if p.is_file())
    assert b"I love" not in stored
    assert b"calm water" not in stored
    assert (b"age: harbours" in stored) == ("demographics" in knows), "the values that training saw"


def test_the_embedding_is_read_where_there_is_one(encoder):
    """A response agrees in meaning with words that share no letter with it, where the vectors say so."""
    histories, _ = population(4, 6)
    text = histories["u0"][0].chosen_text
    model = Hierarchical(variances="fixed").fit(flat(histories), {"u0": UserWords(user_id="u0", about=text)})
    state = model.words_.state(UserWords(user_id="u0", about=text))
    own = model.basis_.rows([Item(ASKED, text)])[1]
    meaning = own[0, model.basis_.place("meaning")]
    assert embedding(text).shape == (8,)
    agreement = model.words_.rows([ASKED], own, [state])[0] * model.words_.arrays["words.scale"]
    assert agreement[0] == pytest.approx(np.linalg.norm(meaning), rel=1e-5)
    asked_one = Comparison(pair_id="x", user_id="u0", prompt=ASKED, first=text, second="granite")
    assert np.isfinite(model.compare([asked_one])[0].margin)
