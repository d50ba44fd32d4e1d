from __future__ import annotations

import numpy as np
import planted_words
import pytest
import tiny_backbones
import torch
from invented import user_says

import reward_models
from reward_models._backbone import open_backbone
from reward_models.persona_prompted import PersonaPrompted
from reward_models.pplug import Pplug, PplugNetwork
from synthesizeme.errors import ConfigError
from synthesizeme.scoring import as_answers

pytestmark = pytest.mark.usefixtures("taste_alone")

TRAIN = planted_words.population(n_users=10, n_pairs=12, split="train")
HELD_OUT = planted_words.population(n_users=10, n_pairs=10, seed=1)
SHARED = {"batch_size": 16, "max_length": 64, "precision": "float32"}
FAST = SHARED | {"features": "stylometric", "epochs": 10, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """Folder of a persona-prompted checkpoint that reads likes in words."""
    place = tmp_path_factory.mktemp("pplug")
    texts = [*planted_words.texts(TRAIN), *["likes"] * 9]
    backbone = str(tiny_backbones.make(place / "backbone", texts, shape="llama"))
    profiles = {f"u{i}": "likes frosty?" if i % 2 else "likes sunny!" for i in range(10)}
    model = PersonaPrompted(backbone=backbone, profiles=profiles, epochs=8, learning_rate=5e-3, **SHARED)
    model.fit(TRAIN).save(place / "warm")
    return place / "warm"


@pytest.fixture(scope="module")
def fitted(warm):
    return Pplug(warm_start=str(warm), **FAST).fit(TRAIN)


def network(folder, **settings):
    sizes = {"leading": 1, "item_dim": 6, "about_dim": 2, "temperature": 0.5, "input_aware": True} | settings
    return PplugNetwork(open_backbone(str(folder / "backbone"), seed=0)[0], **sizes).eval()


def test_learns_a_plug_for_a_frozen_backbone(fitted, warm):
    assert planted_words.accuracy(fitted, HELD_OUT) >= 0.85
    assert 0.3 <= planted_words.accuracy(fitted, HELD_OUT, user="nobody") <= 0.7
    began = reward_models.load(warm).network_.backbone.state_dict()
    ended = fitted.network_.backbone.state_dict()
    assert all(torch.equal(began[name], ended[name]) for name in began)
    trained = sum(weight.numel() for weight in fitted.network_.parameters() if weight.requires_grad)
    state = sum(array.size for user in fitted.users_.values() for array in user.values())
    assert fitted.parameters == trained + state


def test_an_unseen_user_needs_no_gradient_step_and_swapped_labels_turn_them_round(fitted):
    before = {name: value.clone() for name, value in fitted.network_.state_dict().items()}
    saved = []  # what autograd keeps for a backward pass
    new = [p.model_copy(update={"user_id": "new"}) for p in planted_words.population(1, 20, seed=5)]
    with torch.inference_mode():  # a gradient step would raise here
        fitted.fit_user("new", new[:10])
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(saved.append, lambda kept: kept):
        fitted.fit_user("new", new[:10])
        assert saved == [], "fit_user builds no graph"
        fitted.network_.project(torch.from_numpy(fitted.users_["new"]["items"]))
        assert saved, "a forward pass outside of inference would have been seen"
    assert all(weight.grad is None for weight in fitted.network_.parameters())
    assert planted_words.accuracy(fitted, new[10:]) >= 0.8
    fitted.fit_user("new", [p.swapped_labels() for p in new[:10]])
    assert planted_words.accuracy(fitted, new[10:]) <= 0.2
    fitted.forget_user("new")
    assert all(torch.equal(before[n], value) for n, value in fitted.network_.state_dict().items())


def test_the_weights_are_the_softmax_of_cosines_over_tau(warm):
    """x = e1, h = e1, (e1 + e2)/sqrt 2, -e1: cosines 1, .7071, -1; over tau = .5: 2, 1.4142, -2."""
    plug = network(warm)
    items = torch.zeros(1, 4, 6)
    items[0, 0, 0] = 3.0
    items[0, 1, :2] = 1.0
    items[0, 2, 0] = -0.1
    about = torch.tensor([[5.0, 0.0]])  # X begins as the identity on the prompt's slot
    present = torch.tensor([[True, True, True, False]])
    exps = np.exp([2.0, np.sqrt(2.0), -2.0])
    weights = plug.weights(items, present, about)
    assert weights[0].tolist() == pytest.approx([*(exps / exps.sum()), 0.0], abs=1e-6)
    uniform = network(warm, input_aware=False).weights(items, present, about)
    assert uniform[0].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.0])


