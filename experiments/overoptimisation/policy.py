"""A small real policy, trained by TRL's GRPOTrainer on two planted users' rewards, with and without a floor.

OMP_NUM_THREADS=1 python experiments/overoptimisation/policy.py --data-dir FOLDER --policy FOLDER [--run NAME]

`--policy` is SmolLM2-135M-Instruct as a transformers folder. Each run (user and floor) has a file under
`results/policy`, written as it goes.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
import tomllib
import warnings
from copy import copy
from pathlib import Path

import figure
import numpy as np
import torch
import transformers
import trl
from datasets import Dataset
from likelihood import IsAnswer, Likelihood, distinct
from planted import World

from synthesizeme import Message, Reward
from synthesizeme.files import whole_file
from synthesizeme.scoring import as_answers
from synthesizeme.serving.trl import reward_function

HERE = Path(__file__).parent
WRITTEN = HERE.parents[1] / "data" / "floor" / "ordinary.jsonl"
FLOORS = {"with": "base", "without": "none"}


def prompts_of(settings):
    """Short written prompts: those trained on, and those only measured on, each in a fixed random order."""
    rows = [json.loads(line)["prompt"] for line in WRITTEN.read_text().splitlines()]
    short = sorted({row for row in rows if len(row) <= settings["longest_prompt"]})
    np.random.default_rng(0).shuffle(short)
    return short[settings["held_out"] :], short[: settings["held_out"]]


def answers(model, tokenizer, prompts, settings, seed=0):
    """One fresh answer of a policy to each prompt."""
    torch.manual_seed(seed)
    messages = [[{"role": "user", "content": prompt}] for prompt in prompts]
    rows = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
    )
    training = model.training
    with torch.no_grad():
        tokens = model.eval().generate(
            **rows, max_new_tokens=settings["max_completion_length"], do_sample=True,
            temperature=settings["temperature"],
        )  # fmt: skip
    model.train(training)
    return tokenizer.batch_decode(tokens[:, rows["input_ids"].shape[1] :], skip_special_tokens=True)


class Measured:
    """What is true of answers: their reward with its parts, and what they are worth."""

    def __init__(self, world, user, likelihood):
        self.world, self.user, self.likelihood = world, user, likelihood
        self.is_answer = None

    def rewards(self, prompts, texts):
        """Taste, floor of the base install, planted points and form of each text, shape (n,) each."""
        asked = [(Message(role="user", content=prompt),) for prompt in prompts]
        found = self.world.model.score(as_answers(asked, texts, [self.user] * len(texts)))
        assert all(isinstance(it, Reward) for it in found)
        return {
            "taste": np.array([it.taste for it in found]),
            "floor": np.array([it.floor for it in found]),
            "points": np.array([self.world.tastes[self.user].points(text) for text in texts]),
            "distinct": np.array([distinct(text) for text in texts]),
            "words": np.array([float(len(text.split())) for text in texts]),
        }

    def all(self, prompts, texts):
        """The same with likelihood and gold; the first call must be for answers of the policy before."""
        found = self.rewards(prompts, texts)
        found["log_likelihood"] = self.likelihood.mean(prompts, texts)
        if self.is_answer is None:
            self.is_answer = IsAnswer(found["log_likelihood"], found["distinct"])
        found["is_answer"] = self.is_answer(found["log_likelihood"], found["distinct"])
        found["gold"] = found["points"] * found["is_answer"]
        return found


def summary(found, unit):
    """Means; `below` is the share of texts whose floor is a standard deviation of taste down, or more."""
    means = {name: float(values.mean()) for name, values in found.items()}
    if "log_likelihood" in found:
        means["perplexity"] = float(np.exp(-found["log_likelihood"].mean()))
    return means | {"below": float((found["floor"] <= -unit).mean())}


class Watch(transformers.TrainerCallback):
    """Reads held-out answers every few steps, and writes what is known so far."""

    def __init__(self, tokenizer, measured, held_out, settings, path, result):
        self.tokenizer, self.measured = tokenizer, measured
        self.held_out, self.settings, self.path, self.result = held_out, settings, path, result
        self.began = time.monotonic()

    def read(self, step, model):
        """Fresh answers to the held-out prompts, and what is true of them."""
        texts = answers(model, self.tokenizer, self.held_out, self.settings, seed=step + 1)
        found = self.measured.all(self.held_out, texts)
        row = {"step": step} | summary(found, self.measured.world.model.standing.unit)
        self.result["held_out"].append(row)
        self.result["texts"] = [
            {"prompt": prompt, "text": text, "points": float(found["points"][i]),
             "taste": float(found["taste"][i]), "floor": float(found["floor"][i]),
             "is_answer": float(found["is_answer"][i])}
            for i, (prompt, text) in enumerate(zip(self.held_out, texts, strict=True))
        ][: self.settings["examples"]]  # fmt: skip
        self.result["seconds"] = time.monotonic() - self.began
        with whole_file(self.path) as stream:
            stream.write((json.dumps(self.result, indent=1) + "\n").encode())
        print(self.path.stem, step, {k: round(v, 2) for k, v in row.items()}, flush=True)

    def on_step_end(self, args, state, control, model=None, **others):
        if state.global_step % self.settings["every"] == 0 or state.global_step == state.max_steps:
            self.read(state.global_step, model)


def trained(folder, world, user, floor, settings, steps, path):
    """GRPO on one user's reward with one floor, whose result is written as it goes."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
    base = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    asked, held_out = prompts_of(settings)
    measured = Measured(world, user, Likelihood(base, tokenizer))
    # What counts as an answer is fixed on other answers of the policy before than those that are reported.
    measured.all(asked[:64], answers(base, tokenizer, asked[:64], settings, seed=0))
    result = {
        "user": user, "floor": floor, "settings": settings, "training": [], "held_out": [],
        "is_answer": vars(measured.is_answer),
    }  # fmt: skip
    watch = Watch(tokenizer, measured, held_out, settings, path, result)
    watch.read(0, base)
    result["texts_before"] = result["texts"]

    def watched(prompts, completions, **columns):
        said = [completion[-1]["content"] for completion in completions]
        found = measured.rewards([prompt[-1]["content"] for prompt in prompts], said)
        result["training"].append(summary(found, world.model.standing.unit))
        return found["taste"].tolist()

    model = copy(world.model).stand_on(FLOORS[floor])
    with tempfile.TemporaryDirectory() as scratch:
        trainer = trl.GRPOTrainer(
            str(folder),
            reward_funcs=[reward_function(model, on_error="raise"), watched],
            args=trl.GRPOConfig(
                output_dir=scratch, per_device_train_batch_size=settings["num_generations"],
                reward_weights=[1.0, 0.0], lr_scheduler_type="constant", use_cpu=True, bf16=True,
                gradient_checkpointing=False, report_to=[], logging_steps=1, save_strategy="no",
                disable_tqdm=True, max_steps=steps, model_init_kwargs={"dtype": "float32"},
                **{name: settings[name] for name in (
                    "learning_rate", "num_generations", "max_completion_length", "temperature", "beta",
                )},
            ),
            train_dataset=Dataset.from_list(
                [{"prompt": [{"role": "user", "content": prompt}], "user_id": user} for prompt in asked]
            ),
            processing_class=tokenizer,
            callbacks=[watch],
        )  # fmt: skip
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with llmfao.jsonl.gz")
    parser.add_argument("--policy", type=Path, required=True, help="folder of the policy before")
    parser.add_argument("--run", action="append", help="lively-with, lively-without, calm-with, calm-without")
    parser.add_argument("--steps", type=int, help="instead of the configured ones")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "policy")
    arguments = parser.parse_args()
    config = tomllib.loads((HERE / "config.toml").read_text())
    settings = config["policy"]
    torch.set_num_threads(1)
    for name in ("trl", "transformers", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)
    arguments.out.mkdir(parents=True, exist_ok=True)
    world = World(config, arguments.data_dir)
    for user, steps in settings["steps"].items():
        for floor in FLOORS:
            if arguments.run is None or f"{user}-{floor}" in arguments.run:
                path = arguments.out / f"{user}-{floor}.json"
                trained(arguments.policy, world, user, floor, settings, arguments.steps or steps, path)
    paths = sorted(arguments.out.glob("*.json"), reverse=True)
    runs = [{"name": path.stem, **json.loads(path.read_text())} for path in paths]
    (arguments.out / "policy.png").write_bytes(figure.policy(runs))


if __name__ == "__main__":
    main()
