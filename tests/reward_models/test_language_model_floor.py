"""The floor that asks a language model: a tiny random one for the mechanics, a real small one for the worth."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_backbones
from invented import pair

from reward_models import load, method
from reward_models.floor import DEPTH, base_floor, open_floor
from reward_models.floor._language_model import CUT_OFF, LanguageModelFloor
from synthesizeme.errors import DataError
from synthesizeme.scoring import as_answers
from synthesizeme.types import Message

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
from reward_models.floor._likelihood import LONGEST, open_language_model  # noqa: E402

ASKED = (Message(role="user", content="Why is the sky blue?"),)
ANSWER = (
    "The sky looks blue because air scatters short wavelengths of sunlight, such as blue, much more than long ones, "
    "such as red. Scattered blue light reaches our eyes from every direction."
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(tiny_backbones.make(tmp_path_factory.mktemp("lm") / "llama", [ANSWER] * 9, shape="llama"))


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A tiny model that learned one answer to one prompt."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tiny_backbones.make(tmp_path_factory.mktemp("lm") / "taught", [ANSWER] * 9, shape="llama")
    reader, tokenizer = open_language_model(str(folder), "cpu"), AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    ids = reader._render.opening(ASKED) + tokenizer(ANSWER)["input_ids"] + [tokenizer.eos_token_id]
    batch = torch.tensor([ids])
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(80):
        optimizer.zero_grad()
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    open_language_model.cache_clear()
    return str(folder)


def by_hand(name: str, response: str) -> tuple[np.ndarray, float]:
    """Log-likelihoods of a short response's tokens and of the end of its turn, in one pass without a cache."""
    reader = open_language_model(name, "cpu")
    opening, ids = reader._render.opening(ASKED), reader._tokenizer(response)["input_ids"]
    end = reader._tokenizer.eos_token_id
    with torch.inference_mode():
        logits = reader._model(torch.tensor([[*opening, *ids, end]])).logits[0].double().log_softmax(1)
    behind = logits[range(len(opening) - 1, len(opening) + len(ids)), [*ids, end]].numpy()
    return behind[:-1], float(behind[-1])


@pytest.mark.parametrize("shape", ["gpt2", "llama", "qwen"])
def test_a_response_is_as_likely_as_one_pass_over_the_whole_conversation_says(tmp_path, shape):
    name = str(tiny_backbones.make(tmp_path / shape, [ANSWER] * 9, shape=shape))
    tokens, end = by_hand(name, "air scatters short wavelengths")
    read = open_language_model(name, "cpu").read([ASKED], ["air scatters short wavelengths"])
    assert read.tokens[0] == len(tokens)
    assert read.given[0] == pytest.approx(tokens.mean(), abs=1e-4)
    assert read.end[0] == pytest.approx(end, abs=1e-4)


def test_the_worst_window_is_the_lowest_mean_of_neighbours(tiny):
    tokens, _ = by_hand(tiny, ANSWER)
    width = min(24, len(tokens))
    worst = min(tokens[i : i + width].mean() for i in range(len(tokens) - width + 1))
    assert open_language_model(tiny, "cpu").read([ASKED], [ANSWER]).worst[0] == pytest.approx(worst, abs=1e-4)


def test_the_end_is_read_behind_the_true_end_of_a_text_of_any_length(tiny):
    long = " ".join([ANSWER] * 400)
    reader = open_language_model(tiny, "cpu")
    read = reader.read([ASKED] * 2, [f"{long} x" + " blue light" * 100, f"{long} y" + " blue light" * 100])
    other = reader.read([ASKED], [long + " blue light" * 99 + " blue sunl"])
    assert (read.tokens == LONGEST).all()
    assert read.end[0] == read.end[1] != other.end[0]  # what differs lies before the last stretch


def test_a_row_is_the_same_in_any_company_and_on_any_number_of_cores(tiny):
    reader = open_language_model(tiny, "cpu")
    prompts = [ASKED, (Message(role="user", content="Name a colour."),), ASKED]
    texts = ["Blue light.", "Red.", ANSWER]
    together = np.array(reader.read(prompts, texts))
    apart = np.array([reader.read([p], [t]) for p, t in zip(prompts, texts, strict=True)])[..., 0].T
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        on_three = np.array(reader.read(prompts, texts))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(together, apart)
    assert np.array_equal(together, on_three)


def test_the_floor_is_never_above_that_of_the_base_install(tiny):
    texts = [ANSWER, "y", "Why is the sky blue?", "x7 q zz 0f " * 9, "", " \n", "\ud800", "a" * 100_000]
    found = LanguageModelFloor(base_floor(), tiny).shortfalls([ASKED] * len(texts), texts)
    assert (found >= base_floor().shortfalls([ASKED] * len(texts), texts)).all()
    assert np.isfinite(found).all()
    assert (found <= DEPTH).all()
    assert LanguageModelFloor(base_floor(), tiny).shortfalls([], []).shape == (0,)


def test_a_model_that_knows_the_answer_says_what_is_none(taught):
    shuffled = "wavelengths such looks The from red eyes air blue direction sky sunlight every more scatters reaches "
    half = ANSWER[: len(ANSWER) // 2]
    floor = LanguageModelFloor(base_floor(), taught)
    floor.take(floor.limits() | {"ending": -1.0})  # so small a model is sure of little
    beliefs = floor.beliefs([ASKED] * 3, [ANSWER, shuffled, half])
    assert beliefs["order"].tolist() == [0, 1, 0]
    assert beliefs["junk"][0] == 0
    assert beliefs["ending"][0] == 0 < beliefs["ending"][2]
    fallen = floor.shortfalls([ASKED] * 3, [ANSWER, shuffled, half])
    assert fallen[0] == 0
    assert fallen[1] == DEPTH
    base = base_floor().shortfalls([ASKED], [half])[0]
    assert fallen[2] == max(base, CUT_OFF * beliefs["ending"][2]) > 0


def test_nothing_is_known_of_a_language_that_the_model_does_not_know(taught):
    strange = (Message(role="user", content="Zwxq jvkp qzzt fjord vext waltz bum nymph cwm glyph?"),)
    floor = LanguageModelFloor(base_floor(), taught)
    assert all((it == 0).all() for it in floor.beliefs([strange], ["jvkp qzzt vext " * 9]).values())


def test_the_limits_of_many_real_answers_take_the_place_of_the_built_in_ones(taught):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.permutation(ANSWER.split())) for _ in range(300)]
    floor = LanguageModelFloor(base_floor(), taught)
    before = floor.limits()
    assert (floor.beliefs([ASKED] * 300, texts)["order"] > 0).mean() > 0.5
    floor.calibrate([ASKED] * 300, texts)
    many = floor.limits()
    assert (floor.beliefs([ASKED] * 300, texts)["order"] > 0).mean() < 0.05
    few = LanguageModelFloor(base_floor(), taught)
    few.calibrate([ASKED] * 3, texts[:3])
    assert many["order"] < few.limits()["order"] < before["order"]
    few.calibrate([], [])
    nothing = LanguageModelFloor(base_floor(), taught)
    nothing.take(many)
    assert nothing.limits() == many


def test_a_checkpoint_scores_bit_for_bit_the_same_and_knows_its_language_model(tiny, tmp_path):
    name = str(tmp_path / "lm")
    shutil.copytree(tiny, name)
    pairs = [pair(i, user=user) for i in range(8) for user in ("ada", "bo")]
    model = method("hierarchical-stylometric")(floor=f"lm:{name}", variances="fixed").fit(pairs)
    model.save(tmp_path / "checkpoint")
    rows = [p.prompt for p in pairs[:6]], [p.chosen_text for p in pairs[:6]], [p.user_id for p in pairs[:6]]
    back = load(tmp_path / "checkpoint")
    assert back.score(as_answers(*rows)) == model.score(as_answers(*rows))
    assert back.standing.kept()[0] == model.standing.floor.limits()

    tiny_backbones.make(Path(name), [ANSWER] * 9, shape="llama", seed=1)
    open_language_model.cache_clear()
    with pytest.raises(DataError, match=r"not the language model .* train again"):
        load(tmp_path / "checkpoint").score(as_answers(*rows))
    shutil.rmtree(name)
    open_language_model.cache_clear()
    with pytest.raises(DataError, match="name a folder with the model"):
        load(tmp_path / "checkpoint").score(as_answers(*rows))


@pytest.mark.parametrize("name", ["no/such/model/anywhere", "."])
def test_what_is_no_language_model_is_a_clear_error(name):
    with pytest.raises(DataError, match="name a folder"):
        open_floor(f"lm:{name}")
