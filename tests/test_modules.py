"""Networks: shapes, standardised input, AlexNet's layout and weights, hash layers."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from sklhash.deep.alexnet import AlexNet
from sklhash.deep.modules import MLP, ConvNet, Standardize, hash_layer_of

#: Shapes of the layers of torchvision's AlexNet, weights and biases.
ALEXNET = {
    "features.0": (64, 3, 11, 11),
    "features.3": (192, 64, 5, 5),
    "features.6": (384, 192, 3, 3),
    "features.8": (256, 384, 3, 3),
    "features.10": (256, 256, 3, 3),
    "classifier.1": (4096, 9216),
    "classifier.4": (4096, 4096),
    "classifier.6": (1000, 4096),
}
#: Its number of parameters, as torchvision publishes it.
ALEXNET_PARAMETERS = 61_100_840

NETS = {
    "mlp": (lambda: MLP(7, 5, mean=3.0, scale=2.0), (7,)),
    "mlp_deep": (lambda: MLP(7, 5, (6, 4)), (7,)),
    "mlp_linear": (lambda: MLP(7, 5, ()), (7,)),
    "convnet": (lambda: ConvNet(3, 5, mean=3.0, scale=2.0), (3, 32, 32)),
    "convnet_grey": (lambda: ConvNet(1, 5, (8, 16)), (1, 28, 28)),
}


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from one seed, and leaves the generator alone."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def alexnet():
    """An AlexNet that gives eight bits, as used after training."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AlexNet(n_bits=8).eval()


@pytest.fixture
def no_init(monkeypatch):
    """Leave the large layers as allocated: the test loads all of them."""
    monkeypatch.setattr(nn.Linear, "reset_parameters", lambda self: None)


@pytest.fixture
def torchvision_state():
    """State of torchvision's AlexNet, each layer one constant, so files are small."""
    state = {}
    for i, (layer, shape) in enumerate(ALEXNET.items(), 1):
        state[f"{layer}.weight"] = torch.tensor(i / 100).expand(shape)
        state[f"{layer}.bias"] = torch.tensor(-i / 100).expand(shape[0])
    return state


def without(state, prefix):
    return {name: x for name, x in state.items() if not name.startswith(prefix)}


def drawn(shape, dtype):
    return torch.randint(0, 256, shape).to(dtype)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32])
@pytest.mark.parametrize("shape", [(9, 3), (9, 3, 4, 5)], ids=["rows", "images"])
def test_standardize_is_the_formula(shape, dtype):
    """Each feature, or channel, loses its mean and is divided by its scale."""
    x, mean, scale = drawn(shape, dtype), [1.0, -2.0, 30.0], [2.0, 0.5, 4.0]
    z = Standardize(mean, scale)(x)
    assert z.dtype == torch.float32
    assert z.shape == shape
    for i in range(3):
        expected = (x[:, i].numpy().astype(float) - mean[i]) / scale[i]
        assert_allclose(z[:, i], expected, rtol=1e-6)


@pytest.mark.parametrize("form", [list, np.array, torch.tensor])
def test_standardize_takes_any_form_of_statistics(form):
    """Lists, arrays and tensors do, and later changes of them do not matter."""
    mean, scale = form([1.0, 2.0]), form([3.0, 4.0])
    module = Standardize(mean, scale)
    mean[0] = scale[0] = 100.0
    assert_allclose(module(torch.tensor([[4.0, 10.0]])), [[1.0, 2.0]])


def test_standardize_takes_read_only_statistics():
    """Nothing is written to the arrays given."""
    mean = np.array([1.0, 2.0])
    mean.flags.writeable = False
    assert Standardize(mean, mean).scale.tolist() == [1, 2]


def test_standardize_defaults():
    """No mean counts as 0, no scale as 1; one number serves all features."""
    x = drawn((4, 3), torch.float32)
    assert torch.equal(Standardize()(x), x)
    assert torch.equal(Standardize(mean=2)(x), x - 2)
    assert torch.equal(Standardize([1.0, 2.0, 3.0], 4)(x)[:, 2], (x[:, 2] - 3) / 4)


def test_constant_features_are_not_scaled():
    """A scale of 0 counts as 1, also one that is 0 in single precision only."""
    x = torch.tensor([[5.0, 5.0, 9.0]])
    assert_allclose(Standardize(5, [0.0, 1e-60, 2.0])(x), [[0.0, 0.0, 2.0]])


