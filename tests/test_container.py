"""The container file: what it says, and what its commands do where there is no container engine."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT

from featx.files import cache_folder

FOLDER = ROOT / "examples/container"
PORT_WAIT = 120  # seconds for a service to be ready


class Instruction(NamedTuple):
    word: str
    rest: str


def stages() -> list[list[Instruction]]:
    """Read the container file: the instructions of each stage."""
    text = re.sub(r"^\s*#.*\n", "", (FOLDER / "Containerfile").read_text(), flags=re.M)
    lines = text.replace("\\\n", " ").splitlines()
    found: list[list[Instruction]] = []
    for line in filter(None, map(str.strip, lines)):
        instruction = Instruction(*line.split(None, 1))
        if instruction.word == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def rest_of(stage: list[Instruction], word: str) -> list[str]:
    return [each.rest for each in stage if each.word == word]


KNOWN = ["FROM", "ARG", "ENV", "COPY", "RUN", "USER", "WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD"]


def test_it_has_two_stages_of_known_instructions_from_images_of_a_named_version():
    assert len(stages()) == 2
    for stage in stages():
        assert {each.word for each in stage} <= set(KNOWN)
        [image] = rest_of(stage, "FROM")
        name, tag = image.split()[0].rsplit(":", 1)
        assert name == "docker.io/library/python"
        assert re.fullmatch(r"3\.\d+-slim-\w+", tag), "no latest, and nothing but what is needed"


def test_it_runs_as_an_ordinary_user_for_whom_nothing_is_run_as_root_later():
    last = stages()[-1]
    [user] = rest_of(last, "USER")
    assert all(int(number) >= 1000 for number in user.split(":"))  # Kubernetes wants numbers
    place = [each.word for each in last].index("USER")
    assert not {"RUN", "COPY"} & {each.word for each in last[place:]}
    [made] = rest_of(last, "RUN")
    uid = user.split(":")[0]
    assert made == (
        f"useradd --uid {uid} --create-home featx && install -d -o {uid} -g {uid} /data"
    )


def test_it_holds_no_secret_and_takes_nothing_from_elsewhere_but_packages():
    text = (FOLDER / "Containerfile").read_text()
    assert not re.search(r"(?i)token|password|secret|_key\b|sudo|curl|wget|chmod", text)
    for source in rest_of(stages()[0], "COPY"):
        *files, _ = source.split()
        for file in files:
            assert (ROOT / file).exists(), file
    assert all(each.startswith("--from=build ") for each in rest_of(stages()[-1], "COPY"))


def test_signals_reach_featx_itself():
    [entry] = rest_of(stages()[-1], "ENTRYPOINT")
    assert entry == '["/bin/sh", "/opt/featx/entrypoint.sh"]'  # not in the form of a shell
    script = (FOLDER / "entrypoint.sh").read_text()
    assert script.endswith('exec featx "$@"\n')


@pytest.fixture
def entry(tmp_path):
    """Return a function that runs the entry point with a `featx` that says what it was given."""
    engines = tmp_path / "home/featx/cache/engines"
    for key in ("one", "two"):
        (engines / key).mkdir(parents=True)
        (engines / key / "engine.json").write_text(key)
    program = tmp_path / "bin/featx"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$FEATX_CACHE" "$@"\n')
    program.chmod(0o755)
    script = (FOLDER / "entrypoint.sh").read_text().replace("/home/", f"{tmp_path}/home/")

    def run(cache: Path | str, *words: str) -> str:
        environment = {"PATH": f"{program.parent}:{os.environ['PATH']}", "FEATX_CACHE": str(cache)}
        made = subprocess.run(
            ["/bin/sh", "-c", script, "entrypoint", *words],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert made.stderr == ""
        return made.stdout

    return run


def test_an_empty_volume_gets_the_networks_once(entry, tmp_path):
    volume = tmp_path / "a volume"
    for _ in range(2):
        assert entry(volume, "embed", "a b") == f"{volume} embed a b\n"
        assert sorted(path.name for path in (volume / "engines").iterdir()) == ["one", "two"]
    (volume / "engines/one/engine.json").write_text("newer")
    entry(volume)
    assert (volume / "engines/one/engine.json").read_text() == "newer"


def test_where_the_cache_is_in_a_bucket_the_networks_go_where_featx_looks_for_them(
    entry, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert entry("s3://bucket/featx", "embed") == "s3://bucket/featx embed\n"
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home/featx"))
    monkeypatch.setenv("FEATX_CACHE", "s3://bucket/featx")
    assert {path.name for path in (cache_folder() / "engines").iterdir()} == {"one", "two"}
    assert not (tmp_path / "s3:").exists()


def test_the_cache_of_the_image_and_one_that_cannot_be_written_stay_as_they_are(entry, tmp_path):
    own = tmp_path / "home/featx/cache"
    assert entry(own, "--help") == f"{own} --help\n"
    file = tmp_path / "file"
    file.write_text("")
    assert entry(file / "below") == f"{file / 'below'}\n"


class Image:
    """The container file carried out in a folder, by the commands that it has."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.home = place / "home/featx"
        self.fruit = str(place / "source/data/fruit/train")
        self.variables: dict[str, str] = {}

    def here(self, text: str) -> str:
        """Return a command of the container file with its folders below this one."""
        return re.sub(r"(?<![\w/])/(opt|source|home)\b", rf"{self.place}/\1", text)

    def build(self) -> None:
        """Carry out all but what makes the user."""
        for stage in stages():
            for word, rest in stage:
                if word == "ARG":
                    name, _, value = rest.partition("=")
                    self.variables[name] = value.strip('"')
                elif word == "ENV":
                    self._set(rest)
                elif word == "COPY":
                    self._copy(rest)
                elif word == "RUN" and "useradd" not in rest:
                    subprocess.run(["sh", "-c", self.here(rest)], env=self.environment, check=True)

    @property
    def environment(self) -> dict[str, str]:
        settings = {each: os.environ[each] for each in os.environ if each.startswith("PIP_")}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # which has a `python`
        return {"HOME": os.environ["HOME"], "PATH": path, **settings, **self.variables}

    def _set(self, rest: str) -> None:
        for name, value in re.findall(r"(\w+)=(\S+)", rest):
            path = self.environment["PATH"]
            self.variables[name] = self.here(value).replace("$PATH", path)

    def _copy(self, rest: str) -> None:
        words = [each for each in rest.split() if not each.startswith("--")]
        built = "--from=" in rest
        *sources, target = (self.here(each) for each in words)
        if sources == [target]:
            return  # from one stage to the other, which are one folder here
        for source in sources:
            origin = Path(source) if built else ROOT / source
            if origin.is_dir():
                shutil.copytree(origin, target)
            else:
                place = Path(target) / origin.name if target.endswith("/") else Path(target)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(origin, place)
                if place.suffix == ".sh":
                    place.write_text(self.here(place.read_text()))

    def start(self, *words: str, apart: bool = False, **variables: str) -> subprocess.Popen:
        """Start the entry point as the user of the image; `apart` from every network."""
        [entry] = rest_of(stages()[-1], "ENTRYPOINT")
        command = [self.here(each) for each in re.findall(r'"([^"]*)"', entry)]
        return subprocess.Popen(
            [*(["unshare", "--net"] if apart else []), *self._as_user(), *command, *words],
            env={**self.environment, "HOME": str(self.home), **variables},
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def user(self) -> int:
        """The user of the image; root where others may not run this Python, as in root's home."""
        python = Path(sys.executable).resolve()
        if all(folder.stat().st_mode & 0o001 for folder in (python, *python.parents)):
            return int(rest_of(stages()[-1], "USER")[0].split(":")[0])
        return os.geteuid()

    def _as_user(self) -> list[str]:
        """Return how to become that user, without the powers of root in either case."""
        words = ["--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", *words]

    def run(self, *words: str, **variables: str) -> str:
        process = self.start(*words, apart=True, **variables)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return out


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("needs root, unshare and setpriv, as it becomes another user without a network")
    place = tmp_path_factory.mktemp("image")
    for folder in (place, *place.parents):
        if folder != Path("/") and os.stat(folder).st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o055)
    made = Image(place)
    made.build()
    for path in (made.home, *made.home.rglob("*")):
        os.chown(path, made.user, made.user)
    yield made
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.slow
def test_what_it_builds_is_small_and_embeds_without_a_network_or_tensorflow(image):
    kept = sum(path.stat().st_size for path in (image.place / "opt").rglob("*") if path.is_file())
    assert kept < 1.1e9
    assert not list(image.place.glob("opt/featx/venv/lib/*/site-packages/tensorflow"))
    out = image.run("embed", image.fruit, "--out", "fruit.npz")
    assert "features 20 x 1280" in out
    trained = image.run("train", image.fruit, "--out", "fruit.featx")
    assert "cross-validated accuracy" in trained


@pytest.mark.slow
def test_a_new_volume_is_taken_for_the_cache(image):
    volume = image.home / "volume"
    for outcome in ("20 embedded", "20 from the cache"):
        words = ("embed", image.fruit, "--out", "again.npz")
        assert outcome in image.run(*words, FEATX_CACHE=str(volume))


@pytest.mark.slow
def test_it_serves_until_it_is_asked_to_end(image):
    image.run("train", image.fruit, "--out", "fruit.featx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("serve", "fruit.featx", "--host", "0.0.0.0", "--port", str(port))
    process = image.start(*words, FEATX_TOKEN="a-token-of-the-test")
    url = f"http://127.0.0.1:{port}/healthz"
    end = time.monotonic() + PORT_WAIT
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url) as answer:
                assert answer.status == 200
                break
        except OSError:
            time.sleep(0.2)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert str(port) in err
