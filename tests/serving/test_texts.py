"""The page says the same in each of its languages, and asks for no text that is not there."""

import re
from pathlib import Path

import pytest

from featx.serving import texts
from featx.serving.texts import TEXTS, language_of

FOLDER = Path(texts.__file__).parent
SCRIPT = (FOLDER / "page.js").read_text(encoding="utf-8")
DOCUMENT = (FOLDER / "page.html.j2").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", TEXTS)
def test_all_languages_have_the_same_texts(language):
    assert list(TEXTS[language]) == list(TEXTS["en"])
    for key, text in TEXTS[language].items():
        assert text.strip(), key
        assert values_in(text) == values_in(TEXTS["en"][key]), key


def values_in(text):
    return set(re.findall(r"\{(\w+)\}", text))


def test_there_is_every_text_that_is_asked_for_and_no_other():
    known = set(TEXTS["en"])
    asked = set(re.findall(r"\btext\.(\w+)", DOCUMENT))
    asked |= set(re.findall(r"\btext\(\"(\w+)\"", SCRIPT))
    assert asked - known == set()
    composed = {"unsure", "unfamiliar", "unsure_why", "unfamiliar_why", "language"}
    composed |= {f"correct_{code}" for code in ("label", "picture", "limit", "full", "storage")}
    quoted = set(re.findall(r"\"(\w+)\"", SCRIPT))
    assert known - asked - composed - quoted == set()


def test_japanese_is_written_in_japanese():
    for key, text in TEXTS["ja"].items():
        latin = set(re.findall(r"[A-Za-z]+", re.sub(r"\{\w+\}", "", text)))
        assert latin <= {"featx", "JavaScript"}, key


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("ja", "ja"),
        ("ja-JP,ja;q=0.9,en-US;q=0.8", "ja"),
        ("en-US,en;q=0.9,ja;q=0.8", "en"),
        ("de-DE,de;q=0.9,ja;q=0.5,en;q=0.2", "ja"),
        ("en;q=0.2,ja;q=0.8", "ja"),
        ("JA", "ja"),
        ("ja;q=0", "en"),
        ("fr", "en"),
        ("ja;q=x", "en"),
        (",;,=;q=," * 1000, "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_likes_best(accepted, language):
    assert language_of(accepted) == language
