"""Model files that mean harm: what is inside is changed, and packed again as if nothing had been.

    python -m tests.models.mutations 1000

loads so many in a process of its own and predicts with those that load. It prints how many were
refused, and ends with the first that crashed the process or raised what is no error of featx.
"""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path
from random import Random

import numpy as np

EXTREMES = (
    *(0, -1, 1, 2, 3, 255, 1 << 20, 1 << 31, (1 << 63) - 1, -(1 << 63), 10**400, 1.5, -1e308),
    *(
        None,
        True,
        False,
        "",
        "224",
        "x" * 300,
        [],
        {},
        [1, 2],
        [[[[]]]],
        float("nan"),
        float("inf"),
    ),
)
FOREIGN = (
    *("sklearn.tree._tree.Tree", "sklearn.svm._classes.SVC", "builtins.list", "builtins.dict"),
    *("sklearn.neighbors._kd_tree.KDTree", "os.system", "numpy.ndarray", "builtins.int"),
    *(
        "sklearn.pipeline.Pipeline",
        "sklearn.cluster._kmeans.KMeans",
        "numpy.random.mtrand.RandomState",
    ),
    *("sklearn.linear_model._logistic.LogisticRegression", "sklearn.isotonic.IsotonicRegression"),
)


def unpacked(data: bytes) -> dict[str, bytes]:
    """Return the members of a zip file by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: dict[str, bytes]) -> bytes:
    """Return a zip file of members, which are stored."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def mutated(data: bytes, random: Random) -> tuple[bytes, str]:
    """Change something inside a model file; return it with what was done."""
    members = unpacked(data)
    inner = unpacked(members["pipeline.skops"])
    arrays = [name for name in inner if name.endswith(".npy")]  # in the order of writing
    kind = random.choice(("about", "schema", "schema", "schema", "array", "array", "bits", "swap"))
    if kind == "about":
        members["model.json"], what = changed_json(members["model.json"], random)
    elif kind == "schema":
        inner["schema.json"], what = changed_json(inner["schema.json"], random)
    elif kind == "array":
        name = random.choice(arrays)
        inner[name], what = changed_array(inner[name], random)
    elif kind == "bits":
        name = random.choice([*arrays, "schema.json"])
        inner[name], what = flipped(inner[name], random), name
    else:
        one, other = random.choice(arrays), random.choice(arrays)
        inner[one], inner[other] = inner[other], inner[one]
        what = f"{one} and {other}"
    members["pipeline.skops"] = packed(inner)
    return packed(members), f"{kind}: {what}"


def flipped(content: bytes, random: Random) -> bytes:
    """Flip a few bits."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 3, 20))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def places(value, at=()):
    """Yield the way to every value within a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in items:
        yield (*at, key)
        if isinstance(each, dict | list):
            yield from places(each, (*at, key))


def changed_json(content: bytes, random: Random) -> tuple[bytes, str]:
    """Change, remove, copy or exchange values of a document, or nest one deeply."""
    document = json.loads(content)
    ways = list(places(document))
    way, other = random.choice(ways), random.choice(ways)
    holder, source = document, document
    for key in way[:-1]:
        holder = holder[key]
    for key in other:
        source = source[key]
    copy = json.loads(json.dumps(source))
    kind = random.choice(("extreme", "extreme", "remove", "copy", "text", "type", "deep"))
    if kind == "extreme":
        holder[way[-1]] = random.choice(EXTREMES)
        if way[-1] == "content" and random.random() < 0.7:  # of a JsonNode, which is JSON itself
            holder[way[-1]] = json.dumps(random.choice(EXTREMES))
    elif kind == "remove":
        del holder[way[-1]]
    elif kind == "copy":
        holder[way[-1]] = copy
    elif kind == "text":
        holder[way[-1]] = json.dumps(random.choice(EXTREMES))
    elif kind == "type" and isinstance(holder, dict) and "__class__" in holder:
        holder["__module__"], _, holder["__class__"] = random.choice(FOREIGN).rpartition(".")
    else:
        for _ in range(random.choice((50, 400, 5000))):
            copy = [copy]
        text = json.dumps("DEEP")
        holder[way[-1]] = "DEEP"
        depth = random.choice((50, 400, 100_000))
        deep = "[" * depth + "]" * depth
        return json.dumps(document).replace(text, deep).encode(), f"deep {way[-3:]}"
    return json.dumps(document).encode(), f"{kind} {way[-4:]}"


