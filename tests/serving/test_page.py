"""The page shows what a model says of pictures, and takes corrections; tried in a browser."""

import csv
import json
import os
import re
from pathlib import Path

import fakes
import pytest
from PIL import Image

import featx
from featx.serving.collect import Collection
from featx.serving.gate import Access
from featx.serving.limits import ServeLimits
from featx.serving.texts import TEXTS

AXE = os.environ.get("FEATX_AXE")  # axe.min.js of the package axe-core of npm
EN, JA = TEXTS["en"], TEXTS["ja"]
COLORS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 200)}


@pytest.fixture
def pictures(tmp_path) -> dict[str, Path]:
    """A picture of each class."""
    folder = tmp_path / "new"
    return {
        name: fakes.draw(folder / f"my {name}.png", color, seed=7) for name, color in COLORS.items()
    }


@pytest.fixture
def other(tmp_path):
    """A file that is no picture."""
    path = tmp_path / "notes.txt"
    path.write_text("no picture")
    return path


@pytest.fixture
def collection(tmp_path):
    return Collection(tmp_path / "corrections")


def answered(browser, n=1) -> list[dict]:
    """Wait for so many answers, and return what the cards show, the first one on the page first."""
    browser.wait(f"document.querySelectorAll('.card[aria-busy=false]').length === {n}")
    return browser.run(
        "[...document.querySelectorAll('.card')].map(card => ({kind: card.dataset.kind,"
        " name: card.querySelector('.name').textContent.trim(),"
        " verdict: card.querySelector('.verdict').textContent,"
        " why: card.querySelector('.why').textContent,"
        " bars: [...card.querySelectorAll('.bars li')].map(each => each.innerText.split('\\n')),"
        " widths: [...card.querySelectorAll('.bar')].map(each =>"
        "   parseFloat(getComputedStyle(each, '::before').width) / each.clientWidth),"
        " alt: card.querySelector('.picture').alt}))"
    )


def text_of(browser, selector) -> str:
    return browser.run(f"document.querySelector({json.dumps(selector)}).textContent").strip()


def focused(browser) -> str:
    """Return the text of what has the focus, and its id."""
    return browser.run(
        "(it => it.id || it.innerText || it.placeholder || it.tagName)(document.activeElement)"
    ).strip()


def rows(collection) -> list[tuple[str, str]]:
    with collection.table.open(newline="") as file:
        return [(row["label"], row["predicted"]) for row in csv.DictReader(file)]


def is_clean(browser, address, errors=0) -> bool:
    """Check that the page asked no other host, and that nothing went wrong in it."""
    own = (address, f"blob:{address}", "data:")
    assert [each for each in browser.requests if not each.startswith(own)] == []
    assert len(browser.messages) == errors, browser.messages
    return True


# ---------------------------------------------------------------- in no browser


@pytest.mark.parametrize("language", TEXTS)
def test_the_document_holds_no_script_and_no_style_and_names_no_host(client, language):
    response = client.get("/", headers={"Accept-Language": language})
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert response.headers["vary"] == "accept-language"
    html = response.text
    assert f'<html lang="{language}">' in html
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*(src|json))", html)
    assert "//" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    for name in re.findall(r'(?:href|src)="(static/[^"]+)"', html):
        file = client.get(f"/{name}")
        assert file.status_code == 200
        assert "http" not in file.text.replace("http://www.w3.org/2000/svg", "")
    assert client.get("/static/page.py").status_code == 404
    assert client.get("/static/../service.py").status_code == 404


def test_the_language_can_be_chosen(client):
    headers = {"Accept-Language": "en"}
    assert '<html lang="ja">' in client.get("/?lang=ja", headers=headers).text
    assert '<html lang="en">' in client.get("/?lang=<script>", headers=headers).text


