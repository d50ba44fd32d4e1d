from __future__ import annotations

import numpy as np
import planted_words
import pytest
import tiny_backbones
import torch
from invented import pair

import reward_models
from reward_models._backbone import open_backbone, read_embeddings
from reward_models._features import open_features
from reward_models._soft_prompt import HistoryCollator, _others
from reward_models.uem import Uem, UemNetwork
from synthesizeme.errors import ConfigError, DataError

pytestmark = pytest.mark.usefixtures("taste_alone")

TRAIN = planted_words.population(n_users=10, n_pairs=14, split="train")
HELD_OUT = planted_words.population(n_users=10, n_pairs=10, seed=1)
FAST = {
    "features": "stylometric", "warm_epochs": 0, "task_tokens": 4, "layers": 1, "width": 32, "epochs": 8,
    "batch_size": 16, "learning_rate": 3e-3, "max_length": 64, "precision": "float32", "max_history": 24,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = {}

    def of(shape):
        if shape not in made:
            place = tmp_path_factory.mktemp(shape)
            made[shape] = str(tiny_backbones.make(place, planted_words.texts(TRAIN), shape=shape))
        return made[shape]

    return of


@pytest.fixture(scope="module")
def fitted(folder):
    return Uem(backbone=folder("llama"), **FAST).fit(TRAIN)


@pytest.mark.parametrize("shape", ["bert", "llama", "qwen", "gpt2"])
def test_embeddings_are_read_as_their_tokens_would_be(folder, shape):
    """A reward read from embeddings, in a padded batch, is the reward of the tokens read alone."""
    model, _ = open_backbone(folder(shape), seed=0)
    model.eval()
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(1, 60, (n,), generator=generator) for n in (4, 11, 2, 7)]
    words = model.get_input_embeddings()
    with torch.no_grad():
        expected = torch.cat([model(input_ids=row[None]).logits for row in rows])
        assert torch.allclose(read_embeddings(model, [words(row) for row in rows]), expected, atol=1e-5)


def test_learns_from_the_history_and_lends_it(fitted):
    assert planted_words.accuracy(fitted, HELD_OUT) >= 0.9
    assert 0.3 <= planted_words.accuracy(fitted, HELD_OUT, user="nobody") <= 0.7
    other = [p for p in HELD_OUT if p.user_id in ("u1", "u3", "u5")]
    assert planted_words.accuracy(fitted, other, user="u0") <= 0.2


def test_an_unseen_user_is_read_from_their_pairs_and_swapped_labels_turn_them_round(fitted):
    before = {name: value.clone() for name, value in fitted.network_.state_dict().items()}
    strangers = planted_words.population(n_users=2, n_pairs=20, seed=5)
    strangers = [p.model_copy(update={"user_id": f"new-{p.user_id}"}) for p in strangers]
    for user in ("new-u0", "new-u1"):
        own = [p for p in strangers if p.user_id == user]
        history, asked = own[:10], own[10:]
        assert planted_words.accuracy(fitted.fit_user(user, history), asked) >= 0.9
        swapped = fitted.fit_user(user, [p.swapped_labels() for p in history])
        assert planted_words.accuracy(swapped, asked) <= 0.1
        fitted.forget_user(user)
    after = fitted.network_.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_one_soft_token_per_item_after_the_task_tokens(folder):
    network = UemNetwork(
        open_backbone(folder("llama"), seed=0)[0], leading=1, item_dim=6, task_tokens=5, layers=2, width=16
    ).eval()
    items, about = torch.randn(3, 7, 6, generator=torch.Generator().manual_seed(0)), torch.zeros(3, 2)
    present = torch.ones(3, 7, dtype=torch.bool)
    present[1, 4:], present[2] = False, False
    tokens, wanted = network.soft_tokens(items, present, about)
    assert tokens.shape == (3, 12, 32)
    assert wanted.sum(1).tolist() == [12, 9, 5]
    assert torch.equal(tokens[0, :5], network.task)
    alone, _ = network.soft_tokens(items[1:2, :4], present[1:2, :4], about[:1])
    assert torch.allclose(alone[0], tokens[1, :9], atol=1e-6)  # what is absent is not seen
    turned, _ = network.soft_tokens(items.flip(1), present, about)
    assert torch.allclose(turned[0, 5:].flip(0), tokens[0, 5:], atol=1e-5)  # no positions


