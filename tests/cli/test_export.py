"""``synthesizeme export``: what it writes gives the model's rewards in transformers alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import reward_models
from synthesizeme.datasets import read_pairs

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parents[1] / "reward_models"))
import tiny_backbones  # noqa: E402


@pytest.fixture
def trained(sample, tmp_path):
    pairs = read_pairs(sample).pairs[:8]
    texts = [text for pair in pairs for text in (pair.chosen_text, pair.rejected_text)]
    backbone = tiny_backbones.make(tmp_path / "tiny", texts, shape="llama")
    method = reward_models.method("bradley-terry")
    model = method(backbone=str(backbone), epochs=1, batch_size=4, max_length=64, precision="float32").fit(
        pairs
    )
    model.save(tmp_path / "checkpoint")
    return model, tmp_path / "checkpoint", pairs


def test_transformers_gives_the_same_rewards(command, trained, tmp_path):
    model, checkpoint, pairs = trained
    done = command("export", "--model", checkpoint, "--to", "hf", tmp_path / "exported")
    assert done.status == 0, done.err
    classifier = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "exported")
    transformers.AutoTokenizer.from_pretrained(tmp_path / "exported")
    assert classifier.config.num_labels == 1
    pair = pairs[0]
    ids = model.renderer_(pair.prompt, pair.chosen_text, "").ids
    with torch.inference_mode():
        logit = classifier(input_ids=torch.tensor([ids])).logits[0, 0].item()
    assert logit == pytest.approx(model.rewards([pair.prompt], [pair.chosen_text], ["ann"])[0], abs=1e-5)


def test_a_folder_that_holds_something_is_left_alone(command, trained, tmp_path):
    _, checkpoint, _ = trained
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    done = command("export", "--model", checkpoint, tmp_path / "full")
    assert done.status == 2
    assert "holds files" in done.err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_a_model_without_a_classifier_of_its_own_is_refused(command, sample, tmp_path):
    method = reward_models.method("hierarchical-stylometric")
    method(variances="fixed").fit(read_pairs(sample).pairs).save(tmp_path / "checkpoint")
    done = command("export", "--model", tmp_path / "checkpoint", tmp_path / "out")
    assert done.status == 2
    assert "bradley-terry, persona-prompted" in done.err
    assert not (tmp_path / "out").exists()