def test_corrections_are_taken_over_http_where_they_are_collected(serve, collection, red):
    image = {"Content-Type": "image/png"}
    asked = "/corrections?label=%3Dpear&predicted=red"
    with serve() as client:
        assert client.post(asked, content=red, headers=image).status_code == 404
        assert "/corrections" not in client.get("/openapi.json").json()["paths"]
    with serve(collection=collection, limits=ServeLimits(pixels=1000)) as client:
        assert client.post(asked, content=red, headers=image).json() == {
            "label": "=pear",
            "replaced": False,
        }
        assert rows(collection) == [("'=pear", "red")]
        assert "/corrections" in client.get("/openapi.json").json()["paths"]
        large = fakes.encoded(fakes.photo(100, 100))
        for query, content, code in (
            ("", red, "label"),
            ("?label=a%0Ab", red, "label"),
            ("?label=%ed%a0%80", red, "label"),  # a lone surrogate
            (f"?label={'x' * 10_000}", red, "label"),
            ("?label=pear", b"no picture", "picture"),
            ("?label=pear", large, "picture"),
        ):
            refused = client.post(f"/corrections{query}", content=content, headers=image)
            assert (refused.status_code, refused.json()["code"]) == (422, code)
        two = [("picture", ("a.png", red)), ("picture", ("b.png", red))]
        assert client.post("/corrections?label=pear", files=two).status_code == 400
        assert client.post(asked, content=b"", headers=image).status_code == 400
    assert len(rows(collection)) == 1


# ---------------------------------------------------------------- in a browser


def test_pictures_that_are_dropped_get_labels_and_other_files_a_reason(
    browser, listen, pictures, other
):
    with listen() as address:
        browser.open(address)
        browser.wait("document.querySelector('#knows').textContent")
        assert "3 classes: blue, green, red" in text_of(browser, "#knows")
        browser.drop(*pictures.values(), other)
        *cards, failed = answered(browser, 4)
        assert [(each["name"], each["verdict"]) for each in cards] == [
            (f"my {name}.png", name) for name in COLORS
        ]
        for card in cards:
            labels = [label for label, _ in card["bars"]]
            shares = [float(share.replace("\xa0%", "")) / 100 for _, share in card["bars"]]
            assert labels[0] == card["verdict"]
            assert sorted(labels) == sorted(COLORS)
            assert sum(shares) == pytest.approx(1, abs=0.01)
            assert card["widths"] == pytest.approx(shares, abs=0.02)
            assert card["alt"] == f"The picture {card['name']}"
        assert (failed["name"], failed["kind"]) == ("notes.txt", "failed")
        assert failed["verdict"] == EN["failed"]
        assert failed["why"].startswith("The server says: ")
        browser.wait("document.querySelector('.placeholder:not([hidden])')")
        said = text_of(browser, "#status")
        assert "my red.png: red" in said
        assert f"notes.txt: {EN['failed']}" in said
        browser.click("#clear")
        assert browser.run("document.querySelectorAll('.card').length") == 0
        assert focused(browser) == "drop"
        assert is_clean(browser, address, errors=1)  # the status 422 of notes.txt


def test_a_picture_can_be_pasted(browser, listen, pictures):
    with listen() as address:
        browser.open(address)
        browser.paste(pictures["red"])
        (card,) = answered(browser)
        assert (card["name"], card["verdict"]) == ("Pasted picture", "red")
        assert is_clean(browser, address)


def test_a_telephone_chooses_pictures_and_takes_them(browser, listen, pictures):
    with listen() as address:
        browser.open(address, width=320, touch=True)
        assert browser.run("document.querySelector('#shot').getAttribute('capture')")
        assert browser.run("getComputedStyle(document.querySelector('#camera')).display") == "block"
        browser.choose("#shot", pictures["red"])
        browser.choose("#files", pictures["blue"], pictures["green"])
        cards = answered(browser, 3)
        assert [each["verdict"] for each in cards] == ["blue", "green", "red"]
        assert is_clean(browser, address)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("language", TEXTS)
def test_a_narrow_page_scrolls_downward_alone(
    browser, listen, pictures, other, collection, language, dark
):
    long = other.with_name(f"{'long' * 50}.png")
    long.write_bytes(pictures["red"].read_bytes())
    with listen(collection=collection) as address:
        browser.open(address, width=320, language=language, dark=dark)
        browser.choose("#files", *pictures.values(), other, long)
        answered(browser, 5)
        browser.run("document.querySelectorAll('.open').forEach(each => each.click())")
        browser.run("document.querySelector('details').open = true")
        assert browser.run("document.documentElement.scrollWidth") == 320
        paper = browser.run("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(21, 25, 29)" if dark else "rgb(255, 255, 255)")


