"""``synthesizeme export``: what it writes gives the model's rewards in transformers alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import reward_models
from synthesizeme.datasets import read_pairs
from synthesizeme.scoring import as_answers

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parents[1] / "reward_models"))
import tiny_backbones  # noqa: E402


@pytest.fixture(params=["llama", "bert"])
def trained(sample, tmp_path, request):
    pairs = read_pairs(sample).pairs[:8]
    texts = [text for pair in pairs for text in (pair.chosen_text, pair.rejected_text)]
    backbone = tiny_backbones.make(tmp_path / "tiny", texts, shape=request.param)
    method = reward_models.method("bradley-terry")
    model = method(backbone=str(backbone), epochs=1, batch_size=4, max_length=64, precision="float32").fit(
        pairs
    )
    model.save(tmp_path / "checkpoint")
    return model, tmp_path / "checkpoint", pairs


def test_transformers_gives_the_same_rewards_of_messages_and_of_their_text(command, trained, tmp_path):
    model, checkpoint, pairs = trained
    out = tmp_path / "exported"
    done = command("export", "--reward-model", checkpoint, "--to", "hf", "--out", out, "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    assert (facts["window"], facts["command"]) == (64, f"vllm serve {out} --dtype float32")
    assert facts["request"]["add_generation_prompt"] is facts["request"]["use_activation"] is False
    told = (out / "README.md").read_text()
    assert facts["command"] in told
    assert json.dumps(facts["request"]) in told
    classifier = transformers.AutoModelForSequenceClassification.from_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert (classifier.config.num_labels, classifier.dtype) == (1, torch.float32)
    assert tokenizer.model_max_length == 64
    pipeline = transformers.pipeline(
        "text-classification", model=classifier, tokenizer=tokenizer, function_to_apply="none"
    )
    for prompt, response in [
        (pair.prompt, text[:40]) for pair in pairs[:2] for text in (pair.chosen_text, pair.rejected_text)
    ]:
        short = prompt[-1:]
        rendered = model.renderer_(short, response, "")
        turns = [{"role": turn.role, "content": turn.content} for turn in short] + [
            {"role": "assistant", "content": response}
        ]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False)
        if rendered.cut:
            continue
        assert tokenizer(text)["input_ids"] == rendered.ids, "no special token comes twice"
        (expected,) = model.rewards(as_answers([short], [response], ["ann"]))
        with torch.inference_mode():
            logit = classifier(input_ids=torch.tensor([rendered.ids])).logits[0, 0].item()
        assert logit == pytest.approx(expected, abs=1e-5)
        assert pipeline(text)[0]["score"] == pytest.approx(expected, abs=1e-5)


def test_a_folder_that_holds_something_is_left_alone(command, trained, tmp_path):
    _, checkpoint, _ = trained
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    done = command("export", "--reward-model", checkpoint, "--out", tmp_path / "full")
    assert done.status == 2
    assert "is there already" in done.err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_a_model_without_a_classifier_of_its_own_is_refused(command, sample, tmp_path):
    method = reward_models.method("hierarchical-stylometric")
    method(variances="fixed").fit(read_pairs(sample).pairs).save(tmp_path / "checkpoint")
    done = command("export", "--reward-model", tmp_path / "checkpoint", "--out", tmp_path / "out")
    assert done.status == 2
    assert "bradley-terry, persona-prompted" in done.err
    assert not (tmp_path / "out").exists()
