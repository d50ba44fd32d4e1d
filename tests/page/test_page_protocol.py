"""The page by its protocol, without a browser and without a script: nothing is lost, doubled or let in."""

from __future__ import annotations

import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from person import Person, Shown

from synthesizeme.feedback import Ranking, Rating, Tie
from synthesizeme.page.app import HEADERS
from synthesizeme.page.safe_text import shown
from synthesizeme.profiles import open_store


def shorter(person):
    """The side of the shorter answer."""
    texts = re.findall(r'aria-label="Text of answer \d">(.*?)</div>', person.response.text, re.DOTALL)
    return "first" if len(texts[0]) <= len(texts[1]) else "second"


def given(page, user="me"):
    return [*page.page.store.pairs(user), *page.page.store.feedback(user)]


def test_nothing_is_asked_before_it_is_said_what_happens_with_the_answers(serve):
    page = serve()
    person = page.person()
    welcome = person.look("/")
    assert "kept in the file" in welcome.text
    assert "Nothing of it leaves this computer" in welcome.text
    key = next(iter(page.page.items))
    person.look(f"/question/{key}")
    assert person.path == "/"
    secret = {name: value for form in person.shown.forms for name, value in form["fields"].items()}
    answered = person.client.post(f"/question/{key}", data={**secret, "choice": "first"})
    assert answered.status_code == 403
    assert given(page) == []
    person.agree()
    assert person.path.startswith("/question/")
    person.choose("first")
    assert given(page)[0].metadata["agreed"] == page.page.terms_id


def test_whoever_agreed_with_an_answer_need_not_again_in_another_browser(serve):
    page = serve()
    person = page.person()
    person.agree()
    person.choose("first")
    other = page.person()
    other.look("/")
    assert other.path.startswith("/question/")


def test_a_choice_is_kept_and_learned_from_at_once(serve):
    page = serve()
    person = page.person()
    person.agree()
    path = person.path
    person.choose("second", reason="it is shorter")
    (pair,) = given(page)
    assert (pair.reason, pair.metadata["shown_first"]) == ("it is shorter", "rejected")
    assert set(pair.metadata["expected"]) == {"own", "anybody"}
    assert "me" in page.page.users.model.users_
    assert person.path != path
    assert "1 of 60" in person.shown.text


def test_reload_back_and_double_clicks_neither_lose_nor_double(serve):
    page = serve()
    person = page.person()
    person.agree()
    path, form = person.path, person.shown.forms
    person.choose("first")
    asked_next = person.path
    person.look(asked_next)
    person.look(asked_next)
    secret = form[0]["fields"]["secret"]
    for _ in range(3):
        person.client.post(path, data={"secret": secret, "choice": "first"})
    assert len(given(page)) == 1
    back = person.look(path)
    assert "You answered this: answer 1" in back.text
    person.choose("second")
    (pair,) = given(page)
    assert pair.metadata["shown_first"] == "rejected"
    person.look(path)
    person.choose("bad")
    (tie,) = given(page)
    assert isinstance(tie, Tie)
    assert person.look("/")
    assert person.path == asked_next


def test_a_click_sent_ten_times_at_once_is_one_answer(serve):
    page = serve()
    person = page.person()
    person.agree()
    secret = person.shown.forms[0]["fields"]["secret"]
    cookies = dict(person.client.cookies)

    def click(_):
        with httpx.Client(base_url=page.url, cookies=cookies, trust_env=False, timeout=60) as client:
            return client.post(person.path, data={"secret": secret, "choice": "first"}).status_code

    with ThreadPoolExecutor(10) as threads:
        assert set(threads.map(click, range(10))) == {303}
    assert len(given(page)) == 1


def test_undo_takes_back_and_asks_again_and_skip_leaves_for_later(serve, pool):
    rows = [{"item_id": f"q{n}", "prompt": f"Q{n}?", "responses": [f"a{n}", f"b{n}"]} for n in range(3)]
    page = serve(pool=pool(*rows), order="file")
    person = page.person()
    person.agree()
    first = person.path
    person.choose("first")
    person.send("/undo")
    assert person.path == first
    assert given(page) == []
    assert "me" not in page.page.users.model.users_
    person.send(f"{first}/skip")
    assert person.path != first
    person.choose("tie")
    person.choose("good")
    assert person.path == first
    person.choose("first")
    assert "That was all" in person.shown.text
    assert "You answered 3 of 3 questions" in person.shown.text
    person.send("/undo")
    assert person.path == first
    assert len(given(page)) == 2
    person.client.post("/undo", data={**person.shown.forms[-1]["fields"], "said": "of nobody"})
    assert len(given(page)) == 2


def test_one_answer_is_rated_and_several_are_ranked(serve, pool):
    page = serve(pool=pool({"prompt": "R?", "responses": ["x", "y", "z"]}, {"prompt": "Q?", "response": "w"}))
    person = page.person()
    person.agree()
    person.send(person.path, value="9")
    assert person.response.status_code == 422
    person.look("/")
    person.send(person.path, value="5")
    person.send(person.path, rank_1="2", rank_2="1", rank_3="2")
    rating, ranking = page.page.store.feedback("me")
    assert isinstance(rating, Rating)
    assert isinstance(ranking, Ranking)
    assert ranking.ranks == (1, 2, 2)
    assert "That was all" in person.shown.text
    person.look(f"/question/{next(iter(page.page.items))}")
    assert person.response.status_code == 200


def test_nothing_is_kept_before_it_is_agreed_to(serve):
    page = serve()
    person = page.person()
    person.look("/persona")
    assert person.path == "/"
    refused = person.post("/persona", change="add", text="I like lists.", version="0")
    assert refused.status_code == 403
    for path in ("/persona", "/try", f"/question/{next(iter(page.page.items))}"):
        person.look(path)
        assert person.path == "/"
    sent = {"question": "Q?", "first": "a", "second": "b"}
    for path, form in (
        ("/persona/write", {}),
        ("/try", sent),
        (f"/question/{next(iter(page.page.items))}", {"choice": "first"}),
    ):
        assert person.post(path, **form).status_code == 403
    assert page.page.store.pairs("me") == ()
    assert page.page.store.profile("me") is None


def test_what_was_struck_by_mistake_is_said_again(serve):
    page = serve()
    person = page.person()
    person.agree()
    person.look("/persona")
    for version, change in enumerate(
        ({"change": "add", "text": "I like lists."}, {"change": "strike", "number": "1"})
    ):
        person.post("/persona", **change, version=str(version))
    shown = person.look("/persona")
    form = next(it for it in shown.forms if it["fields"].get("text") == "I like lists.")
    person.post("/persona", change="add", text=form["fields"]["text"], version="2")
    found = page.page.store.profile("me").profile
    assert ([it.text for it in found.persona.sentences], found.struck) == (["I like lists."], ())


def test_lines_of_an_answer_stay_lines():
    assert "item<br" in shown("- an item\n**Midday**").replace("\n", "")


def test_from_an_empty_store_to_a_corrected_persona_and_an_export(serve, tmp_path):
    page = serve()
    person = page.person()
    person.agree()
    assert "you have made 0 choices" in person.look("/persona").text
    person.look("/")
    for _ in range(24):
        person.choose(shorter(person))
    persona = person.look("/persona")
    assert "Write down what my 24 choices say" in persona.text
    persona = person.send("/persona/write")
    assert "short" in persona.text
    assert re.search(r"held in (\d+ of \d+) of your choices where it applied", persona.text)
    assert "How well it knows you" in persona.text
    version = page.page.store.profile("me").version
    sentences = len(page.page.store.profile("me").profile.persona.sentences)
    changed = person.send("/persona", change="add", text="I like long answers full of lists.", do="preview")
    assert "would be guessed" in changed.text
    assert page.page.store.profile("me").version == version
    changed = person.send("/persona", do="save")
    assert page.page.store.profile("me").version == version + 1
    assert "Changed" in changed.text
    assert "I like long answers full of lists." in changed.text
    own = next(
        n
        for n, it in enumerate(page.page.store.profile("me").profile.persona.sentences, 1)
        if it.by == "owner"
    )
    form = {"version": str(version + 1), "number": str(own)}
    person.post("/persona", **form, change="edit", text="I like short answers.")
    assert "I like short answers." in person.look("/persona").text
    person.post("/persona", change="strike", number="1", version=str(version + 2))
    assert len(page.page.store.profile("me").profile.persona.sentences) == sentences
    assert "not to be said again" in person.look("/persona").text
    person.post("/persona", change="pin", number="1", version=str(version + 3))
    assert "pinned: it stays" in person.look("/persona").text
    stale = person.post("/persona", change="strike", number="1", version=str(version))
    assert stale.status_code == 409
    person.look("/take")
    everything = person.client.get("/take/everything.json").json()
    assert len(everything["pairs"]) == 24
    assert "I like short answers." in person.client.get("/take/persona.md").text
    for name in ("choices.jsonl", "judge_prompt.json", "generation_prompt.json", "profile.json"):
        assert person.client.get(f"/take/{name}").status_code == 200
    with open_store(tmp_path / "choices.db", create=False) as store:
        assert store.profile("me").profile.corrections[-1].kind == "pinned"


