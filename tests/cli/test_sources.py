"""What a command works on: paths, patterns, lists, saved features."""

import io
import sys

import pytest

import featx


@pytest.fixture
def typed(monkeypatch):
    """Return a function that puts bytes on stdin."""

    def put(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return put


def embedded(featx_run, tmp_path, *words) -> featx.Features:
    featx_run("embed", *words, "--out", tmp_path / "x.npz")
    return featx.Features.load(tmp_path / "x.npz")


def test_embed_takes_several_paths_and_patterns(featx_run, photos, tmp_path):
    both = embedded(featx_run, tmp_path, photos / "red", f"{photos}/**/000.png")
    paths = [str(photos / "red" / f"00{number}.png") for number in range(6)]
    assert both.paths.tolist() == paths + [
        str(photos / name / "000.png") for name in ("blue", "green", "red")
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_paths_come_from_stdin_and_from_a_file(featx_run, photos, tmp_path, typed, end):
    paths = [str(path) for path in sorted(photos.rglob("*.png"))[::5]]
    content = end.join(path.encode() for path in paths) + end
    typed(content)
    assert embedded(featx_run, tmp_path, "-").paths.tolist() == paths
    (tmp_path / "list.txt").write_bytes(content)
    listed = embedded(featx_run, tmp_path, "--files-from", tmp_path / "list.txt")
    assert listed.paths.tolist() == paths
    typed(content)
    more = embedded(featx_run, tmp_path, photos / "red" / "001.png", "--files-from", "-")
    assert more.paths.tolist() == [str(photos / "red" / "001.png"), *paths]


def test_paths_of_a_list_are_predicted_in_their_order(featx_run, model, photos, typed):
    paths = [str(photos / name / "000.png") for name in ("red", "blue")]
    typed("\n".join([*paths, "gone.png"]).encode())
    rows = featx_run("predict", model, "-", "--json").json
    assert [(row["path"], row["label"]) for row in rows] == [
        (paths[0], "red"),
        (paths[1], "blue"),
        ("gone.png", None),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["embed", "-", "--out", "x.npz"], "the list of images is empty: expected a folder"),
        (["embed", "--files-from", "gone", "--out", "x.npz"], "cannot read the list of paths"),
        (["embed", "--out", "x.npz"], "Missing argument 'PATH...'"),
        (["embed", "photos/*.gif", "--out", "x.npz"], "'photos/*.gif' matches no picture in "),
        (["train", "photos", "--backbones", "vgg16,xception", "--out", "x"], "expected one, or"),
    ],
)
def test_sources_that_are_none_are_mistakes(featx_refuses, photos, typed, words, message):
    typed(b"\n")
    featx_refuses(message, *words)


def test_names_of_options_may_be_singular_or_plural(featx_run, photos, tmp_path):
    ended = featx_run(
        *("compare", photos, "--backbone", "efficientnet_lite0", "--pooling", "avg,max"),
        *("--classifier", "knn,centroid", "--json"),
    )
    assert len(ended.json["candidates"]) == 4
    named = ("--backbones", "efficientnet_lite0", "--classifiers", "knn")
    assert featx_run("train", photos, *named, "--out", tmp_path / "m.featx", "--json").json


# ---------------------------------------------------------------- saved features


@pytest.fixture
def saved(featx_run, photos, tmp_path, fake_engine):
    """A folder of two files of features of the photographs."""
    (tmp_path / "saved").mkdir()
    for pooling, suffix in (("avg", "npz"), ("max", "parquet")):
        out = tmp_path / "saved" / f"{pooling}.{suffix}"
        featx_run("embed", photos, "--pooling", pooling, "--out", out)
    fake_engine.embedded = 0
    return tmp_path / "saved"


@pytest.mark.parametrize("suffix", ["npz", "npy", "parquet", "csv"])
def test_saved_features_are_used_as_they_are(
    featx_run, photos, tmp_path, suffix, fake_engine, monkeypatch
):
    out, model = tmp_path / f"x.{suffix}", tmp_path / "m.featx"
    featx_run("embed", photos, "--pooling", "max", "--out", out)
    fake_engine.embedded = 0
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "empty"))
    featx_run("train", out, "--classifier", "knn", "--out", model, "--test", out)
    assert featx.load(model).recipe.pooling == "max"
    assert featx_run("evaluate", model, out, "--json").json["n_images"] == 18
    assert len(featx_run("predict", model, out, "--json").json) == 18
    assert featx_run("compare", out, "--json").json["n_images"] == 18
    assert fake_engine.embedded == 0


