"""Wording: what is asked is what prompt and question say, and nothing inside a question acts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench import prompts
from medbench.errors import UsageError
from medbench.schema import Example

QUESTION = Example(
    "q", "mcq", "Which organ?", ("B",), ("heart", "liver", "lung"), context="A short abstract."
)


@pytest.mark.parametrize("name", sorted(prompts.of("policy")))
def test_every_prompt_shows_question_options_and_context(name: str) -> None:
    """Each packaged prompt asks the question with all its options, once, and says where it comes from."""
    prompt = prompts.named(name)
    text = prompts.render(prompt, QUESTION)[-1]["content"]
    for part in ("Which organ?", "heart", "liver", "lung", "A short abstract."):
        assert text.count(part) == 1
    assert prompt.origin


@given(st.text(), st.text())
def test_text_in_braces_is_inert(question: str, option: str) -> None:
    """A question that holds `{options}` or `{context}` is sent as it is."""
    example = Example(
        "q", "mcq", f"{{options}} {question} {{context}}", ("A",), (f"{{question}}{option}", "no")
    )
    text = prompts.render(prompts.named("mcq-letter"), example)[-1]["content"]
    assert f"{{options}} {question} {{context}}".strip() in text
    assert f"A. {{question}}{option}" in text


def test_without_context_nothing_of_it_is_left() -> None:
    """A question without an abstract is not asked with an empty one."""
    example = Example("q", "mcq", "Which?", ("A",), ("x", "y"))
    text = prompts.render(prompts.named("mcq-letter"), example)[-1]["content"]
    assert text.startswith("Which?")


def test_the_hash_is_of_the_wording() -> None:
    """Another wording is another hash; another note on its origin is not."""
    prompt = prompts.named("mcq-letter")
    assert prompt.model_copy(update={"origin": "someone"}).hash == prompt.hash
    assert prompt.model_copy(update={"user": prompt.user + " "}).hash != prompt.hash


def test_unknown_prompt_offers_the_nearest() -> None:
    """A slip of the pen is a usage error with the cure."""
    with pytest.raises(UsageError) as caught:
        prompts.named("mcq-boxd")
    assert caught.value.fix == "did you mean 'mcq-boxed'?"
