"""The commands, run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest

from featx.backbones.engines.choice import ENGINES, EngineSpec, registered
from featx.cli.main import main


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


@pytest.fixture
def featx_ends(capsys):
    """Return a function that runs `featx` with arguments and says how it ended."""

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ended(end.value.code, out, err)

    return run


@pytest.fixture
def featx_run(featx_ends):
    """Return a function that runs `featx` and expects it to go well."""

    def run(*arguments: object) -> Ended:
        ended = featx_ends(*arguments)
        assert ended.status == 0, ended.err
        return ended

    return run


@pytest.fixture
def featx_refuses(featx_ends, fake_engine, tmp_path, monkeypatch):
    """Return a function that runs `featx` and expects one line that says what is wrong."""

    def run(message: str, *arguments: object) -> None:
        monkeypatch.chdir(tmp_path)
        ended = featx_ends(*arguments)
        assert ended.status == 2
        assert ended.out == ""
        complaints = [line for line in ended.err.splitlines() if "warning" not in line]
        assert len(complaints) == 1, ended.err
        assert message in complaints[0]
        assert fake_engine.embedded == 0

    return run


@pytest.fixture
def photos(tmp_path, fake_engine) -> Path:
    """A folder of six small pictures of each of three classes, which colour tells apart."""
    return fakes.draw_folder(tmp_path / "photos")


@pytest.fixture
def new_photos(tmp_path) -> Path:
    """Two more pictures of each class, a file that is no picture, and notes."""
    root = fakes.draw_folder(tmp_path / "new_photos", each=2, start=100)
    (root / "green" / "bad.jpg").write_text("no picture")
    (root / "notes.txt").write_text("no picture by name")
    return root


@pytest.fixture(scope="session")
def _trained() -> dict[tuple[object, ...], bytes]:
    """Model files by the options of their training, which all tests share."""
    return {}


@pytest.fixture
def train_once(photos, featx_run, _trained):
    """Return a function that writes the model which `featx train` makes of the photos."""

    def train(path: Path, *options: object) -> Path:
        if options in _trained:
            path.write_bytes(_trained[options])
        else:
            featx_run("train", photos, *options, "--out", path)
            _trained[options] = path.read_bytes()
        return path

    return train


@pytest.fixture
def model(train_once, tmp_path) -> Path:
    """A model file that `featx train` wrote."""
    return train_once(tmp_path / "fruit.featx", "--classifier", "knn")


@contextmanager
def _every_engine(build: Callable) -> Iterator[list[tuple]]:
    """Let every engine be a fake one, whichever is asked for.

    Gives a list of those that were opened: the name asked for, the precision, the batch size.
    """
    opened = []

    def builder(name):
        def built(request):
            opened.append((name, request.cut.precision, request.batch_size))
            return build(request)

        return built

    with ExitStack() as stack:
        for name in ENGINES:
            spec = EngineSpec(
                name,
                builder(name),
                suits=lambda: True,
                computes_in=lambda precision: precision in fakes.FakeEngine.native,
                calibrator=None if name == "keras" else fakes.calibrate,
            )
            stack.enter_context(registered(spec))
        yield opened


@pytest.fixture
def engines(fake_engine):
    """What engines were opened: the name asked for, the precision, the batch size."""
    with _every_engine(fake_engine) as opened:
        yield opened


@pytest.fixture
def guessing(fake_engine):
    """Let every network see a golden retriever in any picture; the `engines` that were opened."""

    class Guesser:
        streams = 1
        batch_size = 8
        shape = (1000,)

        def __init__(self, request):
            pass

        def embed_batch(self, images):
            probabilities = np.full((len(images), 1000), 0.0001, np.float32)
            probabilities[:, [207, 208]] = 0.7, 0.2
            return probabilities

    with _every_engine(Guesser) as opened:
        yield opened


@pytest.fixture
def unsure(train_once, tmp_path):
    """A model that may be unsure, and a folder in which it is, of a purple picture."""
    model = train_once(tmp_path / "unsure.featx", "--reject", 0.9)
    test = fakes.draw_folder(tmp_path / "test", each=2, start=100)
    fakes.draw(test / "red" / "purple.png", (110, 60, 120))
    return model, test