def test_the_page_speaks_japanese_to_those_who_read_it(browser, listen, pictures, other):
    with listen() as address:
        browser.open(address, language="ja-JP,ja,en-US")
        assert browser.run("document.documentElement.lang") == "ja"
        browser.drop(pictures["red"], other)
        card, failed = answered(browser, 2)
        assert card["verdict"] == "red"
        assert card["bars"][0][1].endswith("%")
        assert "\xa0" not in card["bars"][0][1]
        assert card["alt"] == "写真 my red.png"
        assert failed["verdict"] == JA["failed"]
        assert JA["knows"].partition("{")[0] in text_of(browser, "#knows")
        browser.run("document.querySelector('footer a').click()")
        browser.wait("document.documentElement?.lang === 'en'")


def test_what_is_unfamiliar_or_unsure_is_said_in_words(browser, listen, photos, pictures, tmp_path):
    strange = fakes.draw(tmp_path / "strange.png", (250, 250, 20))
    model = featx.train(photos, "logistic", cache=False, reject=0.9, progress=False)
    with listen(model) as address:
        browser.open(address)
        browser.drop(strange, pictures["red"])
        unfamiliar, sure = answered(browser, 2)
        assert sure["kind"] == "sure"
        assert browser.run("[...document.querySelectorAll('.if')].map(each => each.hidden)") == [
            False,
            True,
        ]
        assert (unfamiliar["kind"], unfamiliar["verdict"]) == ("unfamiliar", "Unfamiliar")
        assert unfamiliar["why"].startswith("This picture is unlike those")
        guess = unfamiliar["bars"][0][0]
        assert unfamiliar["why"].endswith(f"The nearest that the model knows is {guess}.")
        assert f"strange.png: Unfamiliar {unfamiliar['why']}" in text_of(browser, "#status")


def test_answers_are_corrected_with_a_click_and_can_be_embedded(
    browser, listen, pictures, collection
):
    with listen(collection=collection) as address:
        browser.open(address)
        assert text_of(browser, "#add .quiet") == EN["privacy_collects"]
        browser.drop(*pictures.values())
        answered(browser, 3)
        correct(browser, 1, "blue")
        assert text_of(browser, ".card:nth-child(1) .kept") == "Saved as blue. Thank you."
        correct(browser, 2, EN["correct_none"])
        correct(browser, 1, "green")  # changed one's mind
        browser.click(".card:nth-child(3) .open")
        browser.call("Input.insertText", text="")
        browser.run("document.querySelector('.card:nth-child(3) form input').focus()")
        browser.call("Input.insertText", text="=turquoise")
        browser.press("Enter")
        browser.wait("document.querySelector('.card:nth-child(3) .kept').textContent")
        assert is_clean(browser, address)
    assert rows(collection) == [
        ("none of these", "green"),
        ("green", "red"),
        ("'=turquoise", "blue"),
    ]
    features = featx.embed(collection.table, progress=False)
    assert list(features.labels) == ["none of these", "green", "=turquoise"]


def correct(browser, number, told):
    """Open the correction of a card, and click on what it shows."""
    card = f".card:nth-child({number})"
    browser.click(f"{card} .open")
    browser.run(
        "document.querySelector('#wanted')?.removeAttribute('id');"
        f"[...document.querySelectorAll('{card} .choices button')]"
        f".find(each => each.textContent === {json.dumps(told)}).id = 'wanted'"
    )
    browser.click("#wanted")
    browser.wait(f"document.querySelector('{card} form').hidden")


def test_a_correction_that_is_not_kept_is_told(browser, listen, pictures, tmp_path):
    full = Collection(tmp_path / "full", most_pictures=0)
    with listen(collection=full) as address:
        browser.open(address)
        browser.drop(pictures["red"])
        answered(browser)
        browser.click(".card .open")
        browser.click(".choices button")
        browser.wait(
            "document.querySelector('.card form .wrong').textContent.includes('collected')"
        )
        assert text_of(browser, ".card form .wrong") == EN["correct_limit"]
        browser.run("document.querySelector('.card form input').value = 'a\\u202eb'")
        browser.click(".card form .main")
        browser.wait("document.querySelector('.card form .wrong').textContent.includes('ordinary')")


