"""Stage 2: what the writer of a persona is shown, and how its reply is read."""

from __future__ import annotations

import json
import re

import pytest
from invented import ledger, pair, sent

from synthesizeme.backends import Answer
from synthesizeme.personas.selection import labelled
from synthesizeme.personas.synthesis import (
    MAX_SENTENCE_CHARACTERS,
    MAX_SENTENCES,
    UNEXPLAINED,
    fit_to_budget,
    parse_persona,
    persona_messages,
    write_persona,
)
from synthesizeme.prompts import load_prompt

THETA = load_prompt("persona/default")
IDS = [f"p{n}" for n in range(1, 10)]
SHORT, WARM = "The user prefers short answers.", "The user dislikes warm openings."
ROOMY = 10**6


def choices(count, reasons=()):
    made = [labelled(pair(n), "chosen_first") for n in range(count)]
    return [
        c.model_copy(update={"reasoning": f"Reason {n}."}) if n in reasons else c for n, c in enumerate(made)
    ]


FORMATS = {
    "as asked": f"{SHORT} [1, 3]\n{WARM} [2]",
    "numbered": f"1. {SHORT} [1, 3]\n2. {WARM} [2]",
    "numbered with brackets": f"1) {SHORT} [1,3]\n2) {WARM} [2]",
    "bullets": f"- {SHORT} [1, 3]\n- {WARM} [2]",
    "stars": f"* {SHORT} [1; 3]\n* {WARM} [2]",
    "dots": f"• {SHORT} (1 and 3)\n• {WARM} (2)",
    "pairs in words": f"{SHORT} (pairs 1 and 3)\n{WARM} (pair 2)",
    "pairs in brackets": f"{SHORT} [Pairs: 1, 3]\n{WARM} [pair 2]",
    "each pair named": f"{SHORT} [pair 1, pair 3]\n{WARM} [#2]",
    "one bracket each": f"{SHORT} [1][3]\n{WARM} [2]",
    "ampersand": f"{SHORT} [1 & 3]\n{WARM} [2]",
    "cited before the full stop": "The user prefers short answers [1, 3].\nThe user dislikes warm openings [2].",
    "bold": f"**{SHORT}** [1, 3]\n**{WARM}** [2]",
    "bold numbers": f"**1.** {SHORT} [1, 3]\n**2.** {WARM} [2]",
    "quoted": f"> {SHORT} [1, 3]\n> {WARM} [2]",
    "blank lines": f"\n\n{SHORT} [1, 3]\n\n\n{WARM} [2]\n",
    "heading": f"# Persona\n\n{SHORT} [1, 3]\n{WARM} [2]",
    "bold heading": f"**User persona**\n{SHORT} [1, 3]\n{WARM} [2]",
    "preamble": f"Here are the statements about this user:\n\n{SHORT} [1, 3]\n{WARM} [2]",
    "greeting": f"Sure! Happy to help with that.\n{SHORT} [1, 3]\n{WARM} [2]\nLet me know what else you need!",
    "rule": f"---\n{SHORT} [1, 3]\n---\n{WARM} [2]\n***",
    "thinking": f"<think>The user likes cats. [9]</think>\n{SHORT} [1, 3]\n{WARM} [2]",
    "windows lines": f"{SHORT} [1, 3]\r\n{WARM} [2]\r\n",
    "out of range": f"{SHORT} [1, 3, 99, 0]\n{WARM} [2, 10]",
    "repeated": f"{SHORT} [1, 3, 3, 1]\n{WARM} [2, 2]",
    "objects": json.dumps(
        {"statements": [{"statement": SHORT, "pairs": [1, 3]}, {"text": WARM, "evidence": "2"}]}
    ),
    "a list": json.dumps([f"{SHORT} [1, 3]", f"{WARM} [2]"], indent=2),
    "nested": json.dumps({"persona": {"statements": [f"{SHORT} [1, 3]", f"{WARM} [2]"]}}),
    "fenced": f'```json\n{{"statements": ["{SHORT} [1, 3]", "{WARM} [2]"]}}\n```',
    "fenced lines": f"```\n{SHORT} [1, 3]\n{WARM} [2]\n```",
    "json that is not quite": f'{{"statements": ["{SHORT} [1, 3]", "{WARM} [2]",]}}',
    "json that is cut": f'{{"statements": ["{SHORT} [1, 3]", "{WARM} [2]", "The user str',
    "single quotes": f"{{'statements': ['{SHORT} [1, 3]', '{WARM} [2]']}}",
    "prose": f"{SHORT} [1, 3] {WARM} [2]",
    "hard lines": "The user prefers\nshort answers. [1, 3]\nThe user dislikes warm\nopenings. [2]",
    "citations below": f"{SHORT}\n  [1, 3]\n{WARM}\n  [2]",
    "headings of its own": f"### Length\n- {SHORT} [1, 3]\n\n**Tone**\n- {WARM} [2]",
    "table": f"| # | Statement | Pairs |\n|---|---|---|\n| 1 | {SHORT} | 1, 3 |\n| 2 | {WARM} | 2 |",
}
LANGUAGES = {
    "Chinese": "1. 用户更喜欢简短的回答。【1，3】\n2. 用户不喜欢热情的开场白。",
    "Chinese prose": "用户更喜欢简短的回答。[1, 3]用户不喜欢热情的开场白。[2]",
    "Spanish": "El usuario prefiere respuestas cortas. [1, 3]\nEl usuario evita los saludos.",
    "French": "L'utilisateur préfère les réponses courtes. [1, 3]\nCet utilisateur évite les salutations.",
    "German": "Der Nutzer bevorzugt kurze Antworten. [1, 3]\nDieser Nutzer mag keine Anrede.",
    "Japanese": "ユーザーは短い回答を好みます。[1, 3]\nユーザーは挨拶を好みません。",
    "Russian": "Пользователь предпочитает короткие ответы. [1, 3]\nПользователь не любит приветствий.",
    "Portuguese": "O usuário prefere respostas curtas. [1, 3]\nEste usuário evita saudações.",
    "Korean": "사용자는 짧은 답변을 선호합니다. [1, 3]\n사용자는 인사말을 싫어합니다.",
    "Arabic": "المستخدم يفضل الإجابات القصيرة. [1, 3]\nالمستخدم لا يحب التحيات.",
    "Hindi": "उपयोगकर्ता छोटे उत्तर पसंद करता है। [1, 3]\nउपयोगकर्ता को अभिवादन पसंद नहीं।",
}


