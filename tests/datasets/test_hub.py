import json
import os
import subprocess
import sys

import pytest
from loopback_hub import LoopbackHub

from synthesizeme.datasets import convert, find_data
from synthesizeme.datasets.rows.containers import is_data_file
from synthesizeme.errors import DataError
from synthesizeme.hub import HubName, download, hub_name

NOWHERE = {"HF_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("owner/name", HubName("owner/name", None)),
        ("owner/name:test", HubName("owner/name", "test")),
        ("hub:owner/na.me-2:train_prefs", HubName("owner/na.me-2", "train_prefs")),
        ("hub:tests/name", HubName("tests/name", None)),
        ("tests/name", None),
        ("owner/pairs.jsonl", None),
        ("owner/pairs.jsonl.gz", None),
        ("a/b/c", None),
        ("name", None),
        ("/owner/name", None),
    ],
)
def test_names_of_the_hub_and_local_paths(source, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    assert hub_name(source, is_data_file) == expected


@pytest.mark.parametrize("env", [NOWHERE, {**NOWHERE, "HF_HUB_OFFLINE": "1"}])
def test_a_hub_out_of_reach_is_said_without_waiting_for_it(env, waits):
    with pytest.raises(
        DataError, match=r"no-such-owner/no-such-name: the hub is out of reach: .*Cure: connect"
    ):
        download("no-such-owner/no-such-name", ["*"], env=env)
    assert waits == []


def test_where_data_is_looked_for(tmp_path):
    named, variable = tmp_path / "named", tmp_path / "variable"
    env = {**NOWHERE, "SYNTHESIZEME_DATA_DIR": str(variable)}
    with pytest.raises(DataError) as caught:
        find_data("llmfao", data_dir=named, env=env)
    for place in (
        f"{named} (no such folder)",
        f"{variable} (no such folder)",
        "hub data set dustalov/llmfao",
    ):
        assert place in str(caught.value)
    (variable / "llmfao_raw").mkdir(parents=True)
    (variable / "llmfao_raw" / "crowd-comparisons.csv").touch()
    named.mkdir()
    assert find_data("llmfao", data_dir=named, env=env) == variable / "llmfao_raw" / "crowd-comparisons.csv"
    (named / "llmfao.jsonl.gz").touch()
    assert find_data("llmfao", data_dir=named, env=env) == named / "llmfao.jsonl.gz"


def test_hub_names_are_looked_for_locally_first(tmp_path):
    (tmp_path / "prism_personalized_0125").mkdir()
    found = find_data("MichaelR207/prism_personalized_0125", data_dir=tmp_path, env=NOWHERE)
    assert found == tmp_path / "prism_personalized_0125"


@pytest.fixture
def hub(pair_row):
    files = {
        "README.md": b"# Pairs",
        "data/train-00000-of-00001.jsonl": json.dumps(pair_row(1)).encode(),
        "data/test-00000-of-00001.jsonl": json.dumps(pair_row(2)).encode(),
    }
    with LoopbackHub({"datasets/owner/pairs": files}) as served:
        yield served.address


SCRIPT = """
import sys
from synthesizeme.datasets import convert
from synthesizeme.errors import DataError
for source in sys.argv[2:]:
    try:
        report = convert(source, sys.argv[1], overwrite=True)
        print(report.format, report.pairs_written)
    except DataError as error:
        print(error)
"""


def test_fetched_once_then_read_without_the_hub(hub, tmp_path):
    env = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub}

    def run(*sources, **more):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "out.jsonl"), *sources]
        done = subprocess.run(
            command, env={**env, **more}, stdout=subprocess.PIPE, text=True, timeout=60, check=True
        )
        return done.stdout.splitlines()

    names = ["hub:owner/pairs:test", "owner/pairs", "owner/absent", "owner/gated", "owner/pairs:dev"]
    test, everything, absent, gated, no_split = run(*names)
    assert (test, everything) == ("jsonl 1", "jsonl 2")
    assert "the hub has no data set of this name" in absent
    assert "`hf auth login`" in gated
    assert "no rows of split 'dev'" in no_split
    assert "data/train-00000-of-00001.jsonl" in no_split
    assert run("owner/pairs", HF_HUB_OFFLINE="1", HF_ENDPOINT=NOWHERE["HF_ENDPOINT"]) == ["jsonl 2"]


def test_convert_says_that_there_is_no_such_path_either(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="there is none at this path"):
        convert("owner/name", tmp_path / "out.jsonl")
