"""Rows of features: centred and scaled on the training responses, the same in any company."""

from __future__ import annotations

import zlib
from itertools import combinations

import numpy as np
import pytest
from invented import user_says
from sklearn.decomposition import PCA

from reward_models import _basis
from reward_models._basis import CLIP, COMPONENTS, GROUPS, STYLE, Basis
from reward_models._hierarchy import Variances
from reward_models._sketches import wording
from reward_models._types import Item
from synthesizeme import stylometry

WORDS = ["calm", "water", "rope", "sail", "mast", "tar", "gull", "tide", "reef", "moon"]
ASKED, OTHER = (user_says("How deep is it?"),), (user_says("Where is the calm water?"),)
AWKWARD = ["", " ", "\x00", "他们在喝茶。😀", "\ud800 alone", "rope tar " * 20_000, "\n\n```\n"]


class Hashed:
    """Features that look random and depend on the text alone; keeps what it was asked."""

    identity, dim, prompt_dim = "hashed", 24, 24

    def __init__(self):
        self.asked = []

    def responses(self, prompts, responses):
        assert len(prompts) == len(responses)
        self.asked.extend(responses)
        return np.stack([embedding(text) for text in responses])

    def prompts(self, prompts):
        return np.stack([embedding(prompt[-1].content) for prompt in prompts])


def embedding(text):
    seed = zlib.crc32(text.encode("utf-8", "surrogatepass"))
    vector = np.random.default_rng(seed).normal(size=Hashed.dim) + 0.3
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def items(n, seed=0, prompts=(ASKED, OTHER)):
    """Distinct items with texts of different lengths and marks."""
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < n:
        text = " ".join(rng.choice(WORDS, size=int(rng.integers(2, 14)))) + rng.choice([".", "!", "?", ""])
        item = Item(prompts[len(found) % len(prompts)], text)
        found += [item] if item not in found else []
    return found


@pytest.fixture(params=[None, Hashed], ids=["named", "encoded"])
def encoder(request):
    return request.param and request.param()


def learned(encoder, known, seed=0):
    basis = Basis(encoder)
    basis.learn(known, seed)
    return basis


def restored(basis):
    """The same basis with nothing remembered."""
    fresh = Basis(basis.encoder)
    fresh.restore(basis.arrays)
    return fresh


def columns(basis, name, side="shared"):
    """Where a group stands among the shared or the user features."""
    begin = 0
    for other in basis.names:
        if getattr(GROUPS[other], side):
            end = begin + basis.width(other)
            if other == name:
                return slice(begin, end)
            begin = end
    raise AssertionError(f"{name} has no {side} columns")


def bits(rows):
    return tuple(side.tobytes() for side in rows)


def distances(rows):
    return np.array([np.linalg.norm(rows[i] - rows[j]) for i, j in combinations(range(len(rows)), 2)])


def test_named_features_are_the_first_columns_centred_with_deviation_one(encoder):
    known = items(60)
    basis = learned(encoder, known)
    raw = np.array([stylometry.measure(item.response, item.prompt[-1].content) for item in known])
    spread = raw.std(axis=0)
    expected = (raw - raw.mean(axis=0)) / np.where(spread > 1e-6, spread, 1)
    assert np.abs(expected).max() < CLIP
    for side in basis.rows(known):
        np.testing.assert_allclose(side[:, :STYLE], expected, atol=1e-4)
    assert (spread > 1e-6).sum() >= 6, "some vary"
    assert (spread <= 1e-6).any(), "some do not"


def test_vectors_are_centred_and_keep_every_distance_where_there_are_few_items():
    known = items(12)
    basis = learned(Hashed(), known)
    shared, own = basis.rows(known)
    for rows in (shared, own):
        assert np.abs(rows.mean(axis=0)).max() < 1e-4
    for raw, name, side, rows in (
        (np.stack([embedding(item.response) for item in known]), "meaning", "shared", shared),
        (np.stack([embedding(item.response) for item in known]), "meaning", "own", own),
        (wording([item.response for item in known]), "wording", "own", own),
    ):
        found = rows[:, columns(basis, name, side)]
        assert found.shape[1] == len(known) - 1, f"components of {name}"
        ratios = distances(found) / distances(raw)
        assert ratios == pytest.approx(np.full(len(ratios), ratios[0]), rel=1e-3), name
        assert 0.3 < (found**2).sum(axis=1).mean() < 1.01, f"total variance of {name}"


