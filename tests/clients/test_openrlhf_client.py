"""OpenRLHF's loader, agent and sample generator: what they send is scored, what they get makes tensors."""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from guide_lines import spans
from openrlhf.datasets.prompts_dataset import PromptDataset
from openrlhf.utils.agent import SingleTurnAgentExecutor

import reward_models
from synthesizeme.scoring import as_answers
from synthesizeme.types import Message

SUNNY, FROSTY = "the sunny ship sails home!", "the frosty ship sails home?"
PROMPTS = ["What of the ship?", "What of the island?"]
LINES = spans("OpenRLHF")
(SERVE,) = (line for line in LINES if line.startswith("synthesizeme serve"))
(REMOTE,) = (line for line in LINES if line.startswith("--reward.remote_url"))
(OWN_FILE,) = (line for line in LINES if line.startswith("reward_func ="))
ADDRESS, LABEL_KEY = re.fullmatch(r"--reward\.remote_url (\S+) --data\.label_key (\S+)", REMOTE).groups()
"""As the guide tells them."""


@pytest.fixture(scope="module")
def expected(checkpoint):
    model = reward_models.load(checkpoint)

    def of(user, prompt, text):
        return model.score(as_answers([(Message(role="user", content=prompt),)], [text], [user]))[0].value

    return of


@pytest.fixture(scope="module")
def experience():
    """OpenRLHF's own way from a response to tensors; vLLM, which it imports for its engine, is not used."""
    vllm, engine = types.ModuleType("vllm"), types.ModuleType("openrlhf.trainer.ray.vllm_engine")
    vllm.SamplingParams = engine.batch_vllm_engine_call = object
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "vllm", vllm)
        patch.setitem(sys.modules, "openrlhf.trainer.ray.vllm_engine", engine)
        from openrlhf.trainer.ppo_utils.experience import Experience
        from openrlhf.trainer.ppo_utils.samples_generator import SamplesGenerator

    def of(responses):
        made = [
            SamplesGenerator._process_response_into_experience(None, it, max_len=2048) for it in responses
        ]
        return Experience.concat_experiences(made, 0)

    return of


def loaded(tokenizer, rows, *, template):
    """Prompts and labels of OpenRLHF's data set."""
    data = SimpleNamespace(input_key="prompt", label_key=LABEL_KEY, apply_chat_template=template)
    strategy = SimpleNamespace(args=SimpleNamespace(data=data), is_rank_0=lambda: False)
    dataset = PromptDataset(rows, tokenizer, strategy)
    return [dataset[i][1:3] for i in range(len(dataset))]


def generated(place, tokenizer, asked, answer, max_length=2048):
    """What OpenRLHF's agent makes of prompts and labels whose policy says `answer`."""
    tokens = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]

    async def generate(token_ids, params, **_):
        output = SimpleNamespace(token_ids=tokens, text=answer, finish_reason="stop", logprobs=None)
        return SimpleNamespace(outputs=[output])

    executor = SingleTurnAgentExecutor([str(place)])
    params = SimpleNamespace(max_tokens=64, logprobs=None)

    async def all_of_them():
        return [
            await executor.execute(
                prompt, label, params, max_length, tokenizer, SimpleNamespace(generate=generate)
            )
            for prompt, label in asked
        ]

    return asyncio.run(all_of_them())


def rows(*users):
    return [{"prompt": prompt, LABEL_KEY: user} for user in users for prompt in PROMPTS]


@pytest.fixture(params=["address", "file"])
def place(request, serve, checkpoint, tmp_path):
    """The guide's line about the server, or its own file."""
    if request.param == "address":
        url, _ = serve(SERVE.replace("out/model", str(checkpoint)))
        return ADDRESS.replace("http://127.0.0.1:8000", url)
    own = tmp_path / "reward.py"
    line = OWN_FILE.replace("out/model", str(checkpoint))
    own.write_text(f"from synthesizeme.serving.openrlhf import reward_function\n\n{line}\n")
    return own


@pytest.mark.parametrize("template", [False, True])
def test_every_row_makes_tensors_and_own_users_get_their_own_reward(
    place, tokenizer, experience, expected, template
):
    asked = loaded(tokenizer, rows("u0", '{"user_id": "u1", "label": "42"}', "mallory", 5), template=template)
    found = experience(generated(place, tokenizer, asked, SUNNY))
    for name in ("rewards", "scores"):
        assert torch.isfinite(getattr(found, name).flatten()).all()
    assert found.info["scored"].flatten().tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert found.rewards.flatten().tolist()[:4] == pytest.approx(
        [expected(user, prompt, SUNNY) for user in ("u0", "u1") for prompt in PROMPTS], abs=1e-5
    )
    assert found.rewards.flatten()[0] > found.rewards.flatten()[2], "u0 likes it sunny, u1 does not"


