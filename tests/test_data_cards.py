"""Every data set has a card that the hub can read and that says what there is to know."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import DatasetCard, ModelCard

from synthesizeme import read_pairs
from synthesizeme.datasets import formats
from synthesizeme.evaluation.benchmarks import benchmark_names

DATA = Path(__file__).resolve().parents[1] / "data"
OWN = [DATA / name / "README.md" for name in ("sample", "sample/lamp", "words", "sycophancy", "floor")]
OTHERS = sorted((DATA / "cards").glob("*.md"))
FORMATS = {"argilla", "jsonl", "judged-rows", "label-studio", "mlflow", "open-webui", "trl-rows"}
CALLED = {"paper-format": "personal-reward-bench", "rated-completions": "ultrafeedback"}
"""A format that is named by its columns."""


@pytest.mark.parametrize("path", [*OWN, *OTHERS], ids=lambda path: path.relative_to(DATA).as_posix())
def test_a_card_says_licence_language_size_source_making_and_limits(path):
    card = DatasetCard.load(path)
    for field in (
        "pretty_name",
        "license",
        "language",
        "size_categories",
        "source_datasets",
        "annotations_creators",
    ):
        assert card.data.get(field), field
    body = " ".join(card.text.split())
    if path in OTHERS:
        for heading in ("Size", "How it was made", "Known limits", "Licence and source"):
            assert f"**{heading}.**" in body
    else:
        assert "Licence: MIT, like the project." in body


def test_the_shipped_model_has_a_card():
    card = ModelCard.load(DATA.parent / "reward_models" / "population" / "README.md")
    assert card.data.license == "mit"
    assert "dustalov/llmfao" in card.data.datasets
    assert "**Limits.**" in card.text


def test_every_folder_of_data_and_every_data_set_with_a_loader_has_a_card():
    folders = {path.parent for path in DATA.rglob("*") if path.suffix in (".jsonl", ".toml")}
    assert folders <= {path.parent for path in OWN}
    loaders = {CALLED.get(name, name) for name in formats() if name not in FORMATS}
    assert {*loaders, "planted-population"} == {path.stem for path in OTHERS}


def test_every_benchmark_is_named_by_one_card():
    named = [name for path in OTHERS for name in DatasetCard.load(path).data.get("benchmarks") or ()]
    assert sorted([*named, "sample"]) == benchmark_names()


def test_the_counts_of_our_own_cards_are_those_of_the_files():
    floor = (DATA / "floor" / "README.md").read_text(encoding="utf-8")
    for path in (DATA / "floor").glob("*.jsonl"):
        rows = len(path.read_text(encoding="utf-8").splitlines())
        assert f"| `{path.name}` | {rows} |" in floor


def test_the_folder_of_the_sample_is_read_as_its_card_says():
    found = read_pairs(DATA / "sample").pairs
    assert (len(found), len({pair.user_id for pair in found})) == (60, 3)
