"""The pages on adding to the house: what each one shows is put where it says, and used by the command line."""

from __future__ import annotations

import json
import sys

import pytest
from pages import ROOT, blocks, place_in, run

ADDING = ROOT / "docs" / "adding"


@pytest.fixture
def place(tmp_path):
    return place_in(tmp_path)


def whole(page, language="python"):
    """The one block of a page that is a whole file."""
    [text] = [block.text for block in blocks(ADDING / page) if block.language == language]
    return text


def with_module(place, package, name, text, *arguments, said=""):
    """Run `synthesizeme` as if a module stood in a package."""
    folder = place / "added"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    start = (
        f"import sys, {package} as package; package.__path__.append({str(folder)!r}); "
        "from synthesizeme.cli import main; sys.exit(main())"
    )
    done = run([sys.executable, "-c", start, *arguments], place, input=said)
    assert done.returncode == 0, done.stderr
    return done


def test_a_method_is_trained_and_scores(place):
    method = ("reward_models", "mean_length", whole("method.md"))
    with_module(place, *method, "train", "--method", "mean-length", "--data", "PAIRS.jsonl", "--out", "model")
    row = {"user_id": "mara", "prompt": "Rice?", "first": "Yes. " * 60, "second": "Yes."}
    done = with_module(place, *method, "score", "--reward-model", "model", said=json.dumps(row))
    assert json.loads(done.stdout)["prefers"] == "first"


def test_a_data_set_is_recognised_and_converted(place):
    row = {"who": "ada", "asked": "How do I undo a commit?", "liked": "git reset", "disliked": "Oh no!"}
    (place / "thumbs.jsonl").write_text(json.dumps(row), encoding="utf-8")
    module = ("synthesizeme.datasets", "thumbs", whole("data-set.md"))
    done = with_module(place, *module, "data", "convert", "thumbs.jsonl", "--out", "out.jsonl")
    assert "1 row in the format thumbs" in done.stdout
    pair = json.loads((place / "out.jsonl").read_text(encoding="utf-8"))
    assert (pair["user_id"], pair["chosen"][0]["content"]) == ("ada", "git reset")


def test_a_backend_answers_by_its_name(place):
    made = run(["induce-persona", "PAIRS.jsonl", "--user", "mara", "--out", "demo", "--no-evaluate"], place)
    assert made.returncode == 0, made.stderr
    ask = (
        "judge",
        "--store",
        "demo",
        "--user",
        "mara",
        "--prompt",
        "Rice?",
        "--first",
        "Yes.",
        "--second",
        "No.",
    )
    done = with_module(
        place, "synthesizeme.backends", "stubborn", whole("backend.md"), *ask, "--model", "stubborn", "--json"
    )
    assert json.loads(done.stdout)["order_consistent"] is False


def test_a_prompt_is_used_by_its_path(place):
    (place / "terse.md").write_text(whole("prompt.md", "md"), encoding="utf-8")
    arguments = (
        "PAIRS.jsonl",
        "--user",
        "mara",
        "--judge-prompt",
        "terse.md",
        "--out",
        "demo",
        "--no-evaluate",
    )
    done = run(["induce-persona", *arguments], place)
    assert done.returncode == 0, done.stderr
    [profile] = place.glob("demo/*/profile.json")
    assert "judge/terse@1" in profile.read_text(encoding="utf-8")
