from __future__ import annotations

import planted_words
import pytest
import tiny_backbones
from invented import pair, user_says

from reward_models._rendering import SHORTEST, TEMPLATE, Renderer
from reward_models._reward_training import tokenized
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.types import Message

PAIRS = planted_words.population(n_users=2, n_pairs=4)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    from transformers import AutoTokenizer

    made = {}
    for shape in ("bert", "gpt2"):
        folder = tiny_backbones.make(tmp_path_factory.mktemp(shape), planted_words.texts(PAIRS), shape=shape)
        made[shape] = lambda place=folder: AutoTokenizer.from_pretrained(place)
    return made


@pytest.fixture(params=["bert", "gpt2"])
def tokenizer(request, tokenizers):
    return tokenizers[request.param]()


def long_text(word, words=300):
    return " ".join([word, *(planted_words.FILL * words)[:words]])


def shared_start(one, other):
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def test_a_text_reads_as_roles_and_contents_in_their_order(tokenizers):
    tokenizer = tokenizers["bert"]()
    read = Renderer(tokenizer, 64)([user_says("the ship")], "sunny", "calm island")
    assert tokenizer.chat_template == TEMPLATE
    text = tokenizer.decode(read.ids)
    assert text.startswith("[CLS]")
    assert text.endswith("[SEP]")
    places = [
        text.index(part) for part in ("system", "calm island", "user", "the ship", "assistant", "sunny")
    ]
    assert places == sorted(places)
    assert not read.cut


def test_without_a_profile_there_is_no_system_turn(tokenizer):
    text = tokenizer.decode(Renderer(tokenizer, 64)([user_says("the ship")], "sunny").ids)
    assert "system" not in text