def test_an_item_is_prompt_chosen_and_rejected_side_by_side(fitted):
    features = open_features("stylometric")
    shown = TRAIN[0]
    by_hand = np.concatenate([
        features.prompts([shown.prompt])[0],
        features.responses([shown.prompt], [shown.chosen_text])[0],
        features.responses([shown.prompt], [shown.rejected_text])[0],
    ])  # fmt: skip
    item = fitted._user_state([shown])["items"]
    assert item.shape == (1, 3 * features.dim)
    assert np.allclose(item[0], (by_hand - fitted.mean_) / fitted.scale_, atol=1e-5)
    s = features.dim
    turned = fitted._user_state([shown.swapped_labels()])["items"]
    assert np.allclose(
        turned[0], np.concatenate([item[0, :s], item[0, 2 * s :], item[0, s : 2 * s]]), atol=1e-5
    )


def test_a_training_history_never_holds_the_pair_itself_nor_its_twin():
    history = [pair(i, user="ada") for i in range(5)]
    twin = history[0].swapped_labels().model_copy(update={"pair_id": "twin"})
    others = _others({"ada": [*history, twin], "bob": [pair(0, user="bob"), pair(1, user="bob")]})
    assert others[0].tolist() == [1, 2, 3, 4]
    assert others[5].tolist() == [1, 2, 3, 4]
    assert others[1].tolist() == [0, 2, 3, 4, 5]
    assert others[6].tolist() == [7]


def test_histories_are_drawn_within_their_limits():
    def collator(**settings):
        number = np.arange(50, dtype=np.float32)[:, None]
        return HistoryCollator(
            lambda rows: {}, items=number, about=number, others=[np.arange(1, 50)], seed=0, **settings
        )

    row = [{"row": 0, "chosen_ids": [1], "rejected_ids": [2]}]

    def sizes(**settings):
        draw = collator(**settings)
        return [int(draw(row)["present"].sum()) for _ in range(300)]

    assert set(sizes(dropout=0.0, empty=0.0, most=20)) == {20}
    half = sizes(dropout=0.5, empty=0.0, most=50)
    assert 24 <= min(half) <= 27
    assert max(half) == 49
    assert 0.15 < sizes(dropout=0.0, empty=0.25, most=50).count(0) / 300 < 0.35
    drawn = collator(dropout=0.5, empty=0.0, most=50)(row)
    items = drawn["items"][0, :, 0].tolist()
    assert items == sorted(items)  # kept in the order of the data
    assert 0.0 not in items
    assert drawn["about"].tolist() == [[0.0]]


def test_a_checkpoint_scores_the_same_and_its_features_must_be_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    again = reward_models.load(tmp_path / "model")
    asked = [p.compare("chosen_first") for p in HELD_OUT[:20]]
    assert again.compare(asked) == fitted.compare(asked)
    assert not list((tmp_path / "model").rglob("*.bin"))
    assert not list((tmp_path / "model").rglob("*.pkl"))
    with pytest.raises(DataError, match="another encoder"):
        again._restore(again._arrays(), {**again._facts(), "features": "another encoder"})


def test_begins_with_a_persona_prompted_backbone_and_refuses_another_checkpoint(folder, tmp_path):
    from reward_models.bradley_terry import BradleyTerry
    from reward_models.persona_prompted import PersonaPrompted

    shared = {n: FAST[n] for n in ("batch_size", "max_length", "precision")} | {"epochs": 1}
    warm = PersonaPrompted(backbone=folder("llama"), **shared).fit(TRAIN[:40])
    warm.save(tmp_path / "warm")
    # a learning rate of almost nothing leaves the backbone where it began
    settings = FAST | {"epochs": 1, "learning_rate": 1e-12, "warm_start": str(tmp_path / "warm")}
    model = Uem(**settings).fit(TRAIN[:40])
    began = warm.network_.backbone.state_dict()
    ended = model.network_.backbone.state_dict()
    assert all(torch.allclose(began[name], ended[name], atol=1e-6) for name in began)
    BradleyTerry(backbone=folder("llama"), **shared).fit(TRAIN[:20]).save(tmp_path / "generic")
    with pytest.raises(DataError, match="bradley-terry"):
        Uem(**FAST, warm_start=str(tmp_path / "generic")).fit(TRAIN)


def test_settings_out_of_range_are_named_together(folder):
    with pytest.raises(ConfigError, match=r"history_dropout is 2\.0.*max_history is 0"):
        Uem(backbone=folder("llama"), **FAST | {"history_dropout": 2.0, "max_history": 0})
