"""Texts and conversations as tokens: templates against texts written by hand, begin tokens counted, ends, bad lines."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from made_up_checkpoint import BEGIN, END, PAD, WORDS, V, put
from upperhand.errors import BadInput
from upperhand.mdps.tokens import Tokens, write
from upperhand.policies.causal import Answers
from upperhand.pretrained.chat import Conversation, conversation
from upperhand.pretrained.folder import opened
from upperhand.pretrained.prompts import encoded, read, words

W20, W30, W40 = map(WORDS.index, ("w20", "w30", "w40"))
USER = [{"role": "user", "content": "w20 w30"}]
TALK = [{"role": "system", "content": " be nice "}, *USER, {"role": "assistant", "content": "w40"}, *USER]
LOOP = """{{ bos_token }}
{%- for message in messages %}
    {% if message.role == 'assistant' %}
{% generation %}w9{% endgeneration %}
{% continue %}
    {% endif %}
<{{ message['role'] }}>{{ message['content'] | trim }}{{ eos_token }}
{% endfor %}
{% if add_generation_prompt and not tools %}
<assistant>
{% endif %}
"""
LOOPED = "<begin><system>be nice<end>\n<user>w20 w30<end>\nw9<user>w20 w30<end>\n<assistant>\n"


def folder_of(path, template=LOOP, family="llama", told=(), **changed):
    """A checkpoint with a chat template, in tokenizer_config.json."""
    put(path, family, **changed)
    told = {"bos_token": {"content": "<begin>", "lstrip": False}, "eos_token": "<end>", **dict(told)}
    (path / "tokenizer_config.json").write_text(json.dumps(told | ({"chat_template": template} if template else {})))
    return path


def spoken(path):
    return words(opened(path))


def test_a_template_writes_what_is_written_by_hand(tmp_path):
    assert spoken(folder_of(tmp_path)).render(conversation(TALK)) == LOOPED
    switched = conversation(TALK, switches={"bos_token": "x"})
    assert spoken(folder_of(tmp_path)).render(switched) == "x" + LOOPED.removeprefix("<begin>")
    listed = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": LOOP}]
    assert spoken(folder_of(tmp_path, listed)).render(conversation(TALK)) == LOOPED
    (tmp_path / "chat_template.jinja").write_text("{{ messages | tojson }} {{ strftime_now('%Y-%m-%d') }}")
    plain = '[{"role": "user", "content": "é <b>"}] 2024-07-26'
    assert spoken(tmp_path).render(conversation([{"role": "user", "content": "é <b>"}])) == plain


@pytest.mark.parametrize("puts", [True, False])
def test_the_begin_token_stands_once_whoever_puts_it(tmp_path, puts):
    path = folder_of(tmp_path)
    if puts:
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        tokenizer.post_processor = TemplateProcessing(single="<begin> $A", special_tokens=[("<begin>", BEGIN)])
        tokenizer.save(str(path / "tokenizer.json"))
    known = spoken(path)
    found = encoded(["w20 w30", conversation(USER), conversation(TALK)], known, V)
    for row, alive in zip(found.tokens, found.alive, strict=True):
        assert list(row).count(BEGIN) == 1 and row[alive][0] == BEGIN and not row[~alive].any()
    ids = lambda text: known.tokenizer.encode(text, add_special_tokens=False).ids  # noqa: E731
    assert list(found.tokens[2]) == ids(LOOPED) and found.alive[2].all()
    assert list(found.tokens[0][found.alive[0]]) == [BEGIN, W20, W30]
    talk = "system:  be nice \nuser: w20 w30\nassistant: w40\nuser: w20 w30"
    assert found.told == ["w20 w30", "w20 w30", talk]


def test_a_template_alone_writes_special_tokens_of_a_conversation(tmp_path):
    known = spoken(folder_of(tmp_path, "{{ messages[0].content }}"))
    assert encoded([conversation(USER)], known, V).tokens.tolist() == [[W20, W30]]
    empty = [{"role": "user", "content": ""}]
    assert encoded([conversation(empty), ""], known, V).tokens.tolist() == [[END], [BEGIN]]


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (None, "has no chat template"),
        ([{"name": "tool_use", "template": LOOP}], "has no chat template"),
        ("{{ raise_exception('System role not\nsupported') }}", "fails: System role not supported"),
        ("w1\n{% if %}", "fails, its line 2"),
        ("{{ messages[0].content.parts[0] }}", "fails: .* has no attribute 'parts'"),
        ("{{ given(1) }}", "fails: 'given' is undefined"),
        ("{{ ''.__class__.__mro__ }}", "'__class__' of 'str' object is unsafe"),
        ("{{ raise_exception.__globals__['os'] }}", "'__globals__' of 'function' object is unsafe"),
        ("{{ messages.append(1) }}", "'append' of 'list' object is unsafe"),
        ("{% include '/etc/hostname' %}", "no loader"),
        ("{{ 1 // 0 }}", "fails: .*zero"),
    ],
)
def test_a_template_that_fails_gives_one_line_with_the_place(tmp_path, template, says):
    known = spoken(folder_of(tmp_path, template))
    with pytest.raises(BadInput, match=f"^prompts, line 7: .*{says}") as told:
        encoded(["w1", conversation(USER, "prompts, line 7")], known, V)
    assert "\n" not in str(told.value)


def test_both_kinds_of_lines_are_read_and_other_keys_ignored(tmp_path):
    path = tmp_path / "prompts.jsonl"
    lines = [{"prompt": "a\u2028b", "id": 3}, {"messages": TALK, "chat_template_kwargs": {"think": False}}]
    path.write_text("\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    assert read(path) == ["a\u2028b", Conversation(tuple(TALK), f"{path}, line 3", {"think": False})]
    assert read(None) == [""]
    path.write_text("\n\n")
    with pytest.raises(BadInput, match="holds no prompt"):
        read(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"prompt": 3}', "wanted"),
        ('{"prompt": "\\ud800"}', "wanted"),
        ('"messages"', "wanted"),
        ('{"prompt": "a", "messages": []}', "keep the one"),
        ('{"messages": []}', "messages must be a list"),
        ('{"messages": {"role": "user", "content": "a"}}', "messages must be a list"),
        ('{"messages": [{"role": "a", "content": "a"}], "chat_template_kwargs": 3}', "must be an object"),
        ('{"messages": ["a"]}', "message 1 needs the text 'role'"),
        ('{"messages": [{"role": "user", "content": "a"}, {"content": "a"}]}', "message 2 needs the text 'role'"),
        ('{"messages": [{"role": "user", "content": [{"text": "a"}]}]}', "message 1 needs the text 'content'"),
    ],
)
def test_a_line_that_is_no_prompt_gives_one_line_with_its_number(tmp_path, line, says):
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a"}\n' + line)
    with pytest.raises(BadInput, match=f"prompts.jsonl, line 2: .*{says}") as told:
        read(tmp_path / "prompts.jsonl")
    assert "\n" not in str(told.value)


def test_every_end_token_of_a_folder_ends_a_text(tmp_path):
    path = folder_of(tmp_path, told={"pad_token": "<pad>"}, eos_token_id=[W30, PAD], pad_token_id=PAD)
    (path / "generation_config.json").write_text(json.dumps({"eos_token_id": [W40, W30]}))
    known = spoken(path)
    assert known.ends == (END, W30, PAD, W40) and known.pad == BEGIN
    rows = [[W20, W30, BEGIN, BEGIN], [W40, W20, W30, W20], [W20, PAD, END, W20], [W20, W20, W20, BEGIN]]
    assert known.decode(np.array(rows)) == ["w20", "", "w20", "w20 w20 w20"]


@pytest.mark.parametrize(
    ("ends", "says"),
    [
        (None, "names no end token"),
        ("1", "must be a whole number"),
        ([1, True], "must be a"),
        ([1, V], f"token {V} of"),
    ],
)
def test_end_tokens_that_are_none_give_one_line(tmp_path, ends, says):
    with pytest.raises(BadInput, match=says):
        spoken(folder_of(tmp_path, told={"eos_token": None}, eos_token_id=ends))


def test_texts_stop_at_the_first_of_several_ends():
    """Drawn from the same numbers with and without further ends; the latter cut by a loop."""
    T, ends, table = 6, (1, 4, 7), np.random.default_rng(0).normal(size=(9, 9))

    step = lambda memory, token, position: (jnp.asarray(table)[token], memory)  # noqa: E731
    world, key = Tokens(9, T, pad=0, begin=-1, end=1), jax.random.key(0)
    both = jax.jit(lambda: [write(world, key, step, (), 400, more) for more in ((), ends[1:])])()
    wanted, found = map(np.array, both)
    uncut = wanted.copy()
    stopped = {1: 0, 4: 0, 7: 0, None: 0}
    alive = np.zeros((400, T + 1))
    for row, mask in zip(wanted, alive, strict=True):
        last = next((t for t in range(T) if row[t] in ends), None)
        stopped[None if last is None else int(row[last])] += 1
        mask[1 : T + 1 if last is None else last + 2] = 1
        if last is not None:
            row[last + 1 :] = 0
    assert min(stopped.values()) > 5
    np.testing.assert_array_equal(found, wanted)
    number = np.random.default_rng(1).choice([0, 1, 4, 8], (400, 1))  # of the prompt: no token
    whole = jnp.asarray(np.concatenate([number, uncut], 1), jnp.int32)
    np.testing.assert_array_equal(Answers(9, T + 1, 0, ends).alive(whole), alive)