def of_short_answers(page, number):
    """Somebody who has chosen the shorter answer so many times, and says so."""
    person = page.person()
    person.agree()
    for _ in range(number):
        person.choose(shorter(person))
    person.look("/persona")
    person.post("/persona", change="add", text="I like short answers.", version="0")
    return person


def test_new_choices_are_counted_with_each_sentence_at_once(serve):
    person = of_short_answers(serve(), 12)
    before = re.search(r"held in (\d+) of (\d+)", person.look("/persona").text)
    person.look("/")
    for _ in range(12):
        person.choose(shorter(person))
    after = re.search(r"held in (\d+) of (\d+)", person.look("/persona").text)
    assert int(after[2]) > int(before[2])
    assert int(after[1]) > int(before[1])


def test_it_says_which_of_two_answers_it_expects_and_why(serve):
    person = of_short_answers(serve(), 20)
    person.look("/try")
    long = "Well, that is a wonderful question, and there are many sides to it! " * 8
    tried = person.send(
        "/try", question="Can I freeze rice?", first="Yes, for three months.", second=long, do="see"
    )
    assert "expects you to like answer 1 better" in tried.text
    assert "answer 1 I like short answers." in tried.text
    assert "By the sentences alone: answer 1" in tried.text
    for wrong in ({"question": ""}, {"second": "Yes, for three months."}, {"first": "x" * 20_001}):
        refused = person.post(
            "/try", **{"question": "Q?", "first": "Yes, for three months.", "second": long, **wrong}
        )
        assert refused.status_code == 422
    assert "Have both answers written" not in tried.text


def test_everything_is_deleted_and_it_is_said_what_there_was(serve, tmp_path):
    page = serve()
    person = page.person()
    person.agree()
    person.choose("first", reason="a reason that is gone afterwards")
    person.choose("tie")
    person.look("/persona")
    person.post("/persona", change="add", text="I like what is gone afterwards.", version="0")
    person.look("/take")
    person.send("/take/delete", sure="yes")
    assert "nothing was deleted" in person.shown.text
    assert len(given(page)) == 2
    person.send("/take/delete", sure=" Delete ")
    assert "1 choice, 1 other answers, 1 version of your persona" in person.shown.text
    assert given(page) == []
    assert page.page.users.export("me") is None
    page.close()
    found = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name.startswith("choices.db"))
    assert b"gone afterwards" not in found


def test_nothing_is_deleted_under_a_reading_that_would_bring_it_back(serve, monkeypatch):
    page = serve()
    person = page.person()
    person.agree()
    for _ in range(8):
        person.choose(shorter(person))
    begun, may_end, write = threading.Event(), threading.Event(), page.page.beliefs.write

    def slow(user):
        begun.set()
        assert may_end.wait(60)
        return write(user)

    monkeypatch.setattr(page.page.beliefs, "write", slow)
    monkeypatch.setattr("synthesizeme.page.site._WAIT_S", 0.0)
    person.look("/persona")
    assert "being read" in person.send("/persona/write").text
    assert begun.wait(60)
    person.look("/take")
    person.send("/take/delete", sure="delete")
    assert person.response.status_code == 409
    may_end.set()
    page.page.writing["me"].result(60)
    person.look("/take")
    person.send("/take/delete", sure="delete")
    assert page.page.users.export("me") is None


def test_every_answer_has_the_headers_and_no_page_holds_a_script(serve):
    page = serve()
    person = page.person()
    person.agree()
    for path in (
        "/",
        "/persona",
        "/try",
        "/take",
        "/team",
        "/enter",
        "/nowhere",
        "/static/page.js",
        "/static/x",
        "/take/x",
    ):
        answered = person.client.get(path)
        assert {name: answered.headers[name] for name in HEADERS} == dict(HEADERS), path
        if answered.headers["content-type"].startswith("text/html"):
            for tag, attributes in Shown(answered.text).elements:
                assert tag not in ("style", "iframe", "img", "object")
                assert tag != "script" or attributes.get("src") == "/static/page.js"
                assert not {it for it in attributes if it.startswith("on") or it == "style"}
                for name in ("src", "href", "action", "formaction"):
                    assert attributes.get(name, "/").startswith(("/", "#"))


