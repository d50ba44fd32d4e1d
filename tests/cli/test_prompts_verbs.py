from __future__ import annotations

from synthesizeme.prompts import load_prompt, parse_prompt, prompt_names


def test_list_names_every_prompt_with_its_version(command):
    listed = command("prompts", "list", "--json").json["prompts"]
    assert [prompt["name"] for prompt in listed] == prompt_names()
    human = command("prompts", "list").out
    assert all(name in human for name in prompt_names())


def test_show_prints_a_prompt_that_can_be_edited_and_used(command, tmp_path):
    ran = command("prompts", "show", "judge/default")
    shown = parse_prompt(ran.out, source="shown")
    assert shown.prompt_id == load_prompt("judge/default").prompt_id
    (tmp_path / "mine.md").write_text(ran.out)
    assert command("prompts", "show", "mine.md", "--json").json["variables"] == sorted(shown.variables)


def test_an_unknown_prompt_lists_those_there_are(command):
    ran = command("prompts", "show", "judge/defualt")
    assert ran.status == 2
    assert "judge/default" in ran.err


def test_optimize_refuses_a_file_without_a_name_and_a_folder_before_any_call(command, sample, tmp_path):
    for out, said in (("", "is empty; expected the name of a file"), (".", "is a folder")):
        ran = command("prompts", "optimize", "--data", sample, "--out", out)
        assert ran.status == 2
        assert "Invalid value for '--out': " in ran.err
        assert said in ran.err
        assert ran.out == ""
    assert list(tmp_path.iterdir()) == []
