from __future__ import annotations

import pytest

import reward_models
from synthesizeme import discovery
from synthesizeme.comparison.systems import USUAL_RETRIEVAL, participants, system_names
from synthesizeme.errors import UnknownNameError, install_line
from synthesizeme.judges.names import JUDGES as PLAIN_JUDGES
from synthesizeme.judges.names import REFERENCES, retrieval_judges

JUDGES = (*PLAIN_JUDGES, *USUAL_RETRIEVAL)


def test_groups_stand_for_their_members_and_names_are_taken_once():
    models = reward_models.method_names()
    assert list(system_names(["all"])) == [*models, *JUDGES, *REFERENCES]
    assert list(system_names(["models"])) == models
    assert list(system_names(["retrieval"])) == list(retrieval_judges())
    mixed = system_names(["gpt4", "judges", "default", "lore"])
    assert list(mixed) == ["gpt4", *JUDGES, "lore"]
    assert [name for name, named in mixed.items() if named] == ["gpt4", "default", "lore"]


def test_an_unknown_name_lists_all_there_are():
    with pytest.raises(UnknownNameError, match="Did you mean 'lore'") as found:
        system_names(["longer", "lora"])
    assert {
        "all",
        "models",
        "judges",
        "references",
        "retrieval",
        *retrieval_judges(),
        *reward_models.method_names(),
        *JUDGES,
        *REFERENCES,
    } == set(found.value.known)


def test_a_method_whose_library_is_missing_is_named_with_its_cure(monkeypatch):
    load = discovery.load

    def without_torch(package, name, **more):
        if name == "lore":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return load(package, name, **more)

    monkeypatch.setattr(discovery, "load", without_torch)
    found = participants(["lore", "longer", "hierarchical-stylometric"])
    assert list(found.classes) == ["hierarchical-stylometric"]
    assert list(found.missing) == ["lore"]
    assert install_line("hf") in str(found.missing["lore"])
    assert not found.asking


def test_variants_are_models_and_a_folder_is_a_name(tmp_path):
    names = system_names(["models"], {"small": "lore"})
    assert list(names) == [*reward_models.method_names(), "small"]
    found = participants(["small", "longer"], {"small": "hierarchical-stylometric"}).classes
    assert found == {"small": reward_models.method("hierarchical-stylometric")}
    assert list(system_names(["out/model"])) == ["out/model"]