def test_everything_can_be_done_with_the_keyboard(browser, listen, pictures, collection):
    with listen(collection=collection) as address:
        browser.open(address)
        browser.call("Page.setInterceptFileChooserDialog", enabled=True)
        browser.press("Tab")
        assert focused(browser) == EN["skip"]
        browser.press("Tab")
        assert focused(browser) == "drop"
        assert browser.run("document.querySelector('#drop').matches(':focus-visible')")
        browser.press("Enter")
        browser.choose("#files", pictures["red"], pictures["blue"])
        browser.call("Page.setInterceptFileChooserDialog", enabled=False)
        answered(browser, 2)
        seen = []
        while not seen or seen[-1] != EN["correct"]:
            browser.press("Tab")
            seen.append(focused(browser))
            assert len(seen) < 12, seen
        assert seen == ["clear", EN["heat"], EN["remove"], EN["correct"]]
        browser.press("Enter")
        assert focused(browser) == "red"  # the first class
        browser.press("Escape")
        assert focused(browser) == EN["correct"]
        assert browser.run("document.querySelector('.card form').hidden")
        browser.press("Enter", "Tab", "Enter")
        browser.wait("document.querySelector('.kept').textContent")
        assert focused(browser) == EN["correct_change"]
        browser.press("Shift+Tab", "Enter")  # removes the first card, and goes to the next
        assert answered(browser)[0]["name"] == "my blue.png"
        assert browser.run("document.activeElement.ariaLabel") == "Remove my blue.png"
        browser.press("Enter")
        assert focused(browser) == "drop"
    assert len(rows(collection)) == 1


def test_what_decided_and_the_most_alike_pictures_are_shown(browser, listen, photos, pictures):
    options = {"keep_pictures": 2, "pooling": "max", "cache": False, "progress": False}
    model = featx.train(photos, "logistic", **options)
    shows_png = "document.querySelector('.card:nth-child({}) .picture').src.startsWith('data:')"
    with listen(model) as address:
        browser.open(address)
        browser.drop(pictures["red"])
        answered(browser)
        nearest = browser.run(
            "[...document.querySelectorAll('.nearest li')].map(each => [each.innerText,"
            "each.querySelector('img').naturalWidth, each.querySelector('img').alt])"
        )
        assert nearest[:2] == [["red", 32, "A training picture of red"]] * 2
        assert len(nearest) == 3
        assert not browser.run(shows_png.format(1))
        browser.click(".heat")
        browser.wait(shows_png.format(1))
        assert browser.run("document.querySelector('.heat').ariaPressed") == "true"
        assert text_of(browser, ".legend").startswith("Orange speaks for red, blue against it.")
        assert text_of(browser, "#status").endswith("speaks for it.")
        assert answered(browser)[0]["alt"].endswith("speaks for red (orange) and against it (blue)")
        browser.drop(pictures["blue"])  # shown at once, since it is switched on
        answered(browser, 2)
        browser.wait(shows_png.format(1))
        browser.click(".card:nth-child(2) .heat")
        browser.wait("!" + shows_png.format(2))
        assert answered(browser, 2)[1]["alt"] == "The picture my red.png"
        assert is_clean(browser, address)


def test_a_token_is_asked_for_and_kept_with_the_tab(browser, listen, pictures):
    with listen(access=Access(token="correct horse")) as address:
        browser.open(address)
        browser.wait("!document.querySelector('#token').hidden")
        assert focused(browser) == "token-input"
        browser.call("Input.insertText", text="正しい馬")  # what no header may hold
        browser.press("Enter")
        browser.wait("document.querySelector('#token-wrong').textContent")
        browser.run("document.querySelector('#token-input').value = ''")
        browser.run("document.querySelector('#token-wrong').textContent = ''")
        browser.call("Input.insertText", text="wrong")
        browser.press("Enter")
        browser.wait("document.querySelector('#token-wrong').textContent")
        assert text_of(browser, "#token-wrong") == EN["token_wrong"]
        browser.call("Input.insertText", text="correct horse")
        browser.press("Enter")
        browser.wait("document.querySelector('#knows').textContent")
        assert focused(browser) == "drop"
        browser.drop(pictures["red"])
        assert answered(browser)[0]["verdict"] == "red"
        browser.open(address)
        browser.wait("document.querySelector('#knows').textContent")
        assert browser.run("Object.keys(localStorage).length") == 0
        browser.run("sessionStorage.clear()")