@pytest.mark.parametrize("name", list(LANGUAGES))
def test_statements_in_any_language_are_read_with_and_without_citations(name):
    first, second = parse_persona(LANGUAGES[name], IDS)
    assert first.pair_ids == ("p1", "p3")
    assert not re.search(r"[\[\]{}【】]", first.text + second.text)


@pytest.mark.parametrize("reply", list(FORMATS.values()))
def test_no_sign_of_a_layout_is_a_sentence(reply):
    assert not [s.text for s in parse_persona(reply, IDS) if re.search(r"[{}|`\[\]]", s.text)]


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_form_of_reply_is_read_as_the_same_persona(name):
    sentences = parse_persona(FORMATS[name], IDS)
    assert [s.text for s in sentences] == [SHORT, WARM]
    assert [s.pair_ids for s in sentences] == [("p1", "p3"), ("p2",)]


@pytest.mark.parametrize(
    ("citation", "pair_ids"),
    [
        ("[2-4]", ("p2", "p3", "p4")),
        ("[2–4, 7]", ("p2", "p3", "p4", "p7")),
        ("(pairs 2 to 4 and 9)", ("p2", "p3", "p4", "p9")),
        ("[8-4000000000]", ("p8", "p9")),
        ("[p1, p2]", ("p1", "p2")),
        ("[p2-p4]", ("p2", "p3", "p4")),
        ("[choices 1, 2 and 3]", ("p1", "p2", "p3")),
        ("[choices 1, 2, and 3]", ("p1", "p2", "p3")),
        ("[0-2]", ("p1", "p2")),
        ("[4-2]", ()),
        ("[]", ()),
        ("", ()),
        ("[12345678901234567890]", ()),
    ],
)
def test_citations_and_ranges(citation, pair_ids):
    (sentence,) = parse_persona(f"{SHORT} {citation}", IDS)
    assert (sentence.text, sentence.pair_ids) == (SHORT, pair_ids)