def changed_array(content: bytes, random: Random) -> tuple[bytes, str]:
    """Shorten an array, lengthen it, or change its values, its shape or its type."""
    array = np.load(io.BytesIO(content), allow_pickle=False)
    kind = random.choice(("short", "long", "extreme", "type", "shape", "order", "header", "field"))
    if kind == "short" and array.ndim:
        array = array[: random.randrange(len(array) + 1)]
    elif kind == "long" and array.ndim and len(array):
        array = np.concatenate([array] * random.choice((2, 3)))
    elif kind == "type" and array.dtype.names is None and array.dtype.kind in "biuf":
        array = array.astype(random.choice(("<i8", "<i4", ">i8", "<f4", "<f8", "u1", "?", "U3")))
    elif kind == "shape":
        array = array.reshape(random.choice(((-1,), (1, -1), (-1, 1), (*array.shape, 1))))
    elif kind == "order":
        array = np.asfortranarray(array) if array.ndim != 1 else array[::-1].copy()
    elif kind == "header":
        shape = random.choice(((10**12,), (2**62, 4), (0, 10**18), (3,), ()))
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
        header += b" " * (117 - len(header)) + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content[-64:], kind
    elif array.size:
        array = array.copy()
        target = array[random.choice(array.dtype.names)] if array.dtype.names else array
        flat = target.reshape(-1)
        if target.dtype.kind in "iuf":
            with np.errstate(all="ignore"):
                value = random.choice((-2, -1, 0, 1, 2, 7, 100, 2**31 - 1, 2**62, 1e300, np.nan))
                value = np.array([value]).astype(target.dtype)[0]
            row = random.randrange(len(flat))
            index = np.unravel_index(row, target.shape)
            if random.random() < 0.3:
                target[...] = value
            else:
                target[index] = value
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue(), kind


def samples(folder: Path) -> list[Path]:
    """Save models of every kind whose arrays compiled code follows, and some others."""
    import fakes
    from sklearn import calibration, ensemble, model_selection, neighbors, pipeline, svm, tree
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    from featx.models.model import ImageClassifier

    random = np.random.default_rng(0)
    y = np.repeat(["ant", "bee", "cat"], 8)
    X = (random.normal(size=(24, 6)) + np.arange(3).repeat(8)[:, None]).astype(np.float32)
    models = (
        svm.SVC(),
        pipeline.make_pipeline(StandardScaler(), svm.NuSVC(nu=0.2, kernel="poly")),
        tree.DecisionTreeClassifier(),
        ensemble.RandomForestClassifier(3, max_depth=3),
        ensemble.GradientBoostingClassifier(n_estimators=2, max_depth=2),
        ensemble.HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2),
        neighbors.KNeighborsClassifier(3, algorithm="brute"),
        neighbors.KNeighborsClassifier(3, algorithm="ball_tree"),
        neighbors.NearestCentroid(),
        calibration.CalibratedClassifierCV(svm.LinearSVC(), method="isotonic", cv=2),
        model_selection.GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
        ensemble.VotingClassifier([("a", tree.ExtraTreeClassifier()), ("b", svm.SVC())]),
    )
    paths = []
    for number, model in enumerate(models):
        paths.append(folder / f"{number}.featx")
        ImageClassifier(model.fit(X, y), fakes.RECIPE).save(paths[-1])
    return paths


def try_one(data: bytes, path: Path) -> str:
    """Load a model and predict with it; return whether it was refused."""
    import featx

    path.write_bytes(data)
    try:
        model = featx.load(path)
    except featx.FeatxError as error:
        refusal = str(error)
    else:
        return use(model)
    assert "\n" not in refusal, refusal
    assert len(refusal) < 700 + len(str(path)), refusal
    return "refused"


def use(model) -> str:
    """Predict with a model that was loaded."""
    import fakes

    import featx

    X = np.random.default_rng(1).normal(size=(30, 6)).astype(np.float32) * 3
    features = fakes.as_features(X, ["ant"] * 30, recipe=model.recipe)
    for ask in (model.predict, model.predict_proba):
        try:
            answers = ask(features)
        except featx.FeatxError:
            continue
        assert len(answers) == 30
    return "loaded"


def run(first: int, count: int, folder: Path) -> None:
    """Try files, and write down which is next before each."""
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(Path(__file__).parents[1]))
    originals = [path.read_bytes() for path in samples(folder)]
    done = {"refused": 0, "loaded": 0}
    for number in range(first, first + count):
        random = Random(number)
        data, what = mutated(random.choice(originals), random)
        (folder / "next").write_text(f"{number}: {what}")
        done[try_one(data, folder / "mutated.featx")] += 1
    print(json.dumps(done))


def main(first: int, count: int) -> dict[str, int]:
    """Try files in a process of its own; return how many were refused and how many loaded."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--worker", str(first), str(count), folder]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        last = Path(folder) / "next"
        where = last.read_text() if last.exists() else "before the first file"
        assert ended.returncode == 0, (
            f"status {ended.returncode} at {where}: {ended.stderr[-2000:]}"
        )
        done: dict[str, int] = json.loads(ended.stdout.splitlines()[-1])
        return done


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        run(int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
    else:
        print(main(int(sys.argv[2]) if len(sys.argv) > 2 else 0, int(sys.argv[1])))
