"""Static embeddings: by hand, in any company, without WordLlama, and what they know."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import wordllama
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from reward_models._features import Encoded, open_features
from reward_models._static import StaticEncoder, open_static
from synthesizeme import static_embedding
from synthesizeme.errors import DataError
from synthesizeme.static_embedding import READ, StaticEmbedding
from synthesizeme.types import Message

TEXTS = [
    "Boil it in water for ten minutes, and keep the lid on.",
    "",
    "   ",
    "Rice? Ask your grandmother; mine always knew.",
    "many words " * 400,
    "a lone \ud800 surrogate",
    "他们在喝茶。",
    "Сварите рис 🍚 в воде.",
    "</s> <unk> <0x0A> \x00",
]
WORDS = {"sea": 0, "the": 1, "salt": 2}
VECTORS = np.array([[3, 4], [0, 1], [-6, 8]], dtype=np.float32)


def units(texts):
    return [(text,) for text in texts]


def tiny():
    tokenizer = Tokenizer(WordLevel(WORDS, unk_token="the"))
    tokenizer.pre_tokenizer = Whitespace()
    return StaticEncoder(StaticEmbedding(VECTORS.astype(np.float16), tokenizer, "tiny"))


def test_a_vector_by_hand():
    (found,) = tiny().encode(units(["sea salt sea sea sea"]))
    expected = 4 * VECTORS[0] + VECTORS[2]
    assert found == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    assert found.dtype == np.float32


def test_vectors_are_those_of_the_package_in_the_order_of_its_tokens():
    plain = wordllama_of_the_package()
    texts = [text for text in TEXTS if text.strip() and "\ud800" not in text]
    means = plain.embed(texts, norm=True)
    found = StaticEncoder(StaticEmbedding(plain.embedding, plain.tokenizer, "package"))
    np.testing.assert_allclose(found.encode(units(texts)), means, atol=1e-5)
    assert open_static().dim == means.shape[1] == 256


def wordllama_of_the_package():
    """WordLlama's own class on the files of its package, which its loader would look for on a hub."""
    from safetensors.numpy import load_file
    from wordllama.inference import WordLlamaInference

    folder = Path(wordllama.__file__).parent
    vectors = load_file(folder / static_embedding.VECTORS)["embedding.weight"]
    return WordLlamaInference(
        vectors.astype(np.float32), Tokenizer.from_file(str(folder / static_embedding.TOKENIZER))
    )


def test_a_vector_is_the_same_in_any_company():
    encoder = open_static()
    together = encoder.encode(units(TEXTS))
    assert together.shape == (len(TEXTS), 256)
    alone = np.concatenate([encoder.encode(units([text])) for text in TEXTS])
    shuffled = random.Random(0).sample(range(len(TEXTS)), len(TEXTS))
    moved = np.empty_like(together)
    moved[shuffled] = encoder.encode(units([TEXTS[i] for i in shuffled]))
    assert together.tobytes() == alone.tobytes() == moved.tobytes()
    lengths = np.linalg.norm(together, axis=1)
    assert lengths[1] == 0
    assert np.delete(lengths, 1) == pytest.approx(1, abs=1e-6)
    assert encoder.encode([]).shape == (0, 256)


def test_a_process_with_other_settings_gives_the_same_bits():
    code = (
        "import sys; from reward_models._static import open_static; "
        "sys.stdout.buffer.write(open_static().encode([('Boil it.',), ('他们在喝茶。',)]).tobytes())"
    )
    here = open_static().encode(units(["Boil it.", "他们在喝茶。"])).tobytes()
    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True,
        env={"TOKENIZERS_PARALLELISM": "true", "OMP_NUM_THREADS": "2", "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert ran.stdout == here
    assert ran.stderr == b""


class Counting:
    """A tokenizer that notes how long the texts are that it is given."""

    def __init__(self, tokenizer):
        self.tokenizer, self.lengths = tokenizer, []

    def encode(self, text, **more):
        self.lengths.append(len(text))
        return self.tokenizer.encode(text, **more)


def test_of_a_long_text_the_stated_number_of_characters_is_read(monkeypatch):
    encoder = open_static()
    tokenizer = Counting(encoder.embedding.tokenizer)
    monkeypatch.setattr(encoder.embedding, "tokenizer", tokenizer)
    long = "A megabyte of rice and water. " * 35_000
    assert len(long) > 10**6
    found = encoder.encode(units([long, long[:READ], long[:READ] + "else", "else" + long]))
    assert max(tokenizer.lengths) == READ
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()
    assert found[3].tobytes() != found[0].tobytes()


def test_a_lone_surrogate_is_read_as_a_question_mark():
    one, two = open_static().encode(units(["a lone \ud800 one", "a lone ? one"]))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        (
            "How do I cook rice?",
            "Boil the grains in water until soft.",
            "The parliament voted on the tax bill.",
        ),
        ("My dog is ill.", "A vet looks after pets.", "The engine needs new oil."),
        ("Wie koche ich Reis?", "Den Reis in Wasser kochen.", "Das Parlament stimmt über die Steuer ab."),
    ],
)
def test_what_is_alike_lies_near(text, near, far):
    it, one, other = open_static().encode(units([text, near, far]))
    assert it @ one > it @ other + 0.05