def test_doubles_far_from_zero_keep_their_differences():
    """Double precision is given up after the mean is subtracted, not before."""
    x = 2.0**30 + torch.arange(5, dtype=torch.float64)[:, None]
    z = Standardize(2.0**30, 1.0)(x)
    assert z.dtype == torch.float32
    assert z.ravel().tolist() == [0, 1, 2, 3, 4]


def test_statistics_lie_in_the_state_dict():
    """Mean and scale are saved and loaded with the weights, but are not trained."""
    net = MLP(3, 2, mean=[1.0, 2.0, 3.0], scale=[4.0, 5.0, 6.0])
    other = MLP(3, 2, mean=np.zeros(3), scale=np.ones(3))
    other.load_state_dict(net.state_dict())
    x = drawn((4, 3), torch.float32)
    assert torch.equal(net(x), other(x))
    assert other.state_dict()["standardize.mean"].tolist() == [1, 2, 3]
    assert not any("standardize" in name for name, _ in net.named_parameters())
    assert not Standardize(1.0, 2.0, persistent=False).state_dict()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [1.0, 2.0, 3.0]), "mean has 2 values, but scale 3"),
        (([np.nan, 2.0], 1.0), "mean must be a number, or one a feature, finite"),
        ((0.0, [1e300]), "scale must be a number, or one a feature, finite"),
        (([[1.0]], 1.0), "mean must be a number, or one a feature, finite"),
        ((0.0, [1.0, -1.0]), "scale must not be negative"),
    ],
)
def test_standardize_refuses(arguments, message):
    """Statistics that cannot be meant are refused by name."""
    with pytest.raises(ValueError, match=message):
        Standardize(*arguments)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64], ids=str)
def test_nets_give_real_values(name, dtype):
    """Any numeric input gives float32 outputs, one a bit, of both signs."""
    build, shape = NETS[name]
    z = build()(drawn((6, *shape), dtype))
    assert z.shape == (6, 5)
    assert z.dtype == torch.float32
    assert (z > 0).any()
    assert (z < 0).any()


@pytest.mark.parametrize("name", NETS)
def test_bytes_and_floats_give_the_same(name):
    """Images as bytes and as floats of the same numbers give the same outputs."""
    build, shape = NETS[name]
    net, x = build().eval(), drawn((4, *shape), torch.uint8)
    assert torch.equal(net(x), net(x.float()))


@pytest.mark.parametrize("name", NETS)
def test_seed_gives_the_net(name):
    """Equal seeds give equal weights and outputs; other seeds do not."""
    build, shape = NETS[name]
    x, outputs = drawn((4, *shape), torch.float32), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(build()(x))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize("name", NETS)
def test_gradient_reaches_every_parameter(name):
    """No layer is left out of the forward pass."""
    build, shape = NETS[name]
    net = build()
    net(drawn((8, *shape), torch.float32)).square().sum().backward()
    for parameter in net.parameters():
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("name", NETS)
def test_gradients_can_be_differentiated(name):
    """Gradient attention takes the gradient of a gradient."""
    build, shape = NETS[name]
    net, W = build(), torch.ones(5, requires_grad=True)
    z = net(torch.rand(8, *shape))
    gradients = torch.autograd.grad(
        (W * z.tanh()).sum(), list(net.parameters()), create_graph=True
    )
    sum(g.square().sum() for g in gradients).backward()
    assert (W.grad != 0).all()


def test_mlp_is_the_formula(rng):
    """Standardise, then affine maps with ReLU between them."""
    x, mean, scale = rng.randn(5, 4), rng.randn(4), rng.rand(4) + 0.5
    net = MLP(4, 3, (6, 5), mean=mean, scale=scale)
    hidden = (x - mean) / scale
    affine = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    for layer in affine:
        W, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        z = hidden @ W.T + b
        hidden = np.maximum(z, 0)
    assert [layer.out_features for layer in affine] == [6, 5, 3]
    assert_allclose(net(torch.from_numpy(x)).detach(), z, atol=1e-6)


@pytest.mark.parametrize(
    ("net", "shape"),
    [(MLP(6, 4, dropout=0.5), (6,)), (ConvNet(3, 4, dropout=0.5), (3, 16, 16))],
)
def test_dropout_acts_in_training_only(net, shape):
    """Hidden units are dropped at random, and none after training."""
    x = drawn((4, *shape), torch.float32)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


@pytest.mark.parametrize("size", [(28, 28), (31, 45), (32, 32), (64, 64)], ids=str)
def test_convnet_takes_images_of_any_size(size):
    """The mean over all positions leaves one value a channel."""
    z = ConvNet(3, 4)(drawn((2, 3, *size), torch.uint8))
    assert z.shape == (2, 4)


