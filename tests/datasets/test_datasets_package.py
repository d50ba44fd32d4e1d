import ast
import subprocess
import sys

import pytest

from synthesizeme import datasets, discovery
from synthesizeme.datasets import find_data, formats, load_dataset, synthetic
from synthesizeme.errors import DataError, UnknownNameError


def test_importing_loads_nothing_heavy():
    script = (
        "import sys, synthesizeme.datasets\n"
        "heavy = {'torch', 'dspy', 'datasets', 'pyarrow', 'huggingface_hub', 'httpx', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == []


def test_public_names_exist():
    assert all(hasattr(datasets, name) for name in datasets.__all__)


@pytest.mark.parametrize("name", sorted(formats()))
def test_a_format_is_a_whole_data_set_module(name):
    known = formats()[name]
    assert known.description
    assert "\n" not in known.description
    assert all(source.count("/") == 1 for source in known.sources)
    assert all(isinstance(names, tuple) for names in (known.sources, known.files, known.download))
    assert known.recognises({}) is False


def test_every_public_module_is_a_data_set():
    registered = set(discovery.names("synthesizeme.datasets", folders=False))
    assert set(formats()) == {
        "argilla",
        "chatbot-arena",
        "community-alignment",
        "jsonl",
        "judged-rows",
        "label-studio",
        "lamp",
        "llmfao",
        "mlflow",
        "open-webui",
        "paper-format",
        "polis",
        "prism",
        "rated-completions",
        "remesh",
        "trl-rows",
    }
    assert registered - set(formats()) <= {"synthetic"}


def test_unknown_names_list_the_known_ones():
    for call in (find_data, load_dataset):
        with pytest.raises(UnknownNameError, match="Did you mean 'polis'"):
            call("poli", env={})


def test_load_dataset_finds_and_loads(pair_row, write_lines):
    path = write_lines(pair_row(), name="polis.jsonl")
    assert load_dataset("polis", env={"SYNTHESIZEME_DATA_DIR": str(path.parent)})[0].pair_id == "p0"


def test_made_data_are_made_and_not_looked_for(tmp_path):
    pairs = load_dataset("synthetic", data_dir=tmp_path, n_users=2, pairs_per_user=3)
    assert pairs == synthetic.load(n_users=2, pairs_per_user=3)
    with pytest.raises(
        DataError, match=r"'synthetic' is made, not found.*data convert synthetic --out OUT\.jsonl"
    ):
        find_data("synthetic", data_dir=tmp_path)