def test_the_persona_is_the_weighted_sum_of_projections_at_the_norm_of_a_word(warm):
    plug = network(warm)
    generator = torch.Generator().manual_seed(0)
    items, about = torch.randn(2, 3, 6, generator=generator), torch.randn(2, 2, generator=generator)
    present = torch.tensor([[True, True, False], [False, False, False]])
    tokens, wanted = plug.soft_tokens(items, present, about)
    assert tokens.shape == (2, 2, 32)
    assert wanted.all()
    weights = plug.weights(items, present, about)[0]
    mixture = sum(weights[i] * plug.project(items[0, i]) for i in range(2))
    norm = open_backbone(str(warm / "backbone"), seed=0)[0].get_input_embeddings().weight.norm(dim=1).mean()
    expected = mixture / mixture.norm() * norm
    assert torch.allclose(tokens[0, 1], expected, atol=1e-5)
    default = plug.nobody / plug.nobody.norm() * norm
    assert torch.allclose(tokens[1, 1], default, atol=1e-5)  # an empty history, and no NaN
    assert torch.equal(tokens[0, 0], plug.instruction[0])


def test_the_persona_depends_on_the_prompt_and_never_on_the_candidate(fitted):
    items = torch.from_numpy(fitted.users_["u0"]["items"])[None]
    present = torch.ones(items.shape[:2], dtype=torch.bool)
    prompts = [(user_says("What of the ship?"),), (user_says("Why? " * 20),)]
    one, other = (
        fitted.network_.weights(items, present, torch.from_numpy(fitted._about([p]))) for p in prompts
    )
    assert not torch.allclose(one, other)
    read = []
    original = fitted.network_.soft_tokens

    def watched(*inputs):
        read.append(original(*inputs)[0])
        return read[-1]

    rows = fitted.score(as_answers([prompts[0]] * 2, ["sunny! ship", "a frosty? calm sea"], ["u0"] * 2))
    assert rows[0].value != rows[1].value
    fitted.network_.soft_tokens = lambda *inputs: (watched(*inputs), original(*inputs)[1])
    try:
        fitted.score(as_answers([prompts[0]] * 2, ["sunny! ship", "a frosty? calm sea"], ["u0"] * 2))
    finally:
        del fitted.network_.soft_tokens
    assert len(read) == 2
    assert torch.equal(read[0], read[1])


def test_a_checkpoint_scores_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    again = reward_models.load(tmp_path / "model")
    asked = [p.compare("chosen_first") for p in HELD_OUT[:20]]
    assert again.compare(asked) == fitted.compare(asked)


def test_words_and_the_plug_are_both_read(warm, tmp_path):
    """Half of the users have words, the others nothing but their items."""
    profiles = {f"u{i}": ("likes frosty?" if i % 2 else "likes sunny!") if i < 5 else "" for i in range(10)}
    settings = FAST | {"words": True, "history_dropout": 1.0}
    model = Pplug(warm_start=str(warm), profiles=profiles, **settings).fit(TRAIN)
    assert planted_words.accuracy(model, HELD_OUT) >= 0.85
    assert 0.3 <= planted_words.accuracy(model, HELD_OUT, user="nobody") <= 0.7
    assert {user: state["profile"].tobytes().decode() for user, state in model.users_.items()} == profiles
    of = {user: [p for p in HELD_OUT if p.user_id == user] for user in profiles}
    assert planted_words.accuracy(model, of["u8"] + of["u9"]) >= 0.85, "items alone"
    nothing = {"items": model.users_["u0"]["items"][:0]}
    own, other = ({"profile": model.users_[user]["profile"]} for user in ("u0", "u1"))
    for words, right in ((own, True), (other, False)):
        model.users_["u0"] = nothing | words
        assert (planted_words.accuracy(model, of["u0"]) >= 0.5) is right, "words alone"
    model.save(tmp_path / "model")
    again, asked = reward_models.load(tmp_path / "model"), [p.compare("chosen_first") for p in HELD_OUT[:20]]
    assert again.compare(asked) == model.compare(asked)
    new = [p.model_copy(update={"user_id": "new"}) for p in TRAIN[:10]]
    assert again.fit_user("new", new).users_["new"]["profile"].size, "written from the pairs if not given"


def test_nobody_has_neither_words_nor_items(warm):
    model = Pplug(warm_start=str(warm), words=True, no_history=0.3, **FAST | {"epochs": 2})
    histories = {f"u{i}": [p for p in TRAIN if p.user_id == f"u{i}"] for i in range(10)}
    model._warm_backbone(histories)
    first, second = model._passes([p for own in histories.values() for p in own], histories)
    nobody = np.array(first.columns["nobody"])
    assert 0.15 <= nobody.mean() <= 0.45
    assert first.columns["nobody"] != second.columns["nobody"]
    lengths = np.array([len(ids) for ids in first.columns["chosen_ids"]])
    assert lengths[nobody].max() < lengths[~nobody].min()


def test_a_temperature_that_is_none_is_refused(warm):
    with pytest.raises(ConfigError, match="temperature is 0"):
        Pplug(warm_start=str(warm), temperature=0, **FAST).fit(TRAIN)