def test_a_folder_of_saved_features_is_compared(featx_run, saved, fake_engine):
    document = featx_run("compare", saved, "--json").json
    names = {each["candidate"] for each in document["candidates"]}
    assert names == {"efficientnet_lite0 avg", "efficientnet_lite0 max"}
    files = sorted(saved.iterdir())
    assert len(featx_run("compare", *files, "--json").json["candidates"]) == 2
    assert fake_engine.embedded == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "saved", "--out", "x"], "features alone and of one file are expected here"),
        (["train", "saved/avg.npz", "--backbone", "vgg16", "--out", "x"], "embedded already: back"),
        (["train", "saved/avg.npz", "--pooling", "max", "--out", "x"], "embedded already: pooling"),
        (["compare", "saved", "--poolings", "max"], "embedded already: poolings would change"),
        (["compare", "saved/avg.npz", "photos"], "'photos' holds no features, and others do"),
        (["tune", "saved/avg.npz"], "saved/avg.npz holds features, and tune embeds pictures"),
    ],
)
def test_saved_features_that_do_not_fit_are_mistakes(featx_refuses, saved, words, message):
    featx_refuses(message, *words)


def test_a_folder_of_pictures_beside_which_features_lie_is_one_of_pictures(
    featx_run, saved, photos, tmp_path
):
    (saved / "avg.npz").rename(photos / "avg.npz")
    document = featx_run("train", photos, "--out", tmp_path / "m.featx", "--json").json
    assert document["features"]["n_other"] == 1


def test_a_table_without_its_sidecar_says_that_its_recipe_is_lost(
    featx_run, featx_ends, photos, tmp_path
):
    out = tmp_path / "x.csv"
    ended = featx_run("embed", photos, "--out", out)
    assert ended.out.splitlines()[-2:] == [f"wrote {out}", f"wrote {out}.json"]
    (tmp_path / "x.csv.json").unlink()
    lost = "has lost its recipe, which featx keeps in x.csv.json beside it"
    ended = featx_run("compare", out)
    assert lost in ended.err
    assert ended.out.splitlines()[1].split()[2] == "x", "it is called like its file"
    ended = featx_ends("train", out, "--out", tmp_path / "m.featx")
    assert ended.status == 2
    assert lost in ended.err
    assert "these features carry no recipe" in ended.err


def test_pictures_of_saved_features_are_where_the_root_says(
    featx_run, featx_ends, photos, tmp_path
):
    out, model = tmp_path / "x.npz", tmp_path / "m.featx"
    featx_run("embed", photos, "--out", out)
    photos.rename(tmp_path / "pictures")
    featx_run("train", out, "--root", tmp_path / "pictures", "--out", model)
    gallery = tmp_path / "gallery.png"
    rows = featx_run(
        *("predict", model, out, "--root", tmp_path / "pictures", "--json", "--gallery", gallery)
    ).json
    assert rows[0]["path"] == str(tmp_path / "pictures" / "blue" / "000.png")
    ended = featx_ends("train", out, "--root", tmp_path, "--out", model)
    assert ended.status == 2
    assert "holds no picture of" in ended.err


def test_saved_features_take_the_labels_of_a_table_and_its_groups(
    featx_run, photos, saved, tmp_path, fake_engine
):
    rows = [f"{path.relative_to(photos)}," for path in sorted(photos.rglob("*.png"))[:16]]
    lines = [f"{row}{'xy'[n % 2]},p{n % 8}" for n, row in enumerate(rows)]
    (photos / "new.csv").write_text("\n".join(["path,label,patient", *lines]))
    labels = ("--labels", photos / "new.csv")
    model = tmp_path / "m.featx"
    trained = featx_run(
        *("train", saved / "avg.npz", *labels, "--groups", "patient", "--out", model, "--json")
    ).json
    assert trained["classes"] == ["x", "y"]
    assert trained["features"]["n_images"] == 16
    assert "2 of 18 pictures have no row in new.csv" in trained["features"]["notes"][0]
    assert (
        "8 groups kept together"
        in featx_run(
            *("train", saved / "avg.npz", *labels, "--groups", "patient", "--out", model)
        ).out
    )
    assert featx_run("evaluate", model, saved / "avg.npz", *labels, "--json").json["n_images"] == 16
    assert featx_run("compare", saved, *labels, "--json").json["n_images"] == 16
    assert fake_engine.embedded == 0


def test_rows_of_saved_features_are_left_out_by_a_list(featx_run, photos, saved, tmp_path):
    (tmp_path / "list.txt").write_text(f"{photos}/red/000.png\n")
    words = ("--exclude", tmp_path / "list.txt", "--json")
    trained = featx_run("train", saved / "avg.npz", "--out", tmp_path / "m.featx", *words).json
    assert trained["features"]["n_images"] == 17


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photos", "--path-column", "x"], "path column 'x' goes with a table of images or of"),
        (["photos", "--label-column", "x"], "label column 'x' goes with a table of images or of"),
        (["empty.csv"], "empty.csv gives no picture a label: fill its column of labels"),
    ],
)
def test_columns_without_labels_or_without_a_table_are_mistakes(
    featx_refuses, photos, tmp_path, words, message
):
    (tmp_path / "empty.csv").write_text("path,label\nphotos/red/000.png,\nphotos/red/001.png,\n")
    featx_refuses(message, "train", *words, "--out", "m.featx")