def test_names_of_files_and_classes_do_nothing_to_the_page(browser, listen, tmp_path, fake_engine):
    evil = "<img src=x onerror=document.title='evil'>"
    photos = tmp_path / "evil"
    for name, color in ((evil, (200, 40, 40)), ("blue\u202e", (40, 60, 200))):
        for seed in range(6):
            fakes.draw(photos / name / f"{seed}.png", color, seed=seed)
    model = featx.train(photos, "logistic", cache=False, progress=False)
    path = fakes.draw(tmp_path / f"{evil}.png", (200, 40, 40), seed=9)
    with listen(model) as address:
        browser.open(address)
        browser.drop(path)
        (card,) = answered(browser)
        assert card["verdict"] == evil
        assert browser.run("document.title") == f"{EN['title']} – featx"
        assert browser.run("document.querySelectorAll('img[src=x]').length") == 0
        assert is_clean(browser, address)


def test_numbers_and_truth_values_are_classes_too(browser, listen, pictures, collection, photos):
    paths = sorted(photos.rglob("*.png"))
    labels = [path.parent.name == "red" for path in paths]
    model = featx.train(list(map(str, paths)), "logistic", labels=labels, cache=False)
    with listen(model, collection=collection) as address:
        browser.open(address)
        browser.drop(pictures["red"])
        assert answered(browser)[0]["verdict"] == "True"
        browser.wait("document.querySelector('#knows').textContent")
        correct(browser, 1, "False")
    assert rows(collection) == [("False", "True")]


def test_what_is_too_large_or_unreachable_is_told_and_can_be_tried_again(
    browser, listen, pictures, tmp_path
):
    large = tmp_path / "large.png"
    Image.effect_noise((300, 300), 90).save(large)
    with listen(limits=ServeLimits(picture_bytes=20_000)) as address:
        browser.open(address)
        browser.drop(large)
        (card,) = answered(browser)
        assert "the server takes at most 0.0 MB" in card["why"]
        sent = [each for each in browser.requests if "predict" in each]
        assert sent == []
    browser.drop(pictures["red"])
    card, _ = answered(browser, 2)
    assert card["verdict"] == EN["unreachable"]
    assert not browser.run("document.querySelector('.again').hidden")


def test_nothing_moves_for_those_who_do_not_want_it(browser, listen):
    with listen() as address:
        browser.open(address)
        wanted = [{"name": "prefers-reduced-motion", "value": "reduce"}]
        browser.call("Emulation.setEmulatedMedia", features=wanted)
        for style in ("animationName", "transitionDuration"):
            found = browser.run(
                "[...document.querySelectorAll('*')].map(each => getComputedStyle(each)."
                f"{style}).filter(each => each !== 'none' && each !== '0s')"
            )
            assert found == []


@pytest.mark.skipif(not AXE, reason="FEATX_AXE names no axe.min.js (npm install axe-core)")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [320, 1200])
@pytest.mark.parametrize("language", TEXTS)
def test_axe_finds_nothing(
    browser, listen, photos, pictures, other, collection, language, width, dark
):
    options = {"keep_pictures": 2, "pooling": "max", "cache": False, "progress": False}
    model = featx.train(photos, "logistic", reject=0.9, **options)
    with listen(model, collection=collection, access=Access(token="correct horse")) as address:
        browser.open(address, width=width, dark=dark, language=language, touch=width < 600)
        browser.run("sessionStorage.clear()")
        browser.wait("!document.querySelector('#token').hidden")
        assert violations(browser) == []
        browser.call("Input.insertText", text="correct horse")
        browser.press("Enter")
        strange = fakes.draw(other.with_name("strange.png"), (250, 250, 20))
        browser.choose("#files", *pictures.values(), other, strange)
        answered(browser, 5)
        browser.run("document.querySelector('.open').click()")
        browser.run("document.querySelector('.heat').click()")
        browser.run("document.querySelector('details').open = true")
        browser.wait("document.querySelector('[aria-pressed=true]')")
        assert violations(browser) == []
        browser.run("sessionStorage.clear()")


def violations(browser) -> list[str]:
    """Let axe look at the page, and return what it finds."""
    browser.run(Path(AXE).read_text(encoding="utf-8") + ";0")
    browser.run(
        "window.found = null; axe.run({resultTypes: ['violations', 'incomplete']})"
        ".then(it => window.found = it.violations.map("
        "each => each.id + ': ' + each.nodes.map(node => node.html + node.failureSummary))); 0"
    )
    browser.wait("window.found")
    return browser.run("window.found")
