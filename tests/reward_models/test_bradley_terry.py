from __future__ import annotations

import json

import numpy as np
import planted_words
import pytest
import tiny_backbones
import torch
from invented import pair, user_says

import reward_models
from reward_models._reward_training import BackboneSchedule, tokenized, train_backbone
from reward_models.bradley_terry import BradleyTerry
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.scoring import as_answers

TRAIN = planted_words.population(tastes=(planted_words.WARM,), n_users=3, n_pairs=16, split="train")
HELD_OUT = planted_words.population(tastes=(planted_words.WARM,), n_users=3, n_pairs=10, seed=1)
FAST = {"epochs": 4, "batch_size": 8, "learning_rate": 3e-3, "max_length": 64, "precision": "float32"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    def made(shape):
        place = tmp_path_factory.getbasetemp() / f"bt-{shape}"
        if not place.exists():
            tiny_backbones.make(place, planted_words.texts(TRAIN), shape=shape)
        return str(place)

    return made


@pytest.fixture(scope="module")
def fitted(folder):
    return BradleyTerry(backbone=folder("bert"), **FAST).fit(TRAIN)


def test_learns_what_everybody_prefers(fitted):
    assert planted_words.accuracy(fitted, HELD_OUT) >= 0.9


@pytest.mark.parametrize("shape", ["gpt2", "llama", "qwen"])
def test_learns_what_everybody_prefers_with_any_kind_of_backbone(folder, shape):
    model = BradleyTerry(backbone=folder(shape), **FAST).fit(TRAIN)
    assert planted_words.accuracy(model, HELD_OUT) >= 0.9


def test_training_leaves_the_global_generators_alone(folder):
    state, arrays = torch.get_rng_state(), np.random.get_state()[1].copy()
    BradleyTerry(backbone=folder("bert"), **FAST | {"epochs": 1}).fit(TRAIN[:8])
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(arrays, np.random.get_state()[1])


def test_transformers_loads_a_checkpoint_and_gives_the_same_reward(fitted, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    fitted.save(tmp_path / "model")
    place = tmp_path / "model" / "backbone"
    model = AutoModelForSequenceClassification.from_pretrained(place).eval()
    tokenizer = AutoTokenizer.from_pretrained(place)
    asked = HELD_OUT[0]
    turns = [{"role": "user", "content": asked.prompt[-1].content},
             {"role": "assistant", "content": asked.chosen_text}]  # fmt: skip
    inputs = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        logits = model(**inputs).logits
    assert logits.shape == (1, 1)
    expected = fitted.rewards(as_answers([asked.prompt], [asked.chosen_text], [asked.user_id]))
    assert logits.item() == pytest.approx(expected[0], rel=1e-5)
    config = json.loads((place / "config.json").read_text())
    assert config["problem_type"] == "regression"
    assert config["id2label"] == {"0": "reward"}


@pytest.mark.parametrize("shape", ["gpt2", "llama"])
def test_a_decoder_reads_the_last_token_though_its_padding_token_was_the_end_token(folder, shape, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = BradleyTerry(backbone=folder(shape), **FAST | {"epochs": 1}).fit(TRAIN[:16])
    model.save(tmp_path / "model")
    place = tmp_path / "model" / "backbone"
    plain = AutoModelForSequenceClassification.from_pretrained(place).eval()
    tokenizer = AutoTokenizer.from_pretrained(place)
    assert tokenizer.pad_token != tokenizer.eos_token
    assert plain.config.pad_token_id == tokenizer.pad_token_id
    texts = [HELD_OUT[0].chosen_text, "the ship"]
    ids = [model.renderer_(HELD_OUT[0].prompt, text).ids for text in texts]
    padded = tokenizer.pad({"input_ids": ids}, return_tensors="pt")
    with torch.no_grad():
        together = plain(**padded).logits[:, 0]
    alone = model.rewards(as_answers([HELD_OUT[0].prompt] * 2, texts, ["u0"] * 2))
    assert together.tolist() == pytest.approx(alone, rel=1e-4, abs=1e-5)


def test_adapters_are_merged_and_the_checkpoint_is_an_ordinary_one(folder, tmp_path):
    model = BradleyTerry(backbone=folder("llama"), lora_rank=4, **FAST | {"learning_rate": 1e-2}).fit(TRAIN)
    assert planted_words.accuracy(model, HELD_OUT) >= 0.9
    assert not [name for name, _ in model.network_.named_parameters() if "lora" in name]
    whole = sum(weight.numel() for weight in model.network_.parameters())
    linear = [it for it in model.network_.backbone.model.modules() if isinstance(it, torch.nn.Linear)]
    adapters = sum(4 * (it.in_features + it.out_features) for it in linear)
    assert model.parameters == adapters + model.network_.backbone.score.weight.numel() < whole
    model.save(tmp_path / "model")
    again = reward_models.load(tmp_path / "model")
    asked = [p.compare("chosen_first") for p in HELD_OUT]
    assert again.compare(asked) == model.compare(asked)
    assert again.parameters == model.parameters


def test_adapters_leave_the_base_weights_between_them_alone(folder):
    from reward_models._backbone import open_backbone

    before = dict(open_backbone(folder("llama"), seed=0)[0].named_parameters())
    model = BradleyTerry(backbone=folder("llama"), lora_rank=2, **FAST | {"epochs": 1}).fit(TRAIN[:8])
    after = dict(model.network_.backbone.named_parameters())
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert "score.weight" in moved
    assert any("q_proj" in name for name in moved)
    assert not any("embed_tokens" in name or "norm" in name for name in moved)


def test_what_became_of_the_pairs_is_counted(folder):
    same_start = "calm water " * 200
    longer_than_the_window = pair(1, user="u0", chosen=same_start + "sunny", rejected=same_start + "frosty")
    cut = pair(2, user="u0", chosen="sunny " + same_start, rejected="frosty water")
    model = BradleyTerry(backbone=folder("bert"), **FAST | {"epochs": 1})
    model.fit([*TRAIN[:14], longer_than_the_window, cut])
    assert {"kept": 15, "dropped": 1, "truncated": 1}.items() <= model.fit_report().items()


def test_pairs_that_are_all_the_same_within_the_window_are_refused(folder):
    start = "calm water " * 200
    model = BradleyTerry(backbone=folder("bert"), **FAST)
    with pytest.raises(DataError, match="max_length"):
        model.fit([pair(1, chosen=start + "sunny", rejected=start + "frosty")])


def test_settings_out_of_range_are_named_together(folder):
    with pytest.raises(ConfigError, match=r"epochs is 0.*batch_size is -1"):
        BradleyTerry(backbone=folder("bert"), epochs=0, batch_size=-1)
    with pytest.raises(ConfigError, match="max_length is 7"):
        BradleyTerry(backbone=folder("bert"), max_length=7).fit(TRAIN)


def test_a_backbone_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(DataError, match=r"neither a folder nor a model of the hub|out of reach"):
        BradleyTerry(backbone=str(tmp_path / "nothing")).fit(TRAIN)


def test_the_default_backbone_is_the_packaged_sentence_encoder_found_by_itself():
    from reward_models._backbone import open_backbone

    model, tokenizer = open_backbone("auto", seed=0)
    config = model.config
    assert (config.model_type, config.hidden_size, config.num_hidden_layers) == ("bert", 384, 6)
    assert config.num_labels == 1
    assert tokenizer.padding_side == "right"


def test_texts_beyond_the_window_and_odd_characters_are_scored(fitted):
    texts = ["sunny " * 5000, "\ud800 lone", "😀 \x00", " "]
    rewards = fitted.rewards(as_answers([(user_says("?" * 3000),)] * 4, texts, ["u0"] * 4))
    assert np.isfinite(rewards).all()


def test_one_step_of_the_trainer_is_the_step_computed_by_hand(folder):
    """One batch of all pairs, one step: the loss and the moved weights equal a plain torch computation."""
    from reward_models._backbone import RewardNetwork, open_backbone
    from reward_models._rendering import Renderer

    pairs = TRAIN[:4]
    schedule = BackboneSchedule(epochs=1, batch_size=4, learning_rate=1e-3, precision="float32", seed=0)
    model, tokenizer = open_backbone(folder("bert"), seed=3)
    renderer = Renderer(tokenizer, 64)
    rows = tokenized(pairs, [""] * 4, renderer)
    network = RewardNetwork(model)
    network, done = train_backbone(network, tokenizer, rows.columns, schedule)

    by_hand, _ = open_backbone(folder("bert"), seed=3)
    by_hand.eval()  # dropout is off in training too

    def read(ids):
        return by_hand(input_ids=torch.tensor([ids])).logits[0, 0]

    margins = torch.stack([
        read(c) - read(r) for c, r in zip(rows.columns["chosen_ids"], rows.columns["rejected_ids"], strict=True)
    ])  # fmt: skip
    loss = torch.log1p(torch.exp(-margins)).mean()  # -log sigma(m)
    assert done["loss"] == pytest.approx(loss.item(), rel=1e-5)

    loss.backward()
    torch.nn.utils.clip_grad_norm_(by_hand.parameters(), 1.0)
    for name, weight in by_hand.named_parameters():
        trained = dict(network.backbone.named_parameters())[name]
        if weight.grad is None:
            assert torch.equal(trained, weight)
            continue
        large = weight.grad.abs() > 1e-4  # Adam's first step: the learning rate against the gradient's sign
        expected = weight.detach() - 1e-3 * torch.sign(weight.grad)
        assert torch.allclose(trained[large], expected[large], atol=5e-5), name


def test_the_network_gives_the_rewards_of_the_bare_backbone_whatever_the_padding(folder):
    from reward_models._backbone import RewardNetwork, open_backbone

    model, tokenizer = open_backbone(folder("qwen"), seed=0)
    network = RewardNetwork(model).eval()
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(1, 50, (n,), generator=generator) for n in (3, 17, 5, 9, 2, 30, 8)]
    padded = tokenizer.pad({"input_ids": [row.tolist() for row in rows]}, return_tensors="pt")
    wider = {name: torch.nn.functional.pad(value, (0, 9), value=tokenizer.pad_token_id if "ids" in name else 0)
             for name, value in padded.items()}  # fmt: skip
    with torch.no_grad():
        expected = torch.cat([model(input_ids=row[None]).logits for row in rows])
        assert torch.allclose(network(**padded).logits, expected, atol=1e-6)
        assert torch.allclose(network(**wider).logits, expected, atol=1e-6)
