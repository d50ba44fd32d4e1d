from __future__ import annotations

import pytest

from synthesizeme.backends import ModelSettings, find_backend, open_model
from synthesizeme.backends._base import backends
from synthesizeme.errors import ConfigError, UnknownNameError


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        ("builtin", "builtin"),
        ("openai/gpt-4o", "hosted"),
        ("together_ai/meta-llama/Llama-3", "hosted"),
        ("hf:org/model", "in_process"),
        ("hf:/some/folder", "in_process"),
        ("scripted:replies.json", "scripted"),
    ],
)
def test_a_name_finds_its_backend(name, backend):
    assert find_backend(name, api_base=None).__name__ == f"synthesizeme.backends.{backend}"


@pytest.mark.parametrize("name", ["gpt-4o", "openai/", "opeani/gpt-4o", "hf:", "", "builtin2", "scripted"])
def test_a_name_of_no_backend_lists_what_there_is(name):
    with pytest.raises(UnknownNameError, match=r"unknown model .*builtin.*hf:NAME.*openai/NAME"):
        open_model(name)


def test_an_address_decides_whatever_the_name():
    for name in ("gpt-4o", "openai/gpt-4o", "hf:x"):
        found = find_backend(name, api_base="http://127.0.0.1:1/v1")
        assert found.__name__ == "synthesizeme.backends.local_server"


def test_every_backend_says_what_it_is():
    modules = {module.__name__.rpartition(".")[2]: module for module in backends()}
    assert set(modules) == {"builtin", "hosted", "in_process", "local_server", "scripted"}
    for module in modules.values():
        assert isinstance(module.PREFIXES, tuple)
        assert isinstance(module.ASYNCHRONOUS, bool)
        assert isinstance(module.SAMPLES, bool)
        assert module.KIND
        assert set(module.WAYS) <= {"json", "continue", "choose", "mend"}
        assert set(module.TAKES) <= {"extra_body", "headers"}
    assert len({module.KIND for module in modules.values()}) == len(modules)


def test_all_wrong_settings_are_told_together():
    with pytest.raises(ConfigError) as caught:
        ModelSettings(temperature=3, max_tokens=0, timeout_s=0, batch_size=0)
    assert len(caught.value.problems) == 4


def test_a_key_is_not_shown():
    assert "hush" not in repr(ModelSettings(api_key="hush"))