def test_the_embedding_of_the_response_has_a_total_variance_of_one():
    known = items(12)
    basis = learned(Hashed(), known)
    meaning = basis.rows(known)[0][:, columns(basis, "meaning")]
    assert (meaning**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)


def test_components_are_the_principal_ones(monkeypatch):
    monkeypatch.setitem(COMPONENTS, "meaning", 5)
    known = items(80)
    basis = learned(Hashed(), known)
    meaning = basis.rows(known)[0][:, columns(basis, "meaning")]
    raw = np.stack([embedding(item.response) for item in known]).astype(np.float64)
    scale = np.sqrt(((raw - raw.mean(axis=0)) ** 2).sum(axis=1).mean())
    expected = PCA(5, svd_solver="full").fit_transform(raw) / scale
    assert meaning.shape == expected.shape
    assert distances(meaning) == pytest.approx(distances(expected), abs=1e-3)
    assert meaning.var(axis=0) == pytest.approx(expected.var(axis=0), rel=1e-3)


def test_relevance_is_the_cosine_of_prompt_and_response():
    known = [*items(20), Item(OTHER, OTHER[-1].content)]
    basis = learned(Hashed(), known)
    found = basis.rows(known)[0][:, columns(basis, "relevance")][:, 0]
    cosines = []
    for item in known:
        a, b = embedding(item.response), embedding(item.prompt[-1].content)
        cosines.append(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert found == pytest.approx((cosines - np.mean(cosines)) / np.std(cosines), abs=1e-3)
    assert found.argmax() == 20, "a response that repeats the prompt"


def test_the_prompt_enters_where_it_should():
    known = items(30)
    basis = learned(Hashed(), known)
    shared, own = basis.rows([Item(ASKED, "rope and sail."), Item(OTHER, "rope and sail.")])
    for rows, side, name, same in (
        (shared, "shared", "meaning", True),
        (own, "own", "wording", True),
        (shared, "shared", "relevance", False),
        (shared, "shared", "answering", False),
    ):
        place = columns(basis, name, side)
        assert np.array_equal(rows[0, place], rows[1, place]) == same, name


def test_rows_depend_on_nothing_else_in_the_batch(encoder):
    known = items(40)
    basis = learned(encoder, known)
    asked = known[:5] + items(8, seed=1) + [Item(ASKED, text) for text in AWKWARD]
    together = basis.rows(asked)
    assert bits(restored(basis).rows(asked)) == bits(together), "remembered or not"
    alone = [restored(basis).rows([item]) for item in asked]
    assert bits(np.concatenate(side) for side in zip(*alone, strict=True)) == bits(together)
    backwards = restored(basis).rows(asked[::-1] + asked[:3])
    assert bits(side[: len(asked)][::-1] for side in backwards) == bits(together)
    assert bits(side[len(asked) :] for side in backwards) == bits(side[:3] for side in together)


def test_any_text_has_bounded_rows(encoder):
    basis = learned(encoder, items(40))
    for side in basis.rows([Item(ASKED, text) for text in AWKWARD]):
        assert np.isfinite(side).all()
        assert np.abs(side).max() == CLIP, "far beyond the training responses"


def test_variances_stand_for_the_columns_group_by_group(encoder):
    basis = learned(encoder, items(40))
    for rows, variances, side in zip(basis.rows(items(2)), basis.variances(), ("shared", "own"), strict=True):
        assert variances.shape == (rows.shape[1],)
        for name in basis.names:
            if getattr(GROUPS[name], side):
                assert (variances[columns(basis, name, side)] == getattr(GROUPS[name], side)).all()


def test_a_group_of_variance_zero_is_left_out(monkeypatch):
    whole = learned(Hashed(), items(20))
    width = whole.rows(items(1))[1].shape[1]
    monkeypatch.setitem(GROUPS, "relevance", _basis.Group("relevance", shared=0.1, own=0.0))
    narrow = learned(Hashed(), items(20))
    assert narrow.rows(items(1))[1].shape[1] == narrow.variances()[1].shape[0] == width - 1
    assert np.array_equal(narrow.rows(items(3))[0], whole.rows(items(3))[0])


@pytest.mark.parametrize("prompts", [(ASKED,), (ASKED, OTHER)])
def test_responses_that_are_all_the_same_have_finite_rows(encoder, prompts):
    same = [Item(prompt, "Aye.") for prompt in prompts]
    basis = learned(encoder, same)
    for rows, variances in zip(basis.rows(same), basis.variances(), strict=True):
        assert rows.shape == (len(same), len(variances))
        assert np.abs(rows.mean(axis=0)).max() < 1e-3
        assert np.abs(rows).max() < CLIP
    other = "Something else entirely!"
    moved = np.subtract(*(stylometry.measure(text, ASKED[-1].content) for text in (other, "Aye.")))
    for side in basis.rows([Item(ASKED, other)]):
        assert np.isfinite(side).all()
        constant = basis.arrays["style.scale"] == 1
        assert side[0, :STYLE][constant] == pytest.approx(np.clip(moved, -CLIP, CLIP)[constant], abs=1e-5)
        assert constant.sum() > STYLE / 2, "a scale of their own stands in for a spread of nothing"


def test_what_is_restored_gives_the_same_bits(encoder):
    known, asked = items(30), items(10, seed=2)
    basis = learned(encoder, known)
    assert all(array.dtype == np.float32 for array in basis.arrays.values())
    fresh = restored(basis)
    assert bits(fresh.rows(known + asked)) == bits(basis.rows(known + asked))
    assert bits(fresh.variances()) == bits(basis.variances())
    assert fresh.arrays.keys() == basis.arrays.keys()
    with pytest.raises(KeyError):
        Basis(encoder).restore({name: basis.arrays[name] for name in list(basis.arrays)[1:]})


def test_restoring_forgets_the_rows_of_before(encoder):
    basis, other = learned(encoder, items(30)), learned(encoder, items(25, seed=3))
    asked = items(4)
    before = bits(basis.rows(asked))
    basis.restore(other.arrays)
    assert bits(basis.rows(asked)) == bits(restored(other).rows(asked)) != before


def test_learning_again_forgets_too(encoder):
    basis = learned(encoder, items(30))
    basis.learn(items(25, seed=3), 0)
    assert bits(basis.rows(items(30))) == bits(learned(encoder, items(25, seed=3)).rows(items(30)))


def test_an_item_that_occurs_often_counts_once(encoder):
    known = items(20)
    once, often = learned(encoder, known), learned(encoder, known[:1] * 9 + known + known[3:5] * 4)
    assert all(np.array_equal(once.arrays[name], often.arrays[name]) for name in once.arrays)


def test_components_come_from_a_sample_that_the_seed_draws(monkeypatch, encoder):
    monkeypatch.setattr(_basis, "_SAMPLE", 10)
    known = items(40)
    one, same, other = (learned(encoder, known, seed).arrays for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["wording.components"], other["wording.components"])
    assert np.array_equal(one["style.scale"], other["style.scale"]), "all items are in centres and scales"
    assert learned(encoder, known).width("wording") <= 10


def test_every_item_is_encoded_once_while_it_is_remembered(monkeypatch):
    encoder, known = Hashed(), items(12)
    basis = learned(encoder, [*known, *known])
    assert encoder.asked == [item.response for item in known]
    basis.rows(known * 2)
    new = items(3, seed=5)
    basis.rows(new * 4)
    basis.rows([*known, *new])
    assert encoder.asked == [item.response for item in [*known, *new]]


def test_no_more_is_remembered_than_was_said_and_nothing_lost_by_that(monkeypatch):
    encoder, known = Hashed(), items(12)
    basis = learned(encoder, known)
    expected = bits(basis.rows(known))
    monkeypatch.setattr(_basis, "REMEMBERED", 4)
    new = items(1, seed=5)
    basis.rows(new)
    asked = len(encoder.asked)
    assert bits(basis.rows(known)) == expected
    again = encoder.asked[asked:]
    assert again == [item.response for item in known[:9]], "the newest three and the new one were remembered"


# What the features do not represent.


def exact(basis, name, raw):
    """r of every row of a group, in its full length, divided by the group's scale."""
    components, centre, scale = (
        basis.arrays[f"{name}.{it}"].astype(np.float64) for it in ("components", "centre", "scale")
    )
    centred = raw.astype(np.float64) - centre
    return (centred - centred @ components.T @ components) / scale


def outside_of(basis, name, asked, others=(), *, of="own"):
    """(|r|^2 - t)+ of one group: the variance where its prior variance is one and that of others is zero."""
    shared, own = (np.zeros_like(side) for side in basis.variances())
    (own if of == "own" else shared)[columns(basis, name, of)] = 1
    return basis.outside(Variances(shared, own), asked, others)


def test_what_components_leave_out_is_measured_to_an_eighth_and_the_usual_part_is_not_counted(monkeypatch):
    monkeypatch.setitem(COMPONENTS, "wording", 10)
    known, new = items(60), items(40, seed=5)
    basis = learned(Hashed(), known)
    usual = (exact(basis, "wording", wording([item.response for item in known])) ** 2).sum(axis=1).mean()
    assert basis.arrays["wording.usual"][0] == pytest.approx(usual, rel=0.05)
    rest = exact(basis, "wording", wording([item.response for item in new]))
    first, second = rest[:20], rest[20:]
    for found, expected, allowed in (
        (outside_of(basis, "wording", new), (rest**2).sum(axis=1), usual),
        (outside_of(basis, "wording", new[:20], new[20:]), ((first - second) ** 2).sum(axis=1), 2 * usual),
    ):
        errors = found - np.maximum(expected - allowed, 0)
        assert np.abs(errors).max() < 0.5 * expected.mean(), "four standard deviations of the sketch"
        assert abs(errors.mean()) < 0.05 * expected.mean()
        assert found.mean() > 0.1 * expected.mean(), "new texts have more of it than those learned from"


def test_texts_within_the_span_of_the_training_texts_have_nothing_outside():
    known = items(12)
    basis = learned(Hashed(), known)
    for name, of in (("meaning", "own"), ("wording", "own"), ("answering", "shared")):
        assert outside_of(basis, name, known, of=of) == pytest.approx(0, abs=1e-4), name
        assert (outside_of(basis, name, items(5, seed=3), of=of) > 0.01).all(), name


def test_a_text_differs_from_itself_in_nothing_however_far_away_it_is(encoder):
    basis = learned(encoder, items(40))
    far = [Item(ASKED, text) for text in AWKWARD]
    variances = Variances(*basis.variances())
    assert (basis.outside(variances, far, far) == 0).all()
    assert (basis.outside(variances, far) > 0.01).all()


def test_what_is_cut_off_of_a_named_feature_is_outside():
    basis = learned(None, items(60))
    exclamations = [feature.name for feature in stylometry.FEATURES].index("exclamations")
    centre, scale = (basis.arrays[f"style.{it}"][exclamations] for it in ("centre", "scale"))
    own = np.zeros_like(basis.variances()[1])
    own[:STYLE] = 2
    loud = [Item(ASKED, "Rope and sail." + " !" * 10**k) for k in range(5)]
    values = np.array([stylometry.measure(item.response, "")[exclamations] for item in loud])
    cut = np.maximum((values - centre) / scale - CLIP, 0)
    assert cut[0] == 0 < cut[-1], "the last is beyond what the features say"
    found = basis.outside(Variances(0 * basis.variances()[0], own), loud)
    assert found == pytest.approx(2 * cut**2, abs=1e-3)


def test_what_is_outside_depends_on_nothing_else_in_the_batch_and_survives_a_checkpoint(encoder):
    basis = learned(encoder, items(40))
    asked = [*items(8, seed=1), *(Item(ASKED, text) for text in AWKWARD)]
    variances = Variances(*basis.variances())
    together = basis.outside(variances, asked, asked[::-1])
    again = restored(basis)
    alone = [again.outside(variances, [a], [b])[0] for a, b in zip(asked, asked[::-1], strict=True)]
    assert np.array(alone).tobytes() == together.tobytes()