@pytest.mark.parametrize(
    ("reply", "statements"),
    [
        ("1) Likes brevity [1] 2) Likes figures [2] 3) No jargon [3]", [("Likes brevity", "p1"), ("Likes figures", "p2"), ("No jargon", "p3")]),
        ("1. The user likes brevity. 2. The user likes version 3. [2]", [("The user likes brevity.", ""), ("The user likes version 3.", "p2")]),
        ("用户喜欢简短的回答。[1] 用户喜欢数字。[3]", [("用户喜欢简短的回答。", "p1"), ("用户喜欢数字。", "p3")]),
        ("The user likes version 1. 2 of it [1]", [("The user likes version 1. 2 of it", "p1")]),
    ],
)  # fmt: skip
def test_a_list_in_one_line_is_a_statement_an_item(reply, statements):
    assert [(it.text, "".join(it.pair_ids)) for it in parse_persona(reply, IDS)] == statements


def test_a_long_number_in_brackets_is_read_at_once():
    assert parse_persona(f"{SHORT} [{'1' * 4000}x]", IDS)


def test_words_in_brackets_are_no_citation():
    (sentence,) = parse_persona("The user prefers lists (numbered ones) over [plain] prose. [2]", IDS)
    assert sentence.text == "The user prefers lists (numbered ones) over [plain] prose."


def test_statements_in_another_form_count_when_there_is_nothing_better():
    assert [s.text for s in parse_persona("Prefers short answers.\nDislikes lists.", IDS)] == [
        "Prefers short answers.", "Dislikes lists.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "reply", ["", "\n \n", "Here is the persona:", "# Persona\n---", "<think>The user likes cats.</think>", "[1, 2]",
              "I'm sorry, but I can't describe this user."],
)  # fmt: skip
def test_a_reply_without_a_statement_is_no_persona(reply):
    assert parse_persona(reply, IDS) == ()


def test_a_persona_is_bounded():
    reply = "\n".join(f"The user likes {n} {'x' * 1000}. [1]" for n in range(100))
    sentences = parse_persona(reply, IDS)
    assert len(sentences) == MAX_SENTENCES
    assert max(len(s.text) for s in sentences) == MAX_SENTENCE_CHARACTERS


def test_the_writer_sees_every_pair_numbered_with_choice_and_reasoning():
    system, request = persona_messages(choices(3, reasons=[1]), THETA)
    assert system.content == THETA.render("system")
    blocks = re.findall(r'<pair number="(\d+)">(.*?)</pair>', request.content, re.DOTALL)
    assert [number for number, _ in blocks] == ["1", "2", "3"]
    for n, (_, block) in enumerate(blocks):
        assert pair(n).chosen_text in block
        assert pair(n).rejected_text in block
        assert "<choice>First</choice>" in block
        assert (f"Reason {n}." in block) == (n == 1)
        assert (UNEXPLAINED in block) == (n != 1)


def test_the_longest_prompt_that_fits_is_kept_without_the_unexplained_pairs_first():
    every = choices(6, reasons=[0, 3])
    assert fit_to_budget(every, THETA, ROOMY) == tuple(every)
    length = [sum(len(m.content) for m in persona_messages(every[:n], THETA)) for n in range(7)]
    kept = fit_to_budget(every, THETA, length[2] + 5)
    assert kept == (every[0], every[3])
    assert fit_to_budget(every, THETA, 0) == fit_to_budget(every, THETA, 10)
    assert len(fit_to_budget(every, THETA, 0)) == 1


def test_of_unexplained_pairs_the_longest_goes_first():
    every = choices(3)
    huge = labelled(pair(9, chosen="very " * 500 + "long"), "chosen_first")
    kept = fit_to_budget([every[0], huge, every[1]], THETA, 4000)
    assert kept == (every[0], every[1])


def write(script, count=3, **kept):
    asked = ledger(script)
    return (*write_persona(asked, choices(count), THETA, **{"max_characters": ROOMY} | kept), asked)


def test_a_persona_says_who_wrote_it_from_which_prompt_and_pairs():
    persona, note, asked = write([f"{SHORT} [1, 3]"])
    assert (persona.made_by, persona.prompt_id, note) == ("scripted", THETA.prompt_id, "")
    assert persona.sentences[0].pair_ids == ("ada-0", "ada-2")
    assert asked.usage.distinct_calls == 1