def test_convnet_is_its_layers_in_any_memory_order():
    """The order in which channels lie in memory is a matter of speed alone."""
    net, x = ConvNet(3, 4).eval(), drawn((2, 3, 32, 32), torch.float32) / 255
    expected = net.hash_layer(net.backbone(x.contiguous()))
    assert_allclose(net(x).detach(), expected.detach(), atol=1e-5)
    strided = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert_allclose(net(strided).detach(), expected.detach(), atol=1e-5)


def test_convnet_has_the_widths_asked_for():
    """One convolution a width; the image is halved where the width changes."""
    net = ConvNet(3, 4, widths=(5, 6, 6, 7))
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [5, 6, 6, 7]
    assert net.hash_layer.in_features == 7
    sizes = []
    for layer in convolutions:
        layer.register_forward_hook(lambda m, x, y: sizes.append(y.shape[-1]))
    net(torch.zeros(1, 3, 32, 32))
    assert sizes == [32, 16, 16, 8]


def test_alexnet_has_torchvision_layers(torchvision_state):
    """Names, shapes and number of parameters are torchvision's, up to FC-7."""
    with torch.device("meta"):
        net, hashing = AlexNet(), AlexNet(n_bits=8)
    expected = without(torchvision_state, "classifier.6.")
    assert {n: x.shape for n, x in net.state_dict().items()} == {
        n: x.shape for n, x in expected.items()
    }
    n_parameters = sum(p.numel() for p in net.parameters())
    assert n_parameters == ALEXNET_PARAMETERS - 1000 * 4097
    assert sum(p.numel() for p in hashing.parameters()) == n_parameters + 8 * 4097


def test_alexnet_has_torchvision_strides(alexnet):
    """An image of 224 x 224 has 55, 27 and 13 positions, and 6 after the last pool."""
    x, sizes = torch.zeros(1, 3, 224, 224), []
    for layer in alexnet.features:
        x = layer(x)
        sizes.append(x.shape[-1])
    assert sizes == [55, 55, 27, 27, 27, *[13] * 7, 6]


def test_alexnet_gives_fc7_or_bits(alexnet):
    """FC-7 is not negative; the hash layer is linear in it."""
    images = drawn((2, 3, 64, 70), torch.uint8)
    fc7, hash_layer = AlexNet().eval(), alexnet.hash_layer
    fc7.load_state_dict(without(alexnet.state_dict(), "hash_layer."))
    with torch.no_grad():
        features, z = fc7(images), alexnet(images)
        assert features.shape == (2, 4096)
        assert (features >= 0).all()
        assert_allclose(z, hash_layer(features), atol=1e-5)
    assert fc7.hash_layer is None


def test_alexnet_normalises_images(alexnet):
    """Bytes, and floats in [0, 1], are normalised as torchvision does."""
    images = drawn((2, 3, 64, 64), torch.uint8)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    with torch.no_grad():
        features = alexnet.features((images / 255 - mean) / std)
        expected = alexnet.hash_layer(alexnet.classifier(alexnet.pool(features)))
        for form in (images, images / 255, images.double() / 255):
            z = alexnet(form)
            assert z.dtype == torch.float32
            assert_allclose(z, expected, atol=1e-5)


@pytest.mark.parametrize(
    "images",
    [
        torch.full((1, 3, 64, 64), 255.0),
        torch.full((1, 3, 64, 64), -2.1),
        torch.full((1, 3, 64, 64), torch.nan),
        torch.zeros(1, 3, 64, 64, dtype=torch.int64),
    ],
    ids=["bytes as floats", "normalised", "nan", "integers"],
)
def test_alexnet_refuses_other_images(alexnet, images):
    """Images of another range would silently give poor codes."""
    with pytest.raises(ValueError, match=r"AlexNet takes uint8, or floats in \[0, 1\]"):
        alexnet(images)


def test_gradient_reaches_every_parameter_of_alexnet(alexnet):
    """All layers are trained."""
    alexnet(torch.rand(2, 3, 64, 64)).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in alexnet.parameters())
    alexnet.zero_grad()


@pytest.mark.parametrize("n_bits", [None, 8])
@pytest.mark.usefixtures("no_init")
def test_alexnet_loads_torchvision_weights(n_bits, torchvision_state, tmp_path):
    """A file of torchvision's state dict fills every layer but its last."""
    torch.save(torchvision_state, tmp_path / "alexnet.pth")
    net = AlexNet(n_bits=n_bits, weights=tmp_path / "alexnet.pth")
    for name, values in without(net.state_dict(), "hash_layer.").items():
        assert torch.equal(values, torchvision_state[name])


