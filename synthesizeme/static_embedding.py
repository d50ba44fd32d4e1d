"""Static embeddings of WordLlama: a text's vector is the mean of its tokens' vectors, and no network runs.

The vectors and their tokenizer are read from the installed package ``wordllama`` (Lee Miller) and are no part
of this project. Its code is under the MIT licence; its vectors were trained from the token embeddings of
LLaMA 2 70B and phi-3 and go by LLaMA 2's vocabulary, so that its licence may bear on what is made with them.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synthesizeme.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

REQUIREMENT = "wordllama==0.4.0.post1"
LICENCE = (
    "WordLlama's code is under the MIT licence; its vectors derive from the embeddings of LLaMA 2 70B "
    "(LLaMA 2 Community License) and phi-3"
)
"""What a model that stands on these vectors has to say."""
VECTORS, TOKENIZER = "weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"
READ = 16_384
"""Characters of a text that are read, about three thousand words; the rest changes nothing."""


class StaticEmbedding:
    """Direction of the mean of a text's token vectors.

    f(text) = s / |s| with s = sum_i e_i over the tokens of the first `READ` characters, e_i their vectors,
    whose lengths were learned: words that say little have short ones. A text without tokens has the vector 0.
    A vector never depends on what else is encoded, nor on the number of cores.

    Args:
        vectors: Vector of each token, shape (V, dim).
        tokenizer: Whose token ids are rows of `vectors`.
        identity: What decides `vectors` and `tokenizer`.
    """

    def __init__(self, vectors: NDArray[Any], tokenizer: Tokenizer, identity: str) -> None:
        self.vectors = vectors.astype(np.float32)
        self.tokenizer = tokenizer
        self.dim = int(self.vectors.shape[1])
        self.identity = f"static-{self.dim}-{identity}-{READ}-0"

    def vector(self, text: str) -> NDArray[np.float32]:
        """f(text), shape (dim,), of length 1 or 0; lone surrogates, which are no text, are read as "?"."""
        text = text.encode(errors="replace").decode()
        # One text after the other: a batch would start threads, which no later fork survives.
        tokens = self.tokenizer.encode(text[:READ], add_special_tokens=False).ids
        # A sum along rows, not a matrix product, whose last bits would depend on the machine's threads.
        total = self.vectors[np.array(tokens, dtype=np.int64)].sum(axis=0)
        length = np.sqrt((total**2).sum())
        found: NDArray[np.float32] = total / length if length > 0 else total
        return found


@lru_cache(maxsize=1)
def open_static_embedding() -> StaticEmbedding:
    """The embedding on WordLlama's 32,000 vectors of 256 numbers, opened once.

    Raises:
        DataError: the package is not installed, or its files are not those of the version this project names.
    """
    from safetensors.numpy import load
    from tokenizers import Tokenizer

    folder, problem = _folder(), missing()
    if folder is None or problem is not None:
        raise _unusable(problem or "it is not installed")
    stored = [(folder / name).read_bytes() for name in (VECTORS, TOKENIZER)]
    try:
        (vectors,) = load(stored[0]).values()
        tokenizer = Tokenizer.from_buffer(stored[1])
    except Exception as error:  # both libraries raise nothing narrower
        raise _unusable(f"its files cannot be read ({error})") from error
    if vectors.ndim != 2 or tokenizer.get_vocab_size() != len(vectors):
        raise _unusable(f"{tokenizer.get_vocab_size()} tokens have vectors of shape {vectors.shape}")
    return StaticEmbedding(vectors, tokenizer, hashlib.sha256(b"".join(stored)).hexdigest()[:16])


def missing() -> str | None:
    """Why the files of the embedding are not here, or None if they are; reads none of them."""
    folder = _folder()
    if folder is None:
        return "it is not installed"
    absent = [name for name in (VECTORS, TOKENIZER) if not (folder / name).is_file()]
    return f"version {version('wordllama')} has no file {absent[0]}" if absent else None


def _folder() -> Path | None:
    spec = find_spec("wordllama")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _unusable(problem: str) -> DataError:
    return DataError(
        f"the features 'static' need WordLlama's vectors, and {problem}",
        source="package wordllama",
        cure=f"pip install --force-reinstall --no-deps {REQUIREMENT}",
    )
