"""TRL's trainers with the function that the guide names: a step or two of tiny random policies."""

from __future__ import annotations

import http.server
import itertools
import json
import re
import threading
from pathlib import Path

import accelerate
import pytest
import torch
import transformers
import trl
from datasets import Dataset
from guide_lines import spans
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

from synthesizeme.serving.trl import async_reward_function, reward_function

(LINE,) = (line for line in spans("TRL") if line.startswith("GRPOTrainer"))
FUNCTION = re.search(r"reward_funcs=(reward_function\(.*?\))\)$", LINE)[1]
COMMON = {
    "max_steps": 2, "use_cpu": True, "bf16": False, "report_to": [], "logging_steps": 1, "save_strategy": "no",
    "disable_tqdm": True, "learning_rate": 1e-2, "seed": 0, "per_device_train_batch_size": 4,
}  # fmt: skip


@pytest.fixture
def reward(checkpoint):
    """The guide's own call."""
    return eval(FUNCTION.replace("out/model", str(checkpoint)), {"reward_function": reward_function})


def rows(conversational=True, users=("u0", "u1", "u0", "u1")):
    prompts = ["What of the ship?", "What of the island?"] * 2
    return Dataset.from_list([
        {"prompt": [{"role": "user", "content": prompt}] if conversational else prompt, "user_id": user}
        for prompt, user in zip(prompts, users, strict=True)
    ])  # fmt: skip


def parts(policy):
    return transformers.AutoModelForCausalLM.from_pretrained(
        policy
    ), transformers.AutoTokenizer.from_pretrained(policy)


def changed(model, policy):
    before = transformers.AutoModelForCausalLM.from_pretrained(policy).state_dict()
    return any(not torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("conversational", [True, False])
@pytest.mark.parametrize("kind", ["grpo", "rloo"])
def test_grpo_and_rloo_train_on_it(policy, reward, tmp_path, kind, conversational):
    trainer_type, config = {"grpo": (GRPOTrainer, GRPOConfig), "rloo": (RLOOTrainer, RLOOConfig)}[kind]
    model, tokenizer = parts(policy)
    arguments = config(output_dir=str(tmp_path), num_generations=2, max_completion_length=8, **COMMON)
    trainer = trainer_type(
        model,
        reward_funcs=reward,
        args=arguments,
        train_dataset=rows(conversational),
        processing_class=tokenizer,
    )
    trainer.train()
    logged = [row for row in trainer.state.log_history if "rewards/personal_reward/mean" in row]
    assert len(logged) == 2
    assert all(row["personal_reward/scored"] == 1 for row in logged)
    assert changed(model, policy)


def test_online_dpo_trains_on_the_better_of_two(policy, checkpoint, tmp_path):
    model, tokenizer = parts(policy)
    reward = reward_function(str(checkpoint), unknown_user="population")
    asked = []

    def watched(**given):
        found = reward(**given)
        asked.extend(found)
        return found

    trainer = OnlineDPOTrainer(
        model, reward_funcs=watched, args=OnlineDPOConfig(output_dir=str(tmp_path), max_new_tokens=8, **COMMON),
        train_dataset=rows(users=("u0", "mallory", "u1", "u1")), processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    assert len(asked) == 16
    assert None not in asked
    assert set(reward.counts) == {"ok", "population"}
    assert changed(model, policy)


class Completions(http.server.BaseHTTPRequestHandler):
    """As much of a vLLM server as TRL's rollout worker asks: completions of token ids."""

    def do_GET(self):
        self._answer({"data": []})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.startswith("/v1/completions"):
            return self._answer({})
        tokens = [70, 75, 80, 85] * (1 + next(self.server.asked) % 16)  # of different length and reward
        choice = {
            "index": 0, "text": "", "finish_reason": "stop", "token_ids": tokens,
            "prompt_token_ids": asked["prompt"],
            "logprobs": {"token_logprobs": [-1.0] * len(tokens), "tokens": [f"token_id:{it}" for it in tokens]},
        }  # fmt: skip
        self._answer({"choices": [choice] * asked.get("n", 1)})

    def _answer(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


class NoWeights:
    """vLLM's weights are not streamed here."""

    def __getattr__(self, name):
        return lambda *_, **__: None


@pytest.fixture
def completions():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Completions)
    server.asked = itertools.count()  # several are asked at once
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_the_rollout_worker_of_async_grpo_takes_both_kinds_into_its_own_process(
    policy, checkpoint, completions, monkeypatch
):
    from trl.experimental.async_grpo import async_rollout_worker as worker_module

    monkeypatch.setattr(worker_module, "is_vllm_available", lambda: True)  # its server is all that is asked
    accelerate.PartialState(cpu=True)  # as a trainer has made it by then
    _, tokenizer = parts(policy)
    tokenizer.chat_template = (Path(trl.__file__).parent / "chat_templates" / "qwen2_5.jinja").read_text()
    worker = worker_module.AsyncRolloutWorker(
        model_name=str(policy), dataset=rows(), processing_class=tokenizer, num_generations=2, max_tokens=4,
        reward_funcs=[reward_function(str(checkpoint)), async_reward_function(str(checkpoint))],
        eos_token_ids=[tokenizer.eos_token_id],
        child_ready_timeout=900,
        vllm_server_url=f"http://127.0.0.1:{completions.server_address[1]}",
    )  # fmt: skip
    worker.start()
    try:
        samples = [worker.rollout_buffer.get(timeout=200) for _ in range(2)]
    finally:
        worker.stop()
    assert {sample.group_id for sample in samples} == {samples[0].group_id}
    assert sum(sample.advantage for sample in samples) == pytest.approx(0, abs=1e-4)
    assert any(sample.advantage for sample in samples), "two different completions have different rewards"