@pytest.mark.usefixtures("no_init")
def test_alexnet_loads_its_own_hash_layer(torchvision_state, tmp_path):
    """A file that holds a hash layer brings it along."""
    state = without(torchvision_state, "classifier.6.")
    state["hash_layer.weight"] = torch.tensor(0.5).expand(8, 4096)
    state["hash_layer.bias"] = torch.arange(8.0)
    torch.save(state, tmp_path / "hashing.pth")
    net = AlexNet(n_bits=8, weights=str(tmp_path / "hashing.pth"))
    assert (net.hash_layer.weight == 0.5).all()
    assert net.hash_layer.bias.tolist() == list(range(8))
    for other, message in [(4, "size mismatch for hash_layer"), (None, "Unexpected")]:
        with pytest.raises(ValueError, match=message):
            AlexNet(n_bits=other, weights=tmp_path / "hashing.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: without(state, "features.3.bias"),
            r"Missing.*features\.3\.bias",
        ),
        (lambda state: state | {"extra": torch.zeros(1)}, "Unexpected.*extra"),
        (
            lambda state: state | {"features.0.bias": torch.zeros(63)},
            r"size mismatch for features\.0\.bias",
        ),
        (lambda state: {"state_dict": state}, "Missing"),
        (lambda state: torch.zeros(3), "holds a Tensor, no state dict"),
        (lambda state: nn.Linear(2, 2), "save `module.state_dict"),
    ],
    ids=["missing", "unexpected", "shape", "nested", "tensor", "module"],
)
@pytest.mark.usefixtures("no_init")
def test_alexnet_refuses_other_files(change, message, torchvision_state, tmp_path):
    """What is not the state dict of an AlexNet is refused, by what is wrong."""
    path = tmp_path / "other.pth"
    torch.save(change(torchvision_state), path)
    with pytest.raises(ValueError, match=rf"(?s)weights=.*other\.pth.*{message}"):
        AlexNet(weights=path)


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 cut off"])
@pytest.mark.usefixtures("no_init")
def test_alexnet_refuses_files_of_another_kind(content, tmp_path):
    """Neither empty nor damaged files nor text are weights."""
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(ValueError, match="is no file of tensors alone"):
        AlexNet(weights=tmp_path / "weights.pth")


@pytest.mark.usefixtures("no_init")
def test_alexnet_needs_its_file(tmp_path):
    """A path without a file is told as such."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        AlexNet(weights=tmp_path / "nowhere.pth")


@pytest.mark.usefixtures("no_init")
def test_imagenet_needs_torchvision(monkeypatch):
    """Without torchvision the error names the extra to install."""
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.delitem(sys.modules, "torchvision.models", raising=False)
    with pytest.raises(ImportError, match=r"pip install sklhash\[vision\]"):
        AlexNet(weights="imagenet")


@pytest.mark.usefixtures("no_init")
def test_imagenet_weights_come_from_torchvision(monkeypatch, torchvision_state):
    """They are asked for quietly, checked and as tensors alone."""
    asked = {}

    def get_state_dict(**options):
        asked.update(options)
        return torchvision_state

    models = ModuleType("torchvision.models")
    models.AlexNet_Weights = SimpleNamespace(
        IMAGENET1K_V1=SimpleNamespace(get_state_dict=get_state_dict)
    )
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    net = AlexNet(weights="imagenet")
    assert asked == {"progress": False, "check_hash": True, "weights_only": True}
    assert torch.equal(net.classifier[4].bias, torchvision_state["classifier.4.bias"])


def test_hash_layer_is_found():
    """It is the attribute of that name, or else the last Linear layer."""
    named = MLP(4, 3)
    named.later = nn.Linear(2, 2)
    assert hash_layer_of(named) is named.hash_layer
    plain = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.Linear(3, 2), nn.Tanh()))
    assert hash_layer_of(plain) is plain[1][0]
    other = nn.Sequential(nn.Conv2d(3, 2, 1))
    other.hash_layer = nn.Bilinear(2, 2, 2)
    assert hash_layer_of(other) is other.hash_layer


def test_hash_layer_is_missed():
    """A module without one is refused by name."""
    with pytest.raises(ValueError, match="Sequential has neither an attribute"):
        hash_layer_of(nn.Sequential(nn.Conv2d(3, 2, 1)))
