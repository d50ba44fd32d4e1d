"""The built wheel by itself: what is in it, and that it works without the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).parents[2]
PAIRS = ROOT / "data" / "sample" / "pairs.jsonl"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    builders = pytest.importorskip("hatchling.builders.wheel", reason="hatchling builds the wheel")
    place = tmp_path_factory.mktemp("wheel")
    [built] = builders.WheelBuilder(str(ROOT)).build(directory=str(place), versions=["standard"])
    return Path(built)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Run Python with the wheel's packages before all others, in a folder outside the checkout."""
    place, home = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("home")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("SYNTHESIZEME_", "PYTEST"))
    }
    env |= {"PYTHONPATH": str(place), "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}

    def start(*words, **settings):
        command = [sys.executable, "-m", "synthesizeme.cli", *map(str, words)]
        return subprocess.Popen(command, cwd=home, env=env, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **settings)  # fmt: skip

    start.home = home
    told = subprocess.run(
        [sys.executable, "-c", "import synthesizeme, reward_models; print(synthesizeme.__file__, reward_models.__file__)"],
        cwd=home, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert all(Path(file).is_relative_to(place) for file in told.stdout.split())
    return start


def test_its_files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"synthesizeme", "reward_models"}
    packages = [name for name in names if not name.partition("/")[0].endswith(".dist-info")]
    kinds = {Path(name).suffix or Path(name).name for name in packages}
    assert kinds <= {
        ".py", ".typed", "py.typed", ".md", ".json", ".jsonl", ".toml", ".npz", ".safetensors", ".txt", ".mako",
        "NOTICE", ".html", ".css", ".js", ".svg",
    }  # fmt: skip
    source = {str(path.relative_to(ROOT)) for top in ("synthesizeme", "reward_models")
              for path in (ROOT / top).rglob("*.py")}  # fmt: skip
    assert source == {name for name in packages if name.endswith(".py")}
    page = ROOT / "synthesizeme" / "page"
    shown = [*(page / "templates").iterdir(), *(page / "static").iterdir()]
    assert {path.relative_to(ROOT).as_posix() for path in shown} <= set(packages)
    bundled = {name.removeprefix("synthesizeme/_bundled/") for name in packages if "/_bundled/" in name}
    assert "data/sample/pairs.jsonl" in bundled
    text = [ROOT / "prompts", *(ROOT / "data" / name for name in ("sample", "words", "cards"))]
    assert {path.relative_to(ROOT).as_posix() for folder in text for path in folder.rglob("*.md")} <= bundled
    assert {
        "data/sample/README.md",
        "data/words/README.md",
        "data/sycophancy/pairs.jsonl",
        "data/cards/llmfao.md",
    } <= bundled
    assert "reward_models/population/README.md" in packages
    population = ROOT / "reward_models" / "population"
    for path in [*(population / "checkpoint").iterdir(), population / "NOTICE"]:
        assert path.relative_to(ROOT).as_posix() in packages
    assert [name for name in names if ".dist-info/licenses/" in name and name.endswith("population/NOTICE")]
    licences = {Path(name).name for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}


def test_a_persona_is_induced(installed):
    done = installed("induce-persona", PAIRS, "--user", "mara", "--out", "mara", "--json")
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    assert json.loads(out)["users"][0]["persona"]
    assert list((installed.home / "mara").rglob("persona.md"))


def test_an_answer_is_scored_for_a_new_user(installed):
    done = installed("score", "--user", "tobias", "--history", PAIRS, stdin=subprocess.PIPE)
    out, err = done.communicate(
        '{"prompt": "Why is the sky blue?", "response": "Air scatters blue light."}\n', timeout=120
    )
    assert done.returncode == 0, err
    assert json.loads(out)["status"] == "scored"


def test_rewards_are_served(installed):
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    server = installed("serve", "--unknown-user", "population", "--port", 0, "--json")
    try:
        told = "".join(iter(server.stdout.readline, "}\n")) + "}"
        address = json.loads(told)["url"]
        row = {"user_id": "ann", "prompt": "Why is the sky blue?", "response": "Air scatters blue light."}
        asked = Request(f"{address}/v1/score", json.dumps(row).encode(), {"content-type": "application/json"})
        with urlopen(asked, timeout=30) as answer:
            assert json.load(answer)["status"] == "population"
    finally:
        server.terminate()
        server.communicate(timeout=30)


def test_the_page_is_shown_with_the_questions_that_are_shipped(installed):
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    page = installed("page", "--no-open", "--port", 0, "--store", "choices.db", "--json")
    try:
        told = "".join(iter(page.stdout.readline, "}\n")) + "}"
        with urlopen(json.loads(told)["url"], timeout=30) as answer:
            assert "What happens with your answers" in answer.read().decode()
        with urlopen(f"{json.loads(told)['url']}/static/page.css", timeout=30) as answer:
            assert answer.status == 200
    finally:
        page.terminate()
        page.communicate(timeout=30)
