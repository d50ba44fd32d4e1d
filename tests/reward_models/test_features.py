"""Specifications of features, and that every distinct text is encoded once, by one that counts."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib

import numpy as np
import pytest

from reward_models._feature_cache import FeatureCache
from reward_models._features import KEPT_AT_ONCE, Encoded, Joined, Stylometric, open_features
from synthesizeme import stylometry
from synthesizeme.errors import DataError, MissingExtraError, UnknownNameError, install_line
from synthesizeme.types import Message

PROMPT = (Message(role="user", content="How do I cook rice?"),)
OTHER = (*PROMPT, Message(role="assistant", content="In water."), Message(role="user", content="How long?"))


class Counting:
    """Checksums of the texts as vectors; keeps what it was asked."""

    identity = "checksums"
    dim = 2

    def __init__(self):
        self.asked = []

    def of_response(self, prompt, response):
        return (response,)

    def of_prompt(self, prompt):
        return (prompt[-1].content,)

    def encode(self, units):
        self.asked.extend(text for (text,) in units)
        return np.array([[zlib.crc32(text.encode()), len(text)] for (text,) in units], dtype=np.float32)


def test_stylometric_features_are_those_of_the_module():
    found = open_features("stylometric")
    values = found.responses([PROMPT, OTHER], ["Boil it.", "- Ten minutes!"])
    assert values.dtype == np.float32
    assert values.tolist() == [
        np.float32(stylometry.measure("Boil it.", "How do I cook rice?")).tolist(),
        np.float32(stylometry.measure("- Ten minutes!", "How long?")).tolist(),
    ]
    assert found.prompts([OTHER]).tolist() == [np.float32(stylometry.measure("How long?")).tolist()]
    assert found.responses([], []).shape == (0, found.dim)


def test_joined_features_stand_side_by_side():
    left, right = Stylometric(), Encoded(Counting())
    both = Joined([left, right])
    assert both.identity == "stylometric+checksums"
    assert (both.dim, both.prompt_dim) == (left.dim + 2, left.dim + 2)
    values = both.responses([PROMPT], ["Boil it."])
    assert values[:, : left.dim].tolist() == left.responses([PROMPT], ["Boil it."]).tolist()
    assert values[:, left.dim :].tolist() == right.responses([PROMPT], ["Boil it."]).tolist()
    assert both.prompts([PROMPT, OTHER]).shape == (2, left.dim + 2)


def test_a_text_is_encoded_once_in_a_call_and_in_order():
    encoder = Counting()
    values = Encoded(encoder).responses([PROMPT, OTHER, PROMPT], ["b", "a", "b"])
    assert encoder.asked == ["b", "a"]
    assert values[0].tolist() == values[2].tolist() == [np.float32(zlib.crc32(b"b")), 1]
    assert values[1].tolist() == [np.float32(zlib.crc32(b"a")), 1]


def test_with_a_cache_a_text_is_encoded_once_ever(tmp_path):
    first, second = Counting(), Counting()
    values = Encoded(first, FeatureCache(tmp_path)).responses([PROMPT] * 3, ["x", "y", "How long?"])
    again = Encoded(second, FeatureCache(tmp_path))
    assert again.responses([OTHER] * 4, ["y", "z", "x", "y"])[[2, 0]].tolist() == values[:2].tolist()
    assert again.prompts([OTHER]).tolist() == values[2:].tolist()
    assert second.asked == ["z"]


def test_an_interruption_keeps_what_was_encoded(tmp_path):
    class Failing(Counting):
        def encode(self, units):
            if self.asked:
                raise KeyboardInterrupt
            return super().encode(units)

    texts = [str(i) for i in range(KEPT_AT_ONCE + 5)]
    with pytest.raises(KeyboardInterrupt):
        Encoded(Failing(), FeatureCache(tmp_path)).responses([PROMPT] * len(texts), texts)
    encoder = Counting()
    Encoded(encoder, FeatureCache(tmp_path)).responses([PROMPT] * len(texts), texts)
    assert encoder.asked == texts[KEPT_AT_ONCE:]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused_and_not_kept(tmp_path, bad):
    class Broken(Counting):
        def encode(self, units):
            return np.where(np.arange(len(units))[:, None] == 1, bad, super().encode(units))

    with pytest.raises(DataError, match="the features 'checksums' of 1 texts are not finite numbers"):
        Encoded(Broken(), FeatureCache(tmp_path)).responses([PROMPT] * 3, ["a", "b", "c"])
    assert FeatureCache(tmp_path).get("checksums", [("a",), ("b",), ("c",)], 2) == {}


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ("", ""),
        ("stylometric+", ""),
        ("static++minilm", ""),
        ("lm:", "lm:"),
        ("stylometric+lm:", "lm:"),
        ("lm::mean", "lm::mean"),
        ("lm:mean", "lm:mean"),
        ("lm:bfloat16", "lm:bfloat16"),
        ("stylometric:x", "stylometric:x"),
        ("embeddings:all-MiniLM-L6-v2", "embeddings:all-MiniLM-L6-v2"),
    ],
)
def test_an_unknown_specification_lists_those_there_are(spec, part):
    with pytest.raises(
        UnknownNameError,
        match="Known: NAME, lm:NAME, lm:NAME:last, lm:NAME:mean, lm:NAME:mean:bfloat16, minilm",
    ) as caught:
        open_features(spec)
    assert caught.value.name == part


@pytest.mark.parametrize("kind", ["", "lm:"])
def test_a_folder_may_have_a_plus_or_a_colon_in_its_name(tmp_path, kind):
    pytest.importorskip("sentence_transformers")
    for name in ("c++/model", "a+b", "v:2"):
        (tmp_path / name).mkdir(parents=True)
        with pytest.raises(DataError, match="can be read here") as caught:
            open_features(f"stylometric+{kind}{tmp_path / name}+static")
        assert caught.value.source == str(tmp_path / name)


@pytest.mark.parametrize(
    "spec", ["no/such", "static+no/such", "lm:no/such:mean", "static+lm:no/such", "stylometry"]
)
def test_a_part_that_is_missing_is_named(monkeypatch, tmp_path, spec):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(DataError, match=r"(no/such|stylometry): .*the hub is out of reach") as caught:
        open_features(spec)
    assert caught.value.cure
    assert ("stylometric, static, minilm" in caught.value.cure) is ("stylometry" in spec)
    part = spec.removeprefix("static+")
    assert (f"part {part!r} of the features {spec!r}" in str(caught.value)) is (part != spec)


@pytest.mark.parametrize(
    ("spec", "library", "extra"),
    [
        ("minilm", "sentence_transformers", "embeddings"),
        ("static+some/name", "torch", "embeddings"),
        ("lm:x", "transformers", "hf"),
    ],
)
def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch, spec, library, extra):
    for loaded in ("_encoders", "_transformers"):
        monkeypatch.delitem(sys.modules, f"reward_models.{loaded}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    part = re.escape(spec.split("+")[-1])
    with pytest.raises(MissingExtraError, match=f"features '{part}' .*{re.escape(install_line(extra))}"):
        open_features(spec)


def test_named_features_load_no_torch():
    code = (
        "import sys; from reward_models._features import open_features; open_features('stylometric'); "
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
