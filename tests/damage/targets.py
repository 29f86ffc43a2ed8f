"""The table of what is damaged: how it is made, and what must come of it.

To add something, write a function that makes it and one that uses it, and add a row to `TARGETS`.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import fakes
import numpy as np
from sklearn.ensemble import RandomForestClassifier

import featx
from featx.backbones.backbone import Backbone
from featx.backbones.engines.engine import EngineRequest
from featx.backbones.framework import import_keras
from featx.backbones.network import Cut
from featx.features.store.cache import contents
from featx.features.store.store import FeatureStore
from featx.images.digests import DigestMemo, digest_bytes
from featx.images.regular import Stamp
from featx.images.survey import MEASURES, MeasuresMemo, survey


@dataclass(frozen=True)
class Target:
    """Files to damage.

    `make` writes them, once, below a folder. `use` is called after each damage, and again: it
    asserts that nothing is wrong, and returns whether all was as if nothing had happened. Soon it
    must be.
    """

    name: str
    files: str  # a pattern of paths below the folder; each place is in one of them
    make: Callable[[Path], None]
    use: Callable[[Path], bool]
    heals: bool = True  # else what is damaged stays so, such as a model file, and is refused
    keras: bool = False  # whether a deep-learning framework is needed


SPEED = 1234.5  # images/s
OWN = Backbone("fake", "ab" * 32, 16, 8, "none/1", preprocess=None)


def _embedded(folder: Path) -> tuple[featx.Features, int]:
    """Embed the photographs; return the features and how many were computed now."""
    before = fakes.FakeEngine.embedded
    features = featx.embed(folder / "photos", OWN, cache=folder / "cache", progress=False)
    return features, fakes.FakeEngine.embedded - before


def make_cache(folder: Path) -> None:
    """Embed a few photographs on the fake engine, in two runs."""
    fakes.draw_folder(folder / "photos", each=2)
    _embedded(folder)
    fakes.draw_folder(folder / "photos", each=1, start=2)
    _embedded(folder)


def use_cache(folder: Path) -> bool:
    """Embed again: every vector is that of its own file, whatever the cache says."""
    features, embedded = _embedded(folder)
    assert len(features) == 9
    fakes.assert_rows(features)
    return embedded == 0


def make_memo(folder: Path) -> None:
    """Remember the digests of thirty files."""
    (folder / "files").mkdir()
    for number in range(30):
        (folder / "files" / f"{number}.jpg").write_bytes(b"%d" % number)
    use_memo(folder)


def use_memo(folder: Path) -> bool:
    """Ask for the digests: none is wrong, and those that are missing are remembered again."""
    paths = [str(path) for path in (folder / "files").iterdir()]
    truth = {path: digest_bytes(Path(path).read_bytes()) for path in paths}
    with DigestMemo(folder / "digests.sqlite") as memo:
        known = memo.known(paths)
        assert known.items() <= truth.items(), known
        states = {path: os.stat(path) for path in paths}
        memo.remember(
            (path, digest, Stamp(each.st_size, each.st_mtime_ns, each.st_ctime_ns))
            for (path, digest), each in zip(truth.items(), states.values(), strict=True)
            if path not in known
        )
    return known == truth


def make_measures(folder: Path) -> None:
    """Measure a few pictures."""
    fakes.draw_folder(folder / "photos", each=5)
    use_measures(folder)


def use_measures(folder: Path) -> bool:
    """Ask for the measures: none is wrong, and those that are missing are measured again."""
    paths = sorted(str(path) for path in (folder / "photos").rglob("*.png"))
    truth = survey(paths, None, progress=False)
    digests = [digest_bytes(Path(path).read_bytes()) for path in paths]
    known = MeasuresMemo(folder / "cache" / MEASURES).known(digests)
    assert survey(paths, folder / "cache", progress=False) == truth
    return len(known) == len(paths)


def make_recipe(folder: Path) -> None:
    """Embed a few photographs, and note what the recipe is."""
    make_cache(folder)
    (recipe,) = (folder / "cache").glob("features/*/recipe.json")
    shutil.copy(recipe, folder / "recipe")


def use_recipe(folder: Path) -> bool:
    """Look at the cache and embed: a recipe that nobody can read hides nothing."""
    (cached,) = contents(folder / "cache")
    assert (cached.rows, cached.damages) == (9, ())
    assert cached.text
    assert use_cache(folder)
    return cached.settings == json.loads((folder / "recipe").read_text())


def use_speed(folder: Path) -> bool:
    """Embed and join: a speed is what was measured or unknown; one more picture tells it again."""
    features, _ = _embedded(folder)
    fakes.assert_rows(features)
    told = features.images_per_second
    assert math.isnan(told) or told == SPEED, told
    if math.isnan(told):
        write_speed(folder)
    return told == SPEED


def write_speed(folder: Path) -> None:
    """Note a speed, as a run does at its end."""
    (part,) = _embedded(folder)[0].recipe.parts
    FeatureStore(folder / "cache", part).note_speed(SPEED, 100)


def make_speed(folder: Path) -> None:
    """Embed a few photographs, and note a speed that is known."""
    make_cache(folder)
    write_speed(folder)


def make_engine(folder: Path) -> None:
    """Convert a small network for OpenVINO, and note what it gives."""
    (folder / "cache").mkdir()
    np.save(folder / "truth.npy", _network_output(folder))


def use_engine(folder: Path) -> bool:
    """Run the network: its features are right, whatever was kept of it."""
    before = {path: path.read_bytes() for path in (folder / "cache").rglob("*") if path.is_file()}
    assert np.abs(_network_output(folder) - np.load(folder / "truth.npy")).max() < 1e-5
    return all(path.is_file() and path.read_bytes() == each for path, each in before.items())


def _network_output(folder: Path) -> np.ndarray:
    """Return the features of two pictures, by an engine that is opened anew."""
    from featx.backbones.engines.openvino import OpenVINOEngine

    backbone = _small_network()
    request = EngineRequest(backbone, Cut(), ("avg",), 16, folder / "cache")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    engine = OpenVINOEngine(request)
    return np.concatenate([engine.embed_batch(each[None]) for each in pictures])


@cache
def _small_network() -> Backbone:
    keras = import_keras()
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Input((16, 16, 3)), keras.layers.Conv2D(4, 3, activation="relu")]
    return Backbone.from_keras(keras.Sequential(layers))


def make_model(folder: Path) -> None:
    """Train a forest on three classes, and save it with what it predicts."""
    fakes.draw_folder(folder / "photos", each=3)
    model = featx.train(folder / "photos", RandomForestClassifier(5), backbone=OWN, progress=False)
    model.save(folder / "model.featx")
    np.save(folder / "expected.npy", _predicted(folder, model))


def use_model(folder: Path) -> bool:
    """Load the model: it predicts what it did, or is refused."""
    try:
        model = featx.load(folder / "model.featx", backbone=OWN)
    except featx.FeatxError as error:
        refused = str(error)
    else:
        expected = np.load(folder / "expected.npy")
        assert np.array_equal(_predicted(folder, model), expected)
        return True
    assert "\n" not in refused, refused
    return False


def _predicted(folder: Path, model: featx.ImageClassifier) -> np.ndarray:
    return model.predict_proba(folder / "photos", cache=folder / "cache", progress=False)


TARGETS = (
    Target("cache", "cache/features/*/*.arrow", make_cache, use_cache),
    Target("memo", "digests.sqlite", make_memo, use_memo),
    Target("measures", f"cache/{MEASURES}", make_measures, use_measures),
    Target("recipe", "cache/features/*/recipe.json", make_recipe, use_recipe),
    Target("speed", "cache/features/*/speed.json", make_speed, use_speed),
    Target("engine", "cache/engines/*/*", make_engine, use_engine, keras=True),
    Target("model", "model.featx", make_model, use_model, heals=False),
)


def restore(sound: Path, folder: Path) -> None:
    """Put back what is different from the sound state, and remove what is new."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if not (sound / path.relative_to(folder)).exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in sorted(sound.rglob("*")):
        place = folder / path.relative_to(sound)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        elif not place.is_file() or place.read_bytes() != path.read_bytes():
            place.write_bytes(path.read_bytes())