def test_its_features_read_the_response_and_the_last_turn_and_keep_no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHESIZEME_CACHE_DIR", str(tmp_path / "cache"))
    features = open_features("static")
    prompt = (Message(role="user", content="Hello."), Message(role="user", content="How long?"))
    found = features.responses([prompt, prompt[:1]], ["Boil it."] * 2)
    assert found[0].tobytes() == found[1].tobytes()
    assert features.prompts([prompt]).tobytes() == open_static().encode(units(["How long?"])).tobytes()
    assert features.identity.startswith("static-256-")
    assert not (tmp_path / "cache").exists()


def test_vectors_that_are_no_numbers_are_refused():
    encoder = tiny()
    encoder.embedding.vectors[1] = np.nan
    with pytest.raises(DataError, match="of 1 texts are not finite numbers"):
        Encoded(encoder).responses([(Message(role="user", content="?"),)] * 2, ["the sea", "salt"])


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A copy of the installed package that a test may spoil."""
    source, copy = Path(wordllama.__file__).parent, tmp_path / "wordllama"
    for name in (static_embedding.VECTORS, static_embedding.TOKENIZER):
        (copy / name).parent.mkdir(parents=True)
        shutil.copy(source / name, copy / name)
    (copy / "__init__.py").write_text("raise AssertionError('never imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "wordllama")
    monkeypatch.setattr(
        static_embedding, "open_static_embedding", static_embedding.open_static_embedding.__wrapped__
    )
    return copy


def test_the_package_is_read_and_not_imported(package):
    assert open_features("static").identity == open_static().identity
    assert "wordllama" not in sys.modules


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: (folder / static_embedding.VECTORS).unlink(),
            r"version 0\.4\.0.* has no file weights/",
        ),
        (lambda folder: (folder / static_embedding.TOKENIZER).unlink(), "has no file tokenizers/"),
        (lambda folder: (folder / static_embedding.VECTORS).write_bytes(b"x" * 99), "cannot be read"),
        (lambda folder: (folder / static_embedding.TOKENIZER).write_text("{}"), "cannot be read"),
    ],
)
def test_files_that_are_missing_or_damaged_are_named_with_the_cure(package, spoil, message):
    spoil(package)
    with pytest.raises(DataError, match=message) as caught:
        open_features("static")
    assert static_embedding.REQUIREMENT in caught.value.cure


def test_other_vectors_than_tokens_are_refused(package):
    from safetensors.numpy import save_file

    save_file({"embedding.weight": VECTORS}, package / static_embedding.VECTORS)
    with pytest.raises(DataError, match=r"32000 tokens have vectors of shape \(3, 2\)"):
        open_features("static")


def test_where_the_package_is_missing_the_cure_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "wordllama", None)
    monkeypatch.setattr(
        static_embedding, "open_static_embedding", static_embedding.open_static_embedding.__wrapped__
    )
    with pytest.raises(DataError, match=r"package wordllama: .* it is not installed\. Cure: pip install"):
        open_features("static")


def test_the_project_asks_for_the_version_that_it_names():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert static_embedding.REQUIREMENT in project["dependencies"]


def test_nothing_heavy_is_loaded():
    code = (
        "import sys; from reward_models._features import open_features; open_features('static+stylometric'); "
        "assert not {'torch', 'transformers', 'sentence_transformers', 'wordllama'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
