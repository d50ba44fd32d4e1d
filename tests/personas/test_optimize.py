"""The search over persona-writing instructions, with DSPy's real optimisers and the builtin reader."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from synthesizeme.backends import Session, open_model
from synthesizeme.backends.scripted import scripted_model
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.personas.optimize import optimize_theta, theta_document
from synthesizeme.prompts import load_prompt


@pytest.fixture(scope="module")
def users():
    return planted_population(12, 60, seed=3, noise=0.3, quality=0.5, split=True).by_user


def proposer(instruction):
    """A model that proposes `instruction` to MIPROv2 and to GEPA, in the formats DSPy asks for."""

    def reply(request):
        if "current_instruction" in request.messages[-1].text:
            return json.dumps({"new_instruction": instruction})
        return f"[[ ## proposed_instruction ## ]]\n{instruction}\n\n[[ ## completed ## ]]"

    return scripted_model(reply)


@pytest.mark.parametrize("optimizer", ["mipro", "gepa"])
def test_better_instruction_is_found_and_chosen(users, optimizer, monkeypatch):
    """From an instruction that allows no statement, the search goes to one that does."""
    good = load_prompt("persona/default").render("system")
    poor = good.replace("at most twelve", "at most zero")
    with Session(open_model()) as session:
        theta = load_prompt("persona/default").with_section("system", poor)
        monkeypatch.setattr("synthesizeme.personas.optimize.load_prompt", lambda name: theta)
        found = optimize_theta(session, users, optimizer=optimizer, proposer=proposer(good), trials=3)
    assert found.record["changed"], found.record
    assert found.theta.sections["system"].strip() == good.strip()
    assert found.theta.version == theta.version + 1
    assert found.record["users"] == {"propose": 4, "choose": 4, "held_out": 4}
    assert found.after.micro > found.before.micro
    held_out = {pair.user_id for pair in found.after.pairs}
    assert len(held_out) == 4


def test_builtin_reader_proposes_for_itself(users):
    with Session(open_model()) as session:
        found = optimize_theta(session, users, trials=2)
    assert found.record["proposer"] == "builtin"
    assert set(found.record["held_out"]) == {"before", "after", "gain"}


def test_document_keeps_every_version_and_is_read_back(users, tmp_path):
    base = load_prompt("persona/default")
    with Session(open_model()) as session:
        found = optimize_theta(session, users, trials=2)
    better = replace(found.theta, version=base.version + 1).with_section("system", "Write at most two lines.")
    newer = replace(found, theta=better, record={**found.record, "changed": True})
    nothing_new = replace(newer, record={**found.record, "changed": False})
    path = tmp_path / "theta.json"
    path.write_text(theta_document(theta_document(None, base, newer), base, nothing_new), encoding="utf-8")
    versions = json.loads(path.read_text(encoding="utf-8"))["versions"]
    assert [version["version"] for version in versions] == [base.version, base.version + 1]
    assert [search["changed"] for search in versions[-1]["searches"]] == [False]
    again = load_prompt(str(path))
    assert again.prompt_id == better.prompt_id
    assert again.sections == better.sections


def test_too_few_users_and_unknown_optimizer_are_refused(users):
    few = dict(list(users.items())[:5])
    with Session(open_model()) as session:
        with pytest.raises(DataError, match=r"5 of 5 users .* expected 6"):
            optimize_theta(session, few)
        with pytest.raises(ConfigError, match="mipro, gepa"):
            optimize_theta(session, users, optimizer="grid")
