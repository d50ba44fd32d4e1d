"""Statements that say the same are merged; those that only look alike are not."""

from __future__ import annotations

import pytest

from synthesizeme.personas.cautions import without_repetition
from synthesizeme.profile import Persona, PersonaSentence

SAME = [
    ("The user prefers concise answers.", "the user prefers concise answers"),
    ("The user prefers concise answers.", "The user likes concise answers!"),
    ("The user prefers concise answers.", "The user really prefers concise answers."),
    ("The user prefers concise and direct answers.", "The user prefers direct, concise answers."),
    ("They value a concise answer.", "They value concise answers."),
    ("User favours short sentences with examples.", "User favors short sentences with an example."),
    ("The user dislikes long introductions.", "The user really dislikes long introductions."),
    ("用户喜欢简短直接的回答。", "用户偏好简短直接的回答"),
    ("El usuario prefiere respuestas breves.", "El usuario prefiere las respuestas breves"),
    ("L’utilisateur préfère des réponses courtes.", "L'utilisateur aime des réponses courtes."),
    ("Der Nutzer bevorzugt kurze Antworten.", "Der Nutzer mag kurze Antworten."),
    ("Пользователь предпочитает краткие ответы.", "Пользователь любит краткие ответы!"),
    ("ユーザーは短い答えを好む。", "ユーザーは短い答えを好みます"),
    ("사용자는 짧은 답변을 선호한다.", "사용자는 짧은 답변을 좋아합니다."),
    ("يفضل المستخدم الإجابات القصيرة", "يحب المستخدم الإجابات القصيرة."),
    ("उपयोगकर्ता छोटे उत्तर पसंद करता है।", "उपयोगकर्ता छोटे उत्तर पसंद करता है"),
]
DIFFERENT = [
    ("The user prefers short answers.", "The user prefers long answers."),
    ("The user likes jokes in answers.", "The user does not like jokes in answers."),
    ("The user likes answers with jokes.", "The user likes answers without jokes."),
    (
        "The user prefers short answers over long answers.",
        "The user prefers long answers over short answers.",
    ),
    ("The user wants more detail and less praise.", "The user wants less detail and more praise."),
    ("The user likes lists, no tables.", "The user likes tables, no lists."),
    ("The user likes stories.", "The user likes stories about the sea with short sentences and a moral."),
    ("The user prefers formal greetings.", "The user prefers informal greetings."),
    ("The user prefers a careful tone.", "The user prefers a careless tone."),
    ("用户喜欢简短的回答。", "用户不喜欢简短的回答。"),
    ("用户喜欢简短的回答。", "用户喜欢详细的例子。"),
    ("El usuario prefiere respuestas con humor.", "El usuario prefiere respuestas sin humor."),
    ("Пользователь любит длинные ответы.", "Пользователь не любит длинные ответы."),
    ("ユーザーは短い答えを好む。", "ユーザーは短い答えを好まない。"),
    ("उपयोगकर्ता छोटे उत्तर पसंद करता है", "उपयोगकर्ता छोटे उत्तर पसंद नहीं करता है"),
]


def persona(*texts):
    sentences = tuple(
        PersonaSentence(text=text, pair_ids=("shared", f"p{n}"), evidence=(f"e{n}",))
        for n, text in enumerate(texts)
    )
    return Persona(sentences=sentences, made_by="m", prompt_id="t@1")


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_says_the_same_is_merged_either_way(one, other):
    assert len(without_repetition(persona(one, other)).sentences) == 1
    assert len(without_repetition(persona(other, one)).sentences) == 1


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_says_something_else_is_kept_as_it_is(one, other):
    assert without_repetition(persona(one, other)) == persona(one, other)
    assert without_repetition(persona(other, one)) == persona(other, one)


def test_citations_are_joined_and_the_fuller_wording_stands_in_the_first_place():
    found = without_repetition(
        persona(
            "The user prefers concise answers.",
            "The user asks about boats.",
            "The user prefers concise, plain answers.",
            "The user likes concise answers.",
        )
    )
    first, second = found.sentences
    assert first.text == "The user prefers concise, plain answers."
    assert first.pair_ids == ("shared", "p0", "p2", "p3")
    assert first.evidence == ("e0", "e2", "e3")
    assert (first.repeats, second.repeats) == (2, 0)
    assert without_repetition(found) == found
