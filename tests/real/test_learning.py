"""A real model as features, as the backbone of reward models, as a floor, and as a policy in GRPO."""

from __future__ import annotations

import sys

import numpy as np
import planted_words
import pytest
import torch
import transformers
from invented import user_says

import reward_models
from reward_models._features import open_features
from reward_models.floor import base_floor
from reward_models.floor._language_model import LanguageModelFloor
from synthesizeme.scoring import as_answers
from synthesizeme.serving.trl import reward_function

TRAIN = planted_words.population(tastes=(planted_words.WARM,), n_users=3, n_pairs=16, split="train")
HELD_OUT = planted_words.population(tastes=(planted_words.WARM,), n_users=3, n_pairs=6, seed=1)
SKY = [user_says("Why is the sky blue?")]
ANSWERS = [
    "It looks blue since air scatters the short wavelengths of sunlight far more than the long ones.",
    "Sunlight is scattered by the air, and blue light is scattered the most, so we see it from all sides.",
    "Because of Rayleigh scattering: molecules of the air deflect blue light far more than red light.",
]


def test_hidden_states_are_those_of_transformers_and_both_are_one_pass(folder, monkeypatch):
    monkeypatch.setenv("SYNTHESIZEME_NO_CACHE", "1")
    kept = [f"lm:{folder}:{reading}:bfloat16" for reading in ("mean", "last")]
    found = open_features("+".join(kept)).responses([SKY] * 3, ANSWERS)
    words = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.bfloat16)
    turns = [{"role": "user", "content": SKY[0].content}]
    for row, answer in zip(found, ANSWERS, strict=True):
        head = words.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        begin = len(words(head)["input_ids"])
        ids = words(head + answer + "<|im_end|>\n", return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            states = model(ids).last_hidden_state[0].float()
        end = begin + len(words(answer)["input_ids"])
        expected = torch.cat([states[begin:end].mean(dim=0), states[-1]]).numpy()
        assert np.allclose(row, expected, atol=0.05 * np.abs(expected).max())


def losses(model, pairs):
    """-log sigma(r(chosen) - r(rejected)) of each pair."""
    asked = [pair.prompt for pair in pairs], [pair.user_id for pair in pairs]
    up, down = (
        np.array([score.value for score in model.score(as_answers(asked[0], texts, asked[1]))])
        for texts in ([pair.chosen_text for pair in pairs], [pair.rejected_text for pair in pairs])
    )
    return np.logaddexp(0, down - up)


@pytest.mark.parametrize("name", ["bradley-terry", "persona-prompted"])
def test_a_low_rank_adapter_learns_what_is_planted(folder, name):
    settings = {"backbone": str(folder), "lora_rank": 8, "max_length": 96, "batch_size": 8, "floor": "none"}
    untaught = reward_models.method(name)(**settings, epochs=1, learning_rate=1e-12).fit(TRAIN[:8])
    model = reward_models.method(name)(**settings, epochs=2, learning_rate=2e-3).fit(TRAIN)
    before, after = (losses(one, HELD_OUT).mean() for one in (untaught, model))
    told = model.fit_report()
    shown = (
        f"{name}: held-out loss {before:.3f} before, {after:.3f} after; {told}; {model.parameters:,} learned"
    )
    sys.stdout.write(f"{shown}\n")
    assert after < min(before, np.log(2)) - 0.1
    assert (told["kept"], told["dropped"]) == (len(TRAIN), 0)
    assert 0 < told["loss"] < 2
    assert 0 < model.parameters < 5_000_000


def test_the_floor_tells_an_answer_from_what_is_none(folder):
    cake = (
        "A cake needs flour, eggs, butter and sugar. Mix them well and bake at 180 degrees for half an hour."
    )
    words = np.random.default_rng(0).permutation(f"{ANSWERS[0]} {ANSWERS[1]}".split())
    junk = f"{ANSWERS[0]} zq vfk wjyx pluo rrt kvqa jjd wooz hxq blfe cqi nmp uux tgz afw {ANSWERS[1]}"
    floor = LanguageModelFloor(base_floor(), str(folder))
    assert floor.shortfalls([SKY] * 3, ANSWERS).tolist() == [0, 0, 0]
    cut = f"{ANSWERS[0]} Scattered blue light reaches our eyes from"
    beliefs = floor.beliefs([SKY] * 4, [" ".join(words), junk, cake, cut])
    assert beliefs["order"][0] > 0.5
    assert beliefs["junk"][1] > 0.5
    assert beliefs["relevance"][2] > 0.5
    assert beliefs["ending"][3] > 0.5
    german = [user_says("Warum ist der Himmel blau?")]
    assert (
        floor.shortfalls([german], ["Weil die Luft kurzwelliges Licht stärker streut als langwelliges."]) == 0
    )


def test_two_steps_of_grpo_with_the_rewards_of_a_user(folder, tmp_path):
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    users = planted_words.population(n_users=2, n_pairs=8, split="train")
    function = reward_function(reward_models.method("hierarchical-stylometric")().fit(users))
    rows = [{"prompt": [{"role": "user", "content": f"Say a word about {thing}."}], "user_id": user}
            for user, thing in (("u0", "ships"), ("u1", "rivers"))]  # fmt: skip
    policy = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    before = policy.model.layers[0].mlp.up_proj.weight.detach().clone()
    trainer = GRPOTrainer(
        policy, reward_funcs=function, train_dataset=Dataset.from_list(rows),
        processing_class=transformers.AutoTokenizer.from_pretrained(folder),
        args=GRPOConfig(
            output_dir=str(tmp_path), per_device_train_batch_size=4, num_generations=4, max_steps=2,
            max_completion_length=16, use_cpu=True, bf16=False, report_to=[], logging_steps=1, seed=0,
            save_strategy="no", disable_tqdm=True, learning_rate=1e-3, lr_scheduler_type="constant",
        ),
    )  # fmt: skip
    trainer.train()
    logs = [row for row in trainer.state.log_history if "rewards/personal_reward/mean" in row]
    assert len(logs) == 2
    assert [row["personal_reward/scored"] for row in logs] == [1, 1]
    assert function.counts == {"ok": 8}
    assert not torch.equal(trainer.model.model.layers[0].mlp.up_proj.weight, before)