def test_prompts_cut_to_the_window_and_thoughts_are_seen_through(place, tokenizer, expected):
    prompt = "".join(f"Point {i} of {i * i}. " for i in range(90)) + PROMPTS[0]
    asked = loaded(tokenizer, [{"prompt": prompt, LABEL_KEY: "u0"}], template=True)
    answer = "<think>\nso they ask\n</think>\n\n" + SUNNY
    (found,) = generated(place, tokenizer, asked, answer, max_length=256)
    assert len(found["observation_tokens"]) < 256
    assert float(torch.as_tensor(found["reward"]).flatten()[0]) == pytest.approx(
        expected("u0", prompt, SUNNY), abs=1e-5
    )
    assert float(torch.as_tensor(found["extra_logs"]["stripped"]).flatten()[0]) == 1


def test_refused_users_have_no_reward_and_the_server_says_why(serve, checkpoint, tokenizer):
    url, said = serve(SERVE.replace("out/model", str(checkpoint)).replace(" --unknown-user population", ""))
    asked = loaded(tokenizer, rows("mallory")[:1], template=False)
    (found,) = generated(f"{url}/get_reward", tokenizer, asked, SUNNY)
    assert found["reward"] is None
    assert said.read_text().count("OpenRLHF gets no reward") == 1
    assert "mallory" in said.read_text()


def test_refused_users_have_no_reward_and_the_file_says_why(checkpoint, tokenizer, tmp_path, caplog):
    own = tmp_path / "reward.py"
    own.write_text(
        f"from synthesizeme.serving.openrlhf import reward_function\nreward_func = reward_function({str(checkpoint)!r})\n"
    )
    found = generated(own, tokenizer, loaded(tokenizer, rows("mallory"), template=False), SUNNY)
    assert [it["reward"] for it in found] == [None, None]
    said = [record for record in caplog.records if "OpenRLHF gets no reward" in record.getMessage()]
    assert [record.levelno for record in said] == [logging.ERROR]


def test_settings_of_a_file_reach_workers_of_a_cluster_that_already_runs(checkpoint, tmp_path):
    own = tmp_path / "reward.py"
    own.write_text(
        f"from synthesizeme.serving.openrlhf import reward_function\n{OWN_FILE.replace('out/model', str(checkpoint))}\n"
    )
    driver = tmp_path / "driver.py"
    driver.write_text(
        textwrap.dedent(f"""
        import asyncio, os, ray
        from ray.cluster_utils import Cluster
        cluster = Cluster(initialize_head=True, head_node_args={{"num_cpus": 1}})
        os.environ["SYNTHESIZEME_REWARD_MODEL"] = "/nowhere"  # too late for workers of this cluster
        ray.init(address=cluster.address, log_to_driver=False)

        @ray.remote
        class Rollouts:
            def __init__(self, place):
                from openrlhf.utils.agent import SingleTurnAgentExecutor
                self.executor = SingleTurnAgentExecutor([place])

            def reward(self, *asked):
                (found,) = asyncio.run(self.executor._fetch_rewards_via_func(*asked))
                return float(found["rewards"][0]), int(found["extra_logs"]["scored"][0])

        actor = Rollouts.remote({str(own)!r})
        print(ray.get(actor.reward.remote(["Q?{SUNNY}"], ["Q?"], ["u0"])))
        ray.shutdown()
        cluster.shutdown()
    """)
    )
    done = subprocess.run(
        [sys.executable, str(driver)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (expected,) = reward_models.load(checkpoint).score(
        as_answers([(Message(role="user", content="Q?"),)], [SUNNY], ["u0"])
    )
    value, scored = re.search(r"\((\S+), (\d)\)", done.stdout).groups()
    assert (float(value), scored) == (pytest.approx(expected.value, abs=1e-5), "1")


def test_the_packaged_file_is_loaded_by_its_path(checkpoint, tokenizer, monkeypatch):
    import synthesizeme.serving.openrlhf as packaged

    monkeypatch.setenv("SYNTHESIZEME_REWARD_MODEL", str(checkpoint))
    (found, _) = generated(
        Path(packaged.__file__), tokenizer, loaded(tokenizer, rows("u1"), template=False), FROSTY
    )
    assert int(found["extra_logs"]["scored"][0]) == 1
