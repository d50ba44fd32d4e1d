"""The distilled dense retriever: its loss by hand, that it learns what helped, its files."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from reward_models._trainer import retrieval_distillation
from reward_models.dense_retrieval import DistilledEncoder, FrozenEncoder, Lesson, open_encoder
from synthesizeme.errors import ConfigError, DataError, NotFittedError
from synthesizeme.retrieval import Dense

SUBJECTS = ("taxes", "herbs", "goals", "seas")
FRAMES = (
    "Before lunch with my neighbours in the village I would like a quick summary on {}.",
    "I am writing a wedding speech for my aunt and her new husband, with a joke about {}.",
    "Sorry to bother you again so late at night, my computer crashed while reading on {}.",
    "My boss at the bakery shouts at me all morning, calm me down with facts about {}!",
)


def lessons(n, seed):
    """Only items on the same subject help; the frame of the sentence, which looks alike, does not."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        subject, frame = rng.integers(4, size=2)
        items = [tuple(map(int, rng.integers(4, size=2))) for _ in range(6)]
        items[0], items[1] = (int(subject), int(frame + 1) % 4), (int(subject + 1) % 4, int(frame))
        texts = [FRAMES[f].format(SUBJECTS[s]) for s, f in items]
        useful = tuple(float(s == subject) for s, _ in items)
        made.append(Lesson(FRAMES[frame].format(SUBJECTS[subject]), tuple(texts), useful))
    return made


def share_of_useful(encode, tested):
    """Share of the best-ranked items that help."""
    retriever = Dense(encode=encode)
    best = [it.utilities[retriever.retrieve(it.query, it.documents, 1)[0]] for it in tested]
    return float(np.mean(best))


@pytest.fixture(scope="module")
def distilled():
    return DistilledEncoder(epochs=15, seed=1).fit(lessons(60, 0))


def test_the_loss_by_hand():
    scores, utilities = torch.tensor([0.0, math.log(3.0)]), torch.tensor([1.0, 1.0])
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert float(retrieval_distillation(scores, utilities)) == pytest.approx(expected, rel=1e-5)
    same = torch.tensor([0.3, -1.0, 2.0])
    assert float(retrieval_distillation(same / 0.5 + 7, same, 0.5)) == pytest.approx(0, abs=1e-6)


def test_it_learns_what_helps_and_carries_it_to_new_questions(distilled):
    tested = lessons(60, 99)
    plain = share_of_useful(FrozenEncoder(), tested)
    assert share_of_useful(distilled, tested) > plain + 0.1
    assert distilled.epochs_kept > 0


def test_noise_teaches_nothing_that_is_kept():
    rng = np.random.default_rng(5)
    noise = [
        Lesson(it.query, it.documents, tuple(rng.integers(2, size=len(it.documents)).astype(float)))
        for it in lessons(40, 3)
    ]
    kept = DistilledEncoder(epochs=8).fit(noise)
    tested = lessons(40, 98)
    assert share_of_useful(kept, tested) >= share_of_useful(FrozenEncoder(), tested) - 0.1


def test_it_is_written_and_read_whole(distilled, tmp_path):
    distilled.save(tmp_path / "r")
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == [
        "projection.safetensors",
        "retriever.json",
    ]
    read = open_encoder(str(tmp_path / "r"))
    texts = ["one text", "another"]
    assert isinstance(read, DistilledEncoder)
    assert np.array_equal(read(texts), distilled(texts))
    assert read.epochs_kept == distilled.epochs_kept


@pytest.mark.parametrize("damage", ["weights", "version", "base", "missing"])
def test_damaged_files_are_named(distilled, tmp_path, damage):
    distilled.save(tmp_path)
    document = json.loads((tmp_path / "retriever.json").read_text())
    if damage == "weights":
        (tmp_path / "projection.safetensors").write_bytes(b"x" * 40)
    elif damage == "missing":
        (tmp_path / "projection.safetensors").unlink()
    else:
        document["format_version" if damage == "version" else "base_identity"] = "else"
        (tmp_path / "retriever.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"retriever|distilled|missing|projection|changed since") as found:
        DistilledEncoder.load(tmp_path)
    assert found.value.cure


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="2 items, 1 utilities"):
        Lesson("q", ("a", "b"), (1.0,))
    with pytest.raises(DataError, match="not a finite number"):
        Lesson("q", ("a",), (math.nan,))
    with pytest.raises(DataError, match="0 of 1 lessons"):
        DistilledEncoder().fit([Lesson("q", ("a", "b"), (1.0, 1.0))])
    with pytest.raises(ConfigError, match=r"rank is 0.*held_out is 1"):
        DistilledEncoder(rank=0, held_out=1.0)
    with pytest.raises(NotFittedError, match="call fit"):
        DistilledEncoder()(["a"])
    with pytest.raises(DataError):
        open_encoder("no/such-encoder-anywhere")


def test_any_encoder_serves_by_its_specification_and_the_default_is_that_of_the_install(monkeypatch):
    from reward_models import dense_retrieval

    subjects = ["The parliament voted on taxes.", "Boil the rice in water."]
    for spec in ("static", "static+minilm"):
        encode = open_encoder(spec)
        assert encode.name == spec
        assert Dense(encode=encode).rank("How do I cook rice?", subjects) == [1, 0]
    monkeypatch.setattr(dense_retrieval, "default_encoder", lambda: "static")
    assert open_encoder().name == "static"


def test_static_retrieval_loads_no_torch():
    code = (
        "import sys; from reward_models.dense_retrieval import open_encoder; open_encoder('static')(['a']); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