def test_statements_without_citations_are_asked_for_them_once():
    persona, note, asked = write([f"{SHORT}\n{WARM}", "1: [1, 3]\n2: [2, 99]"])
    assert [s.pair_ids for s in persona.sentences] == [("ada-0", "ada-2"), ("ada-1",)]
    assert [s.text for s in persona.sentences] == [SHORT, WARM]
    assert note == ""
    *asking, replied, again = sent(asked)[1]
    assert asking == sent(asked)[0]
    assert replied == ("assistant", f"{SHORT}\n{WARM}")
    assert f"1. {SHORT}\n2. {WARM}" in again[1]


@pytest.mark.parametrize("reply", ["I cannot say.", "1: []", "7: [1]", RuntimeError("down")])
def test_statements_stay_when_nobody_can_say_what_they_rest_on(reply):
    persona, _, asked = write([SHORT, reply])
    assert [(s.text, s.pair_ids) for s in persona.sentences] == [(SHORT, ())]
    assert len(sent(asked)) == 2
    persona, _, asked = write([SHORT], attempts=1)
    assert persona.text == SHORT


def test_citations_follow_the_pairs_that_were_kept():
    every = [choices(1)[0], labelled(pair(8, chosen="very " * 500 + "long"), "chosen_first"), choices(2)[1]]
    asked = ledger([f"{SHORT} [2, 3]"])
    persona, note = write_persona(asked, every, THETA, max_characters=4000)
    assert persona.sentences[0].pair_ids == ("ada-1",)
    assert note == "the persona was written from 2 of 3 pairs (context limit)"


def test_an_unusable_reply_is_asked_for_again_as_another_sample():
    persona, note, asked = write(["I'm sorry, I can't do that.", f"{SHORT} [1]"])
    assert persona.text == SHORT
    assert note == ""
    assert [r.config.seed for r in asked.model.lm.engine.requests] == [None, 1]
    assert asked.failures == {"refusal": 1}


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([RuntimeError("down"), RuntimeError("down")], "transport"),
        (["I'm sorry, I can't do that."] * 2, "refusal"),
        (["---", "# Persona"], "parse"),
    ],
)
def test_a_persona_that_cannot_be_written_is_none_with_a_note_and_is_counted(script, kind):
    replies = iter(script)
    persona, note, asked = write(lambda request: next(replies))
    assert persona is None
    assert note.startswith(f"no persona could be written ({kind}: ")
    assert asked.failures == {kind: 2}
    assert len(sent(asked)) == 2


def test_attempts_are_limited():
    persona, _, asked = write(["---"] * 5, attempts=1)
    assert persona is None
    assert len(sent(asked)) == 1


def test_a_reply_that_was_cut_off_loses_its_unfinished_line():
    class CutOff:
        def __init__(self, *texts):
            self.model = ledger([]).model
            self.failures = {}
            self.texts = iter(texts)

        def ask(self, questions, stage):
            return [Answer(next(self.texts), cut_off=True)]

    persona, _ = write_persona(
        CutOff(f"{SHORT} [1]\nThe user strongly pref"), choices(2), THETA, max_characters=ROOMY
    )
    assert persona.text == SHORT
    persona, note = write_persona(CutOff("The user str", "The user"), choices(2), THETA, max_characters=ROOMY)
    assert persona is None
    assert "parse" in note


@pytest.mark.parametrize(
    "reply", ["blah blah", "Sure!", "Happy to help with that.\nLet me know if you need more."]
)
def test_chatter_is_no_persona(reply):
    assert parse_persona(reply, ["a", "b"]) == ()


@pytest.mark.parametrize(
    "reply",
    ["None", "none.", "<think>hm</think>**None**", '{"statements": []}', "无", "Keine.", "```\nNone\n```"],
)
def test_a_model_may_say_that_nothing_is_supported(reply):
    asked = ledger(lambda request: reply)
    choices = [labelled(pair(n), "chosen_first") for n in range(2)]
    persona, note = write_persona(asked, choices, load_prompt("persona/default"), max_characters=10_000)
    assert persona is None
    assert "no statement about this user" in note
    assert asked.failures == {}
    assert asked.usage.distinct_calls == 1
