"""The suite runs with none of the product's variables set, whatever is set around it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from synthesizeme.backends.hosted import KEY_VARIABLES
from synthesizeme.cli.doctor import OFFLINE_VARIABLES

ROOT = Path(__file__).resolve().parents[1]
NONSENSE = {
    "SYNTHESIZEME_DATA_DIR": "/nowhere/data",
    "SYNTHESIZEME_NO_CACHE": "1",
    "SYNTHESIZEME_API_KEY": "nobody's",
    "SYNTHESIZEME_PROFILES": "/nowhere/store.db",
    "SYNTHESIZEME_REWARD_MODEL": "/nowhere/model",
    "SYNTHESIZEME_UNKNOWN_USER": "guess",
    "SYNTHESIZEME_ON_ERROR": "shrug",
    "XDG_CACHE_HOME": "/nowhere/cache",
    "HF_ENDPOINT": "http://127.0.0.1:1",
    "RAY_ADDRESS": "127.0.0.1:1",
    "COLUMNS": "7",
    "ALL_PROXY": "http://127.0.0.1:1",
}
READERS = ("datasets/test_lamp.py", "datasets/test_hub.py", "serving/test_verl.py")
"""Tests of what reads variables; without the rule most of them fail under those above."""


def test_every_variable_that_the_product_reads_is_taken_away(pytestconfig):
    taken = pytestconfig.pluginmanager.get_plugin(str(ROOT / "tests" / "conftest.py")).changes_the_product
    read = {*NONSENSE, *OFFLINE_VARIABLES, *(name for names in KEY_VARIABLES.values() for name in names)}
    assert {name for name in read if not taken(name)} == set()
    assert not taken("PATH")
    assert not taken("OMP_NUM_THREADS")


def test_the_suite_passes_where_all_of_them_are_set():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/{name}" for name in READERS)],
        cwd=ROOT, env=os.environ | NONSENSE, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout
