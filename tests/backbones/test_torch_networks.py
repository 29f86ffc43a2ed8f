"""Networks of PyTorch give on OpenVINO what they give on PyTorch, at every layer and pooling."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading

import numpy as np
import pytest

from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import open_engine
from featx.backbones.engines.engine import EngineRequest
from featx.backbones.network import Cut
from featx.errors import ConversionError, FeatxError, OptionError, WeightsError
from featx.features.embed import embed
from featx.models.load import load
from featx.models.train import train

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
torchvision = pytest.importorskip("torchvision")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:the weights of"),
    pytest.mark.filterwarnings("ignore:The default weight initialization"),
]

POOLINGS = ["avg", "max", "token", "flatten", "none"]
MAPS = ["timm:resnet18", "timm:convnext_atto", "timm:swin_tiny_patch4_window7_224"]
TOKENS = [
    "timm:vit_tiny_patch16_224",
    "timm:vit_small_patch14_dinov2",
    "timm:deit_tiny_distilled_patch16_224",
]
OTHERS = [
    "torchvision:resnet18",
    "torchvision:vit_b_16",
    "torchvision:densenet121",
    "torchvision:swin_t",
]


def pictures(size, n=3):
    """Draw pictures that differ as photographs do: smooth colours, and some noise."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (n, 4, 4, 3)).astype(float)
    rows = np.linspace(0, 3.999, size).astype(int)
    smooth = coarse[:, rows][:, :, rows] + random.normal(0, 20, (n, size, size, 3))
    return smooth.clip(0, 255).astype(np.uint8)


def prepared(images, mean, std):
    scaled = (images / 255 - np.array(mean)) / np.array(std)
    return torch.from_numpy(scaled.transpose(0, 3, 1, 2).astype(np.float32))


def given(name, images):
    """Return the features of the original, and how many tokens stand before the patches."""
    library, _, network = name.partition(":")
    size = images.shape[1]
    torch.manual_seed(0)
    with torch.no_grad():
        if library == "timm":
            options = {"img_size": size} if "dinov2" in network else {}
            model = timm.create_model(network, **options).eval()
            data = timm.data.resolve_model_data_config(model)
            features = model.forward_features(prepared(images, data["mean"], data["std"]))
            if getattr(model, "output_fmt", "NCHW") == "NHWC":
                features = features.permute(0, 3, 1, 2)
            return features.numpy(), getattr(model, "num_prefix_tokens", 0)
        model = torchvision.models.get_model(network, weights=None).eval()
        x = prepared(images, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        return as_torchvision_computes(model, network, x).numpy(), int("vit" in network)


def as_torchvision_computes(model, network, x):
    """Return what the source of torchvision has before its classifier."""
    if network == "vit_b_16":
        given = []
        model.encoder.register_forward_hook(lambda module, taken, tokens: given.append(tokens))
        model(x)
        return given[0]
    if network == "densenet121":
        return torch.relu(model.features(x))
    if network == "swin_t":
        return model.permute(model.norm(model.features(x)))
    return torch.nn.Sequential(*list(model.children())[:-2])(x)


def pooled(features, prefix, pooling):
    if features.ndim == 3:
        side = int((features.shape[1] - prefix) ** 0.5)
        if pooling == "token":
            return features[:, 0]
        features = features[:, prefix:].reshape(len(features), side, side, -1)
    else:
        features = features.transpose(0, 2, 3, 1)
    return {
        "avg": lambda: features.mean((1, 2)),
        "max": lambda: features.max((1, 2)),
        "flatten": lambda: features.reshape(len(features), -1),
        "none": lambda: features,
    }[pooling]()


def engine_of(backbone, folder, pooling, size, layer=None):
    return open_engine(EngineRequest(backbone, Cut(layer=layer), (pooling,), size, folder))


def embedded(backbone, folder, images, pooling, layer=None):
    engine = engine_of(backbone, folder, pooling, images.shape[1], layer)
    return np.concatenate([engine.embed_batch(image[None]) for image in images])


def assert_alike(actual, expected):
    """Assert a cosine above 0.9999 of each row, also of what tells it from the others."""
    assert actual.shape == expected.shape
    actual, expected = (each.reshape(len(each), -1).astype(float) for each in (actual, expected))
    for some, others in (
        (actual, expected),
        (actual - actual.mean(0), expected - expected.mean(0)),
    ):
        norms = np.linalg.norm(some, axis=1) * np.linalg.norm(others, axis=1)
        assert ((some * others).sum(1) / norms).min() > 0.9999


@pytest.mark.parametrize("name", [*MAPS, *TOKENS, *OTHERS])
def test_features_are_those_of_the_original_for_every_pooling(name, tmp_path):
    images = pictures(224)
    backbone = Backbone.load(name, "random")
    features, prefix = given(name, images)
    for pooling in POOLINGS:
        if pooling == "token" and not prefix:
            with pytest.raises(OptionError, match="token"):
                engine_of(backbone, tmp_path, pooling, 224)
            continue
        assert_alike(
            embedded(backbone, tmp_path, images, pooling), pooled(features, prefix, pooling)
        )


# -- Sizes and layers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape"),
    [("blocks.2", (10, 10, 64)), ("patch_embed", (10, 10, 64)), ("head", (1000,))],
)
def test_layers_are_what_the_modules_give(layer, shape, tmp_path):
    images = pictures(160)
    torch.manual_seed(0)
    model = timm.create_model("test_vit").eval()
    given = []
    model.get_submodule(layer).register_forward_hook(lambda module, taken, out: given.append(out))
    with torch.no_grad():
        model(prepared(images, [0.5] * 3, [0.5] * 3))
    backbone = Backbone.from_timm("test_vit", "random")
    actual = embedded(backbone, tmp_path, images, "none", layer)
    assert actual.shape == (3, *shape)
    expected = given[0].numpy()
    expected = expected[:, -100:] if expected.ndim == 3 else expected
    assert_alike(actual, expected.reshape(actual.shape))


def test_what_writes_into_its_input_leaves_the_layer_before_as_it_was(tmp_path):
    images = pictures(160)
    torch.manual_seed(0)
    model = timm.create_model("test_resnet").eval()
    given = []
    model.bn1.register_forward_hook(lambda module, taken, out: given.append(out.clone()))
    with torch.no_grad():
        model(prepared(images, [0.5] * 3, [0.5] * 3))
    actual = embedded(Backbone.from_timm("test_resnet", "random"), tmp_path, images, "none", "bn1")
    assert actual.min() < 0
    assert_alike(actual, given[0].numpy().transpose(0, 2, 3, 1))


def test_sizes_are_taken_where_the_network_has_them(tmp_path):
    images = pictures(128)
    for name in ("test_vit", "test_resnet"):
        torch.manual_seed(0)
        options = {"img_size": 128} if name == "test_vit" else {}
        model = timm.create_model(name, **options).eval()
        with torch.no_grad():
            features = model.forward_features(prepared(images, [0.5] * 3, [0.5] * 3)).numpy()
        actual = embedded(Backbone.from_timm(name, "random"), tmp_path, images, "avg")
        assert_alike(actual, pooled(features, int(name == "test_vit"), "avg"))
    with pytest.raises(OptionError, match="torchvision:vit_b_16 does not take pictures of 128 px"):
        embed(images, "torchvision:vit_b_16", weights="random", cache=False, input_size=128)


# -- Weights -------------------------------------------------------------------------------------


@pytest.fixture(params=["safetensors", "pth"])
def save(request, tmp_path):
    """Return a function that writes weights into a file."""

    def write(tensors):
        path = tmp_path / f"weights.{request.param}"
        if request.param == "pth":
            torch.save(tensors, path)
        else:
            from safetensors.torch import save_file

            save_file({name: each.contiguous() for name, each in tensors.items()}, path)
        return path

    return write


def trained(name, **options):
    torch.manual_seed(7)
    library, _, network = name.partition(":")
    if library == "timm":
        return timm.create_model(network, **options).eval()
    return torchvision.models.get_model(network, **options).eval()


@pytest.mark.parametrize("name", ["timm:test_resnet", "timm:test_vit", "torchvision:squeezenet1_1"])
def test_weights_of_a_file_are_those_of_the_network(name, save):
    path = save(trained(name).state_dict())
    backbone = Backbone.load(name, path)
    assert backbone.weights.path == path
    assert backbone.digest != Backbone.load(name, "random").digest
    digest = backbone.digest
    assert Backbone.load(name, path).digest == digest
    other = {key: each * 2 for key, each in trained(name).state_dict().items()}
    assert Backbone.load(name, save(other)).digest != digest


def test_a_file_may_know_other_classes_or_none(save):
    full = embed(
        pictures(160), "timm:test_resnet", weights=save(trained("timm:test_resnet").state_dict())
    )
    for classes in (10, 0):
        path = save(trained("timm:test_resnet", num_classes=classes).state_dict())
        assert Backbone.from_timm("test_resnet", path).digest != full.recipe.parts[0].weights
    ten = trained("torchvision:resnet18", num_classes=10)
    assert Backbone.load("torchvision:resnet18", save(ten.state_dict())).input_size == 224


@pytest.mark.parametrize("name", ["timm:test_vit", "torchvision:resnet18"])
def test_weights_that_do_not_fit_are_told_in_a_line(name, save):
    path = save(trained("timm:test_resnet").state_dict())
    with pytest.raises(WeightsError) as caught:
        Backbone.load(name, path)
    assert str(caught.value).startswith(f"{path} does not fit {name}: ")
    assert "\n" not in str(caught.value)
    path.write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="neither a file of PyTorch nor of safetensors"):
        Backbone.load(name, path)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Let the hub be a server of this machine, with weights of one network; return its cache."""
    from safetensors.torch import save_file

    repository = timm.get_pretrained_cfg("test_vit").hf_hub_id
    body = tmp_path / "model.safetensors"
    save_file(trained("timm:test_vit").state_dict(), body)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            known = self.path == f"/{repository}/resolve/main/model.safetensors"
            self.send_response(200 if known else 404)
            self.send_header("X-Repo-Commit", "c" * 40)
            self.send_header("ETag", '"e"')
            self.send_header("Content-Length", str(body.stat().st_size if known else 0))
            self.end_headers()
            return known

        def do_GET(self):
            if self.do_HEAD():
                self.wfile.write(body.read_bytes())

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        import huggingface_hub.constants as constants

        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield tmp_path / "hub"
        server.shutdown()


def test_weights_come_from_the_hub_and_then_from_its_cache(hub, tmp_path, monkeypatch):
    digest = Backbone.from_timm("test_vit").digest
    kept = list(hub.glob("models--timm--test_vit*/snapshots/*/model.safetensors"))
    assert [path.parent.name for path in kept] == ["c" * 40]
    assert digest == Backbone.from_timm("test_vit", kept[0]).digest
    import huggingface_hub.constants as constants

    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "another"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://no-such-host.invalid")
    assert Backbone.from_timm("test_vit").digest == digest


def test_without_a_network_it_is_a_line(monkeypatch, tmp_path):
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://no-such-host.invalid")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        Backbone.from_timm("test_vit")
    assert "cannot fetch the weights of timm:test_vit" in str(caught.value)
    assert "--weights FILE" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm:resnett18", "did you mean resnet18"),
        ("timm:resnet18.no_such", "timm knows no weights 'no_such' of resnet18: expected one of"),
        ("torchvision:resnett18", "did you mean resnet18"),
        ("torchvision:fasterrcnn_resnet50_fpn", "for classification"),
        ("timm:", "expected the name of a network behind the colon"),
    ],
)
def test_unknown_names_are_told_what_there_is(name, words):
    with pytest.raises(OptionError, match=words):
        Backbone.load(name, "random")


# -- Modules of one's own ------------------------------------------------------------------------


class Small(torch.nn.Module):
    """A network that has all that may go wrong when it is traced."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, 2)
        self.norm = torch.nn.BatchNorm2d(8)
        self.act = torch.nn.ReLU(inplace=True)
        self.drop = torch.nn.Dropout(0.5)
        self.head = torch.nn.Linear(8, 4)

    def forward(self, pictures):
        return self.given(self.drop(self.act(self.norm(self.conv(pictures)))))

    def given(self, maps):
        return self.head(maps.mean((2, 3)))


class Several(Small):
    def given(self, maps):
        return {"last_hidden_state": maps, "pooler_output": super().given(maps), "count": 3}


class Tuple(Small):
    def given(self, maps):
        return maps, super().given(maps)


class Number(Small):
    def given(self, maps):
        return 3


class Noisy(Small):
    def given(self, maps):
        return super().given(maps) + torch.randn(1)


def features_of(module, images):
    module.eval()
    with torch.no_grad():
        return module(prepared(images, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


@pytest.mark.parametrize("scripted", [False, True])
def test_a_module_gives_what_it_gives_for_inference_and_stays_as_it_is(scripted):
    images = pictures(32)
    module = torch.jit.script(Small()) if scripted else Small()
    backbone = Backbone.from_torch(module, "torch", 32)
    assert_alike(embed(images, backbone, cache=False).X, features_of(module, images).numpy())
    module.train()
    embed(images, backbone, input_size=48, cache=False)
    assert module.training


def test_a_module_that_was_trained_on_gives_its_new_features():
    images = pictures(32)
    module = Small()
    backbone = Backbone.from_torch(module, "torch", 32)
    before = embed(images, backbone)
    with torch.no_grad():
        module.head.weight.copy_(torch.randn(4, 8))
    after = embed(images, backbone)
    assert after.recipe != before.recipe
    assert_alike(after.X, features_of(module, images).numpy())


def test_modules_are_told_apart_by_what_they_compute():
    torch.manual_seed(0)
    module, other = Small(), Noisy()
    other.load_state_dict(module.state_dict())
    same = Small()
    same.load_state_dict(module.state_dict())
    digests = [
        Backbone.from_torch(each, "torch", 32, name="network").digest
        for each in (module, same, other)
    ]
    assert digests[0] == digests[1] != digests[2]
    assert Backbone.from_torch(module, lambda pixels: pixels / 255, 32).digest != digests[0]


def test_of_several_outputs_the_usual_one_is_read_or_one_is_named():
    images = pictures(32)
    module = Several()
    expected = features_of(module, images)
    backbone = Backbone.from_torch(module, "torch", 32)
    maps = embed(images, backbone, pooling="none", cache=False).X
    assert_alike(maps, expected["last_hidden_state"].numpy().transpose(0, 2, 3, 1))
    vectors = embed(images, backbone, layer="pooler_output", cache=False).X
    assert_alike(vectors, expected["pooler_output"].numpy())
    with pytest.raises(
        OptionError, match="Tuple gives 2 outputs, output_0, output_1: name the one"
    ):
        Backbone.from_torch(Tuple(), "torch", 32)
    second = Backbone.from_torch(Tuple(), "torch", 32, layer="output_1")
    assert embed(images, second, cache=False).X.shape == (3, 4)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (3, "expected a torch.nn.Module: got int"),
        (Number(), "Number gives int and no tensor for each picture"),
        (torch.nn.Linear(3, 4), "Linear does not take pictures of 32 px"),
    ],
)
def test_what_is_no_network_of_pictures_is_told_in_a_line(module, words):
    with pytest.raises(OptionError, match=words) as caught:
        Backbone.from_torch(module, "torch", 32)
    assert "\n" not in str(caught.value)


def test_a_module_that_draws_numbers_is_refused():
    with pytest.raises(ConversionError, match="gives other features once converted"):
        embed(pictures(32), Backbone.from_torch(Noisy(), "torch", 32), cache=False)


def test_a_model_file_goes_with_the_module_that_it_was_trained_on(tmp_path, fruit):
    network = Backbone.from_torch(Small(), "torch", 32)
    model = train(fruit / "train", backbone=network)
    model.save(tmp_path / "fruit.featx")
    again = load(tmp_path / "fruit.featx", backbone=network)
    assert np.array_equal(again.predict(fruit / "test"), model.predict(fruit / "test"))
    with pytest.raises(FeatxError, match="network of your own, 'Small': load it in Python"):
        load(tmp_path / "fruit.featx").predict(fruit / "test")


# -- The second time -----------------------------------------------------------------------------


def test_the_second_time_neither_pytorch_nor_tensorflow_is_imported(tmp_path, fruit):
    network = ["--backbone", "timm:test_vit", "--weights", "random"]
    model = tmp_path / "fruit.featx"
    for arguments, imports in (
        (["train", fruit / "train", *network, "--out", model], ["timm", "torch"]),
        (["predict", model, fruit / "test"], []),
        (
            ["embed", fruit / "test", *network, "--layer", "blocks.1", "--out", tmp_path / "f.npz"],
            [],
        ),
    ):
        code = f"""
import sys
from featx.cli.main import main
try:
    main({[str(each) for each in arguments]})
except SystemExit as end:
    assert not end.code, end.code
print(sorted({{"torch", "timm", "tensorflow", "keras"}} & set(sys.modules)))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == str(imports)