@pytest.mark.parametrize("long_prompt", [False, True])
@pytest.mark.parametrize("long_profile", [False, True])
@pytest.mark.parametrize("window", [48, 64, 130])
def test_both_sides_of_a_pair_lose_the_same_tokens_of_the_prompt(
    tokenizer, window, long_prompt, long_profile
):
    """Whatever the lengths of the responses, what stands before them is the same tokens."""
    renderer = Renderer(tokenizer, window)
    prompt = [user_says(long_text("home") if long_prompt else "the ship")]
    profile = long_text("calm") if long_profile else "calm"
    responses = ["sunny", "frosty sail", long_text("frosty"), long_text("sunny", 40), "x"]
    read = [renderer(prompt, response, profile) for response in responses]
    assert all(len(one.ids) <= window for one in read)
    before = min(shared_start(one.ids, other.ids) for one in read for other in read if one is not other)
    assert before >= (window // 2 - 2 if long_prompt else 8)


def test_a_response_has_one_reading_whatever_it_is_compared_with(tokenizer):
    renderer = Renderer(tokenizer, 64)
    shared = long_text("sunny", 60)
    first = pair(1, chosen=shared, rejected="frosty")
    second = pair(1, chosen=long_text("frosty"), rejected=shared)
    rows = tokenized([first, second], ["", ""], renderer).columns
    assert rows["chosen_ids"][0] == rows["rejected_ids"][1]


def test_the_beginning_of_the_prompt_and_the_last_turn_stay(tokenizers):
    tokenizer = tokenizers["bert"]()
    turns = [
        user_says("sunny home"),
        Message(role="assistant", content=long_text("sail")),
        user_says("frosty island"),
    ]
    read = Renderer(tokenizer, 64)(turns, "calm water")
    text = tokenizer.decode(read.ids)
    assert read.cut
    assert "sunny home" in text
    assert "frosty island" in text
    assert text.endswith("calm water[SEP]") or text.endswith("calm water [SEP]")


def test_a_long_response_loses_its_end_and_keeps_the_closing_mark(tokenizers):
    tokenizer = tokenizers["bert"]()
    read = Renderer(tokenizer, 64)([user_says("the ship")], long_text("sunny"))
    assert read.cut
    assert len(read.ids) == 64
    assert read.ids[-1] == tokenizer.sep_token_id
    assert "sunny" in tokenizer.decode(read.ids)


def test_a_text_that_fits_is_not_cut(tokenizer):
    renderer = Renderer(tokenizer, 200)
    read = renderer([user_says("the ship")], "sunny island " * 60)
    assert len(read.ids) > 100
    assert not read.cut


def test_a_long_profile_is_cut_at_its_end_and_leaves_room(tokenizers):
    tokenizer = tokenizers["bert"]()
    read = Renderer(tokenizer, 96)([user_says("the ship")], "sunny", "frosty " + "calm " * 500)
    text = tokenizer.decode(read.ids)
    assert read.cut
    assert "frosty" in text
    assert "the ship" in text
    assert "sunny" in text
    assert len(read.ids) <= 96


def test_a_template_without_a_system_turn_gets_the_profile_in_the_first_turn(tokenizers):
    tokenizer = tokenizers["gpt2"]()
    tokenizer.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    text = tokenizer.decode(Renderer(tokenizer, 64)([user_says("the ship")], "sunny", "calm").ids)
    assert text == "<user>calm\n\nthe ship<assistant>sunny"


def test_a_system_turn_of_the_conversation_and_a_profile_become_one(tokenizers):
    tokenizer = tokenizers["gpt2"]()
    turns = [Message(role="system", content="Be brief."), user_says("the ship")]
    text = tokenizer.decode(Renderer(tokenizer, 64)(turns, "sunny", "calm").ids)
    assert text.count("system:") == 1
    assert text.index("calm") < text.index("Be brief.") < text.index("the ship")


TEMPLATES = {
    "chatml": tiny_backbones.CHATML,
    "plain": TEMPLATE,
    "no mark at the end": "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}",
    "content is trimmed": "{% for m in messages %}[{{ m.role }}]\n\n{{ m.content | trim }}[end]\n{% endfor %}",
    "a thought in front": "{% for m in messages %}<{{ m.role }}>\n{% if loop.last %}<t></t>\n{% endif %}"
    "{{ m.content }}</s>\n{% endfor %}{% if add_generation_prompt %}<assistant>\n{% endif %}",
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize(
    "response", ["sunny island", "0 ships, or 1", "\nsunny.\n", "[end]\n sunny </s>\n", "0", "ends: 3"]
)
def test_the_tokens_of_a_response_are_found_in_any_template(tokenizers, template, response):
    tokenizer = tokenizers["gpt2"]()
    tokenizer.chat_template = template
    renderer = Renderer(tokenizer, 200)
    for render in (renderer.located, renderer.spoken):
        found = render([user_says("the ship")], response, "calm")
        text = tokenizer.decode(found.ids[found.begin : found.end])
        assert text.strip() == response.strip()
        assert "the ship" in tokenizer.decode(found.ids[: found.begin])
    assert found.ids[: found.begin] == renderer.opening([user_says("the ship")], "calm")[: found.begin]
    assert renderer.located([user_says("the ship")], response).ids == (
        renderer([user_says("the ship")], response).ids
    )


@pytest.mark.parametrize("prompt", ["the ship", long_text("home")])
def test_the_tokens_of_a_response_are_found_where_something_is_cut(tokenizer, prompt):
    renderer = Renderer(tokenizer, 64)
    for render in (renderer.located, renderer.spoken):
        found = render([user_says(prompt)], long_text("sunny"))
        assert len(found.ids) == 64
        assert tokenizer.decode(found.ids[found.begin : found.end]).split()[0] == "sunny"
        empty = render([user_says(prompt)], "")
        assert empty.end - empty.begin == 1
        assert empty.ids[: empty.begin] == found.ids[: empty.begin]


def test_a_template_that_refuses_a_conversation_says_so(tokenizers):
    tokenizer = tokenizers["gpt2"]()
    tokenizer.chat_template = (
        "{% if messages|length > 3 %}{{ raise_exception('one turn only') }}{% endif %}"
        "{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    turns = [user_says("a"), Message(role="assistant", content="b"), user_says("c")]
    with pytest.raises(DataError, match=r"one turn only.*chat template"):
        Renderer(tokenizer, 64)(turns, "sunny")


def test_a_window_too_small_is_refused(tokenizer):
    with pytest.raises(ConfigError, match=f"at least {SHORTEST}"):
        Renderer(tokenizer, SHORTEST - 1)