@pytest.mark.parametrize("change", [
    {"secret": "x" * 32}, {"secret": ""}, {"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"}, {"origin": "null"}, {"content-type": "application/json"}, {"content-type": "text/plain"},
])  # fmt: skip
def test_a_form_of_another_page_changes_nothing(serve, change):
    page = serve()
    person = page.person()
    person.agree()
    fields = {**person.shown.forms[0]["fields"], "choice": "first"}
    headers = {name: value for name, value in change.items() if name != "secret"}
    fields.update({name: value for name, value in change.items() if name == "secret"})
    if "content-type" in headers:
        refused = person.client.post(person.path, content="a=b", headers=headers)
    else:
        refused = person.client.post(person.path, data=fields, headers=headers)
    assert refused.status_code in (403, 415)
    assert given(page) == []


def test_too_much_is_refused(serve):
    page = serve()
    person = page.person()
    person.agree()
    fields = {**person.shown.forms[0]["fields"], "choice": "first"}
    assert person.client.post(person.path, data={**fields, "reason": "x" * 300_000}).status_code == 413
    assert (
        person.client.post(person.path, data={**fields, **{f"f{n}": "" for n in range(99)}}).status_code
        == 400
    )
    assert person.client.post(person.path, content=b"\xff=1", headers={"content-type": "application/x-www-form-urlencoded"}).status_code == 400  # fmt: skip
    assert person.client.post(person.path, data={**fields, "reason": "y " * 4_000}).status_code == 200
    (pair,) = given(page)
    assert len(pair.reason) == 2_000


def test_only_names_of_this_machine_are_answered_without_tokens(serve):
    page = serve()
    with httpx.Client(base_url=page.url, trust_env=False) as client:
        assert client.get("/", headers={"host": "evil.example"}).status_code == 421
        assert client.get("/", headers={"host": "localhost:1"}).status_code == 200
        assert client.get("/static/page.css").headers["content-type"].startswith("text/css")


def test_tokens_open_as_much_as_they_do_at_the_server(serve, tmp_path):
    tokens = {scope: f"{scope}-token-of-the-test" for scope in ("score", "write", "admin")}
    file = tmp_path / "tokens"
    file.write_text("".join(f"{scope} {token}\n" for scope, token in tokens.items()), encoding="utf-8")
    page = serve(token_file=file)
    stranger = page.person()
    stranger.look("/")
    assert stranger.response.status_code == 401
    assert "Give a token" in stranger.shown.text
    stranger.look("/enter")
    stranger.send("/enter", token=tokens["score"])
    assert stranger.response.status_code == 401
    stranger.send("/enter", token=tokens["write"])
    assert "I agree" in stranger.response.text
    assert stranger.look("/team")
    assert stranger.response.status_code == 403
    team = page.person(headers={"authorization": f"Bearer {tokens['admin']}"})
    assert team.look("/team")
    assert team.response.status_code == 200
    wrong = page.person(headers={"authorization": "Bearer wrong-token-of-the-test"})
    assert wrong.look("/persona")
    assert wrong.response.status_code == 401


def test_nothing_of_a_person_is_logged(serve, caplog, monkeypatch):
    page = serve(user_id="the-secret-person")
    person = page.person()
    caplog.set_level(logging.INFO)
    person.agree()
    person.choose("first", reason="my secret reason")
    monkeypatch.setattr(page.page.users, "add", lambda *given, **more: 1 / 0)
    assert person.choose("first", reason="my secret reason") is not None
    assert person.response.status_code == 500
    assert "ZeroDivisionError" in caplog.text
    ours = " ".join(
        it.getMessage() for it in caplog.records if it.name.startswith(("synthesizeme", "uvicorn"))
    )
    assert "secret" not in ours
    assert person.path.rpartition("/")[2] not in ours


def test_two_people_are_kept_apart(serve, tmp_path):
    one, other = serve(), serve(user_id="other")
    first, second = one.person(), other.person()
    for person in (first, second):
        person.agree()
        person.choose("first")
    assert len(given(one, "me")) == len(given(one, "other")) == 1
    assert "There is 1 choice" in second.look("/take").text


def test_person_is_a_browser_without_a_script():
    shown = Shown(
        "<form action='/a'><input name=x value=1><button name=b value=2>Go</button></form><p>Words &amp; more"
    )
    assert shown.forms == [{"action": "/a", "fields": {"x": "1"}, "buttons": [("b", "2")]}]
    assert shown.text == "Go Words & more"
    assert Person("http://127.0.0.1:1").close() is None
