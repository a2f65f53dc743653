"""Gradient attention: two-sided softmax, one-bit dilemma, training through a step."""

import copy
import functools
import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.autograd import gradcheck

from sklhash.deep import attention as attention_module
from sklhash.deep.attention import (
    GradientAttention,
    _PairScores,
    attended_gradient,
    normalize_gradient,
    virtual_step,
)
from sklhash.deep.examples import Examples, TrainingBatches
from sklhash.deep.losses import FeatureSimilarityLoss, SoftPairwiseLoss
from sklhash.deep.modules import MLP, ConvNet
from sklhash.deep.net import AttendedHashNet, HashNet
from sklhash.metrics import mean_average_precision

SGD = functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True, weight_decay=5e-4)
LOSSES = {
    "soft_pairwise": SoftPairwiseLoss,
    "balanced": functools.partial(
        SoftPairwiseLoss, pair_weight="balanced", self_pairs=False
    ),
    "logistic": functools.partial(FeatureSimilarityLoss, 0.5, 0.0),
    "squared": functools.partial(FeatureSimilarityLoss, 0.5, 0.0, loss="squared"),
}


@pytest.fixture(autouse=True)
def seeded_doubles():
    """Every test starts from one seed and computes in double precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_default_dtype(before)


def drawn_labels(n, n_labels=4):
    """Zeros and ones, at least one of them one."""
    labels = (torch.rand(n, n_labels) < 0.4).double()
    labels[:, 0] += labels.sum(1) == 0
    return labels


def drawn_batch(n=5, n_bits=3, scale=0.02):
    """Relaxed codes and a symmetric gradient of pairs, some of it tiny or zero."""
    g = scale * torch.randn(n, n)
    g[0, 1], g[1, 2], g[2, 3] = 0, 1e-6, -3e-5
    return torch.randn(n, n_bits).tanh(), (g + g.T) / 2


def pair_gradient(criterion, codes, targets):
    """g, and the plain derivative of the terms of pairs by the codes."""
    H = codes.clone().requires_grad_()
    M = (H @ H.T).detach().requires_grad_()
    pairs = criterion.pairs(targets)
    loss = sum(criterion.of_pairs(H @ H.T, pairs, H.shape[1]).values())
    of_M = sum(criterion.of_pairs(M, pairs, H.shape[1]).values())
    return torch.autograd.grad(of_M, M)[0], torch.autograd.grad(loss, H)[0]


def channels(x, p=10.0):
    """The two channels of learning to learn, for one number."""
    if abs(x) > math.exp(-p):
        return math.log(abs(x) + 1e-6) / p, math.copysign(1, x)
    return -1.0, math.exp(p) * x


def score(attention, inputs):
    """Output of the attention network for five numbers, unit by unit."""
    total = 0.0
    for unit in range(len(attention.hidden.bias)):
        hidden = attention.hidden.bias[unit].item()
        for column in range(5):
            weight = attention.hidden.weight[unit, column].item()
            hidden += weight * inputs[column]
        total += attention.score.weight[0, unit].item() * max(hidden, 0)
    return total


def two_sided_gradients(attention, codes, other, g):
    """GAH's formula for a batch of codes and another: (16) and (17), entry by entry."""
    n, n_bits = codes.shape
    m = len(other)
    h, o = codes.tolist(), other.tolist()
    first, second = np.zeros((n, n_bits)), np.zeros((m, n_bits))
    alphas = np.zeros((n, m, n_bits))
    for k in range(n_bits):
        of_batch = [sum(g[i][b] * o[b][k] for b in range(m)) for i in range(n)]
        of_other = [sum(g[a][j] * h[a][k] for a in range(n)) for j in range(m)]
        for i in range(n):
            for j in range(m):
                by_h, by_o = g[i][j] * o[j][k], g[i][j] * h[i][k]
                u = score(attention, (h[i][k], *channels(by_h), *channels(of_batch[i])))
                v = score(attention, (o[j][k], *channels(by_o), *channels(of_other[j])))
                alphas[i, j, k] = math.exp(u) / (math.exp(u) + math.exp(v))
                first[i, k] += 2 * alphas[i, j, k] * by_h
                second[j, k] += 2 * (1 - alphas[i, j, k]) * by_o
    return alphas, first, second


class TestAttention:
    """The network, and what its weights do to a gradient."""

    @pytest.mark.parametrize("scale", [1e-4, 0.02, 5.0])
    def test_in_batch_formula_is_the_two_sided_one(self, scale):
        """A batch paired with itself gives GAH's formula, from five inputs a side."""
        codes, g = drawn_batch(scale=scale)
        attention = GradientAttention(6)
        alpha = attention(codes, g)
        expected, first, second = two_sided_gradients(
            attention, codes, codes, g.tolist()
        )
        assert_allclose(alpha.detach(), expected, rtol=1e-12)
        gradient = attended_gradient(attention, codes, g, 1.0).detach()
        assert_allclose(gradient, first + second, rtol=1e-11, atol=1e-16)

    def test_weights_of_two_sides_add_up_to_one(self):
        """alpha_ijk + alpha_jik = 1, and a pair of one item gets one half."""
        codes, g = drawn_batch(9, 4)
        alpha = GradientAttention(20)(codes, g)
        assert_allclose((alpha + alpha.transpose(0, 1)).detach(), 1, rtol=1e-14)
        assert_allclose(alpha.detach()[range(9), range(9)], 0.5, rtol=1e-14)
        assert (alpha - 0.5).abs().max() > 1e-3

    def test_equal_scores_give_one_half(self):
        """With a last layer of zeros no side is preferred: the plain gradient."""
        codes, g = drawn_batch()
        attention = GradientAttention(6)
        nn.init.zeros_(attention.score.weight)
        assert (attention(codes, g) == 0.5).all()
        gradient = attended_gradient(attention, codes, g, 1.0)
        assert_allclose(gradient.detach(), 2 * g @ codes, rtol=1e-12)

    @pytest.mark.parametrize("name", LOSSES)
    def test_weight_zero_is_the_plain_gradient(self, name):
        """Without weight the attended gradient is that of the pairs' loss."""
        codes, criterion = torch.randn(8, 5).tanh(), LOSSES[name]()
        g, plain = pair_gradient(criterion, codes, drawn_labels(8))
        assert torch.equal(g, g.T)
        gradient = attended_gradient(GradientAttention(6), codes, g, 0.0)
        assert_allclose(gradient.detach(), plain, rtol=1e-12, atol=1e-17)

    def test_weight_goes_from_plain_to_attended(self):
        """The gradient is linear in the weight."""
        codes, g = drawn_batch()
        attention = GradientAttention(6)
        none, some, full = (
            attended_gradient(attention, codes, g, weight).detach()
            for weight in (0.0, 0.3, 1.0)
        )
        assert_allclose(some, 0.7 * none + 0.3 * full, rtol=1e-12)
        assert (none - full).abs().max() > 1e-4

    @pytest.mark.parametrize("similar", [True, False])
    def test_dilemma_of_one_bit(self, similar):
        """Plain steps let both codes of a pair cross zero; attention moves one.

        Codes 0.3 and -0.4 that should agree, or 0.3 and 0.4 that should not.
        """
        sign = 1.0 if similar else -1.0
        codes = torch.tensor([[0.3], [-0.4 * sign]])
        g = torch.tensor([[0.0, -sign], [-sign, 0]])  # of both ordered pairs
        attention = GradientAttention(1)
        with torch.no_grad():
            attention.hidden.weight.copy_(torch.tensor([[1.0, 0, 0, 0, 0]]))
            attention.hidden.bias.zero_()
            attention.score.weight.fill_(1000.0 * sign)

        plain = codes - attended_gradient(attention, codes, g, 0.0).detach()
        assert_allclose(plain, [[-0.5], [0.2 * sign]], atol=1e-12)
        attended = codes - attended_gradient(attention, codes, g, 1.0).detach()
        assert_allclose(attended, [[-1.3], [-0.4 * sign]], atol=1e-12)
        agree = [bool(c.sign().sum()) for c in (codes, plain, attended)]
        assert agree == [not similar, not similar, similar]

    def test_normalized_gradients(self):
        """Both branches, either sign, zero: log and sign, or -1 and a multiple."""
        limit = math.exp(-10)
        x = [0.0, 1e-9, -1e-9, 0.99 * limit, 1.01 * limit, -1.01 * limit, 0.3, -7.0]
        magnitude, sign = normalize_gradient(torch.tensor(x))
        expected = [channels(value) for value in x]
        assert_allclose(torch.stack([magnitude, sign], 1), expected, rtol=1e-12)
        assert sign.abs().max() <= 1
        magnitude, sign = normalize_gradient(torch.tensor(x), p=2.0)
        expected = [channels(value, 2.0) for value in x]
        assert_allclose(torch.stack([magnitude, sign], 1), expected, rtol=1e-12)

    def test_large_scores_do_not_overflow(self):
        """Weights are 0 or 1 then, and the gradient is finite."""
        codes, g = drawn_batch()
        attention = GradientAttention(6)
        with torch.no_grad():
            attention.score.weight.mul_(1e6)
        attended_gradient(attention, codes, g, 1.0).square().sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in attention.parameters())

    def test_single_precision(self):
        """Single precision in, single precision out, and nearly the same numbers."""
        codes, g = drawn_batch()
        attention = GradientAttention(6)
        expected = attended_gradient(attention, codes, g, 1.0).detach()
        single = attended_gradient(attention.float(), codes.float(), g.float(), 1.0)
        assert single.dtype == torch.float32
        assert_allclose(single.detach(), expected, atol=1e-6)


class TestPairScores:
    """The scores without the hidden layer in memory."""

    def arguments(self, n=4, n_bits=3, n_units=5):
        own = torch.randn(n_units, n, n_bits).requires_grad_()
        first, second = torch.randn(2, n, n, n_bits)
        weight, out = torch.randn(n_units, 2), torch.randn(n_units)
        return own, first, second, weight.requires_grad_(), out.requires_grad_()

    @staticmethod
    def naive(own, first, second, weight, out):
        """The hidden layer as one array of shape (units, batch, batch, bits)."""
        hidden = own[:, :, None] + weight[:, 0, None, None, None] * first
        hidden = hidden + weight[:, 1, None, None, None] * second
        return torch.einsum("u,uijk->ijk", out, hidden.relu())

    def test_gradcheck(self):
        """Gradients are those of finite differences."""
        assert gradcheck(_PairScores.apply, self.arguments())

    def test_equals_the_naive_formulation(self):
        """Values and gradients are those of plain autograd."""
        arguments = self.arguments(6, 4, 7)
        du = torch.randn(6, 4, 6).transpose(1, 2)  # not contiguous
        trained = [a for a in arguments if a.requires_grad]
        results = []
        for scores in (_PairScores.apply, self.naive):
            u = scores(*arguments)
            results.append([u.detach(), *torch.autograd.grad(u, trained, du)])
        for actual, expected in zip(*results, strict=True):
            assert_allclose(actual, expected, rtol=1e-12, atol=1e-13)

    @pytest.mark.parametrize("bits_at_once", [0, 1, 2, 3, 6, 7])
    @pytest.mark.parametrize("weight", [0.4, 1.0])
    def test_chunks_of_bits_change_nothing(self, bits_at_once, weight, monkeypatch):
        """Bits done in chunks give the values and gradients of all at once."""
        codes, g = drawn_batch(5, 7)
        attention = GradientAttention(6)
        towards = torch.randn(5, 7)

        def value_and_gradients():
            G = attended_gradient(attention, codes, g, weight)
            gradients = torch.autograd.grad((G * towards).sum(), attention.parameters())
            return [G.detach(), *gradients]

        whole = value_and_gradients()
        monkeypatch.setattr(attention_module, "CHUNK_SIZE", 25 * bits_at_once + 1)
        for actual, expected in zip(value_and_gradients(), whole, strict=True):
            assert_allclose(actual, expected, rtol=1e-11, atol=1e-15)


OPTIMIZERS = {
    "sgd": functools.partial(torch.optim.SGD, lr=0.1),
    "momentum": functools.partial(
        torch.optim.SGD, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.01
    ),
    "nesterov": functools.partial(SGD, lr=0.1),
    "adam": functools.partial(torch.optim.Adam, lr=0.01, weight_decay=0.01),
    "amsgrad": functools.partial(torch.optim.Adam, lr=0.01, amsgrad=True),
    "foreach_adam": functools.partial(torch.optim.Adam, lr=0.01, foreach=True),
    "adamw": functools.partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
    "rmsprop": functools.partial(
        torch.optim.RMSprop, lr=0.01, momentum=0.5, centered=True, weight_decay=0.01
    ),
    "adagrad": functools.partial(torch.optim.Adagrad, lr=0.1),
    "nadam": functools.partial(torch.optim.NAdam, lr=0.01),
}


def assert_same(a, b):
    """Dicts and lists of numbers and tensors are equal."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        a, b = list(a.values()), list(b.values())
    if isinstance(a, (list, tuple)):
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


class TestVirtualStep:
    """An optimiser's next step, done on copies."""

    def drawn(self, name):
        """Parameters, and an optimiser that knows them in another order."""
        parameters = [torch.randn(shape).requires_grad_() for shape in [(3, 2), 4, 1]]
        groups = [
            {"params": [parameters[2], parameters[0]], "lr": 0.05, "initial_lr": 1.0},
            {"params": parameters[1:2]},
        ]
        return parameters, OPTIMIZERS[name](groups)

    def step(self, parameters, optimizer, gradients):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()

    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_equals_the_real_step(self, name):
        """Step after step, with momentum and averages, it is what the optimiser does.

        Some gradients are zero, at first or always.
        """
        parameters, optimizer = self.drawn(name)
        for step in range(5):
            gradients = [torch.randn_like(p) for p in parameters]
            gradients[0][0] = 0
            gradients[2] *= step > 1
            for group in optimizer.param_groups:
                group["lr"] *= 0.9  # a schedule
            before = [p.detach().clone() for p in parameters]
            state = copy.deepcopy(optimizer.state_dict())
            updated = virtual_step(optimizer, parameters, gradients)
            assert all(map(torch.equal, before, parameters))
            assert_same(optimizer.state_dict(), state)  # it stays as it is
            self.step(parameters, optimizer, gradients)
            for virtual, real in zip(updated, parameters, strict=True):
                assert_allclose(virtual, real.detach(), rtol=1e-12, atol=1e-15)

    def test_fused_optimizers(self):
        """One kernel for all parameters cannot be differentiated; its step can."""
        parameter = torch.randn(9).requires_grad_()
        optimizer = torch.optim.Adam([parameter], lr=0.01, fused=True)
        for _ in range(4):
            gradient = torch.randn(9)
            (updated,) = virtual_step(optimizer, [parameter], [gradient])
            self.step([parameter], optimizer, [gradient])
            # Its count of steps, which corrects the bias, is in single precision.
            assert_allclose(updated, parameter.detach(), rtol=1e-5)

    @pytest.mark.parametrize("name", OPTIMIZERS)
    @pytest.mark.parametrize("n_before", [0, 3])
    def test_derivative(self, name, n_before):
        """Its derivative by the gradients is that of the real step."""
        parameters, optimizer = self.drawn(name)
        for _ in range(n_before):
            self.step(parameters, optimizer, map(torch.randn_like, parameters))
        towards = [torch.randn_like(p) for p in parameters]
        gradients = [torch.randn_like(p).requires_grad_() for p in parameters]

        def real(gradients):
            ours, copied = copy.deepcopy((parameters, optimizer))
            self.step(ours, copied, [g.detach() for g in gradients])
            return sum((a * p).sum().item() for a, p in zip(towards, ours, strict=True))

        updated = virtual_step(optimizer, parameters, gradients)
        total = sum((a * p).sum() for a, p in zip(towards, updated, strict=True))
        derivatives = torch.autograd.grad(total, gradients)
        for i, derivative in enumerate(derivatives):
            for place in np.ndindex(*derivative.shape):
                shifted = []
                for size in (1e-5, -1e-5):
                    moved = [g.detach().clone() for g in gradients]
                    moved[i][place] += size
                    shifted.append(real(moved))
                expected = (shifted[0] - shifted[1]) / 2e-5
                assert_allclose(derivative[place], expected, rtol=1e-4, atol=1e-7)

    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_derivative_is_finite_where_the_gradient_is_zero(self, name):
        """The root of an average of zeros has no derivative; none is passed on."""
        parameters, optimizer = self.drawn(name)
        gradients = [torch.zeros_like(p).requires_grad_() for p in parameters]
        updated = virtual_step(optimizer, parameters, gradients)
        total = sum(p.sum() for p in updated)
        for derivative in torch.autograd.grad(total, gradients):
            assert torch.isfinite(derivative).all()


class SmoothNet(nn.Module):
    """A network without kinks."""

    def __init__(self, n_features=4, n_bits=3, dropout=0.0):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(n_features, 5), nn.Tanh(), nn.Dropout(dropout)
        )
        self.hash_layer = nn.Linear(5, n_bits)

    def forward(self, x):
        return self.hash_layer(self.backbone(x))


def build_net(kind, module, criterion=None, *, optimizer=SGD, lr=0.1, **options):
    """An initialised net with its own copy of a module."""
    options.setdefault("batch_size", 16)
    return kind(
        copy.deepcopy(module),
        SoftPairwiseLoss() if criterion is None else criterion,
        optimizer=optimizer,
        lr=lr,
        backbone_lr_factor=0.5,
        iterator_train=functools.partial(TrainingBatches, seed=0, epoch=0),
        train_split=None,
        callbacks__print_log=None,
        device="cpu",
        **options,
    ).initialize()


def attended_net(module, criterion=None, **options):
    attention = {"attention_weight": 1.0, "attention_units": 4, "attention_lr": 0.01}
    return build_net(AttendedHashNet, module, criterion, **{**attention, **options})


def weights_of(net):
    return {name: x.clone() for name, x in net.module_.state_dict().items()}


def assert_weights_close(net, other, atol):
    for name, weight in weights_of(net).items():
        assert_allclose(weight, weights_of(other)[name], atol=atol, err_msg=name)


class TestAttendedHashNet:
    """Training with attention."""

    def batch(self, n=8):
        return torch.randn(n, 4), drawn_labels(n)

    @pytest.mark.parametrize(
        ("name", "optimizer", "lr", "weight"),
        [
            ("soft_pairwise", SGD, 0.5, 1.0),
            ("soft_pairwise", torch.optim.Adam, 0.05, 0.5),
            ("logistic", torch.optim.Adam, 0.05, 1.0),
            ("squared", SGD, 0.5, 0.5),
        ],
    )
    def test_attention_learns_from_the_loss_after_the_step(
        self, name, optimizer, lr, weight
    ):
        """dL'/dphi is that of central differences through one whole step of training.

        Three steps come before, so that momentum and averages take part.
        """
        net = attended_net(
            SmoothNet(),
            LOSSES[name](),
            optimizer=optimizer,
            lr=lr,
            attention_weight=weight,
            attention_units=2,
        )
        for _ in range(3):
            net.train_step(self.batch())
        self.assert_attention_learns(net)

    @pytest.mark.parametrize("nesterov", [True, False])
    def test_attention_learns_from_the_first_step_on(self, nesterov):
        """The first step of momentum, which has no buffer yet, counts as any other."""
        optimizer = functools.partial(torch.optim.SGD, momentum=0.9, nesterov=nesterov)
        net = attended_net(SmoothNet(), optimizer=optimizer, lr=0.5, attention_units=2)
        self.assert_attention_learns(net)

    def assert_attention_learns(self, net):
        """Compare the attention network's gradient with central differences."""
        before, (x, y) = copy.deepcopy(net), self.batch()
        net.train_step((x, y))

        def loss_after(which, place, change):
            moved = copy.deepcopy(before)
            with torch.no_grad():
                list(moved.attention_.parameters())[which][place] += change
            moved.train_step((x, y))
            return moved.criterion_(moved.module_(x), y).item()

        largest = 0
        for which, parameter in enumerate(net.attention_.parameters()):
            for place in np.ndindex(*parameter.shape):
                expected = loss_after(which, place, 1e-4)
                expected -= loss_after(which, place, -1e-4)
                expected /= 2e-4
                assert_allclose(parameter.grad[place], expected, rtol=1e-3, atol=1e-9)
                largest = max(largest, abs(expected))
        assert largest > 1e-7

    @pytest.mark.parametrize("optimizer", [SGD, torch.optim.Adam], ids=["sgd", "adam"])
    @pytest.mark.parametrize("dropout", [0.0, 0.5])
    @pytest.mark.parametrize("without", ["weight", "scores"])
    def test_without_attention_training_is_the_plain_nets(
        self, optimizer, dropout, without
    ):
        """With next to no weight, or equal scores, the plain net's weights come out."""
        module = MLP(6, 4, (12,), dropout).double()
        examples = Examples(torch.randn(70, 6), drawn_labels(70))
        lr = 0.3 if optimizer is SGD else 0.01
        plain = build_net(HashNet, module, optimizer=optimizer, lr=lr)
        options = {"optimizer": optimizer, "lr": lr}
        if without == "weight":
            attended = attended_net(module, attention_weight=1e-12, **options)
        else:
            attended = attended_net(module, attention_lr=0.0, **options)
            nn.init.zeros_(attended.attention_.score.weight)
        for net in (plain, attended):
            net.partial_fit(examples, epochs=3)
        start = build_net(HashNet, module)
        with pytest.raises(AssertionError):
            assert_weights_close(plain, start, atol=1e-2)  # it has learned
        assert_weights_close(attended, plain, atol=1e-5)
        assert_allclose(
            attended.history[:, "train_loss"], plain.history[:, "train_loss"], rtol=1e-5
        )
        assert attended.criterion_.step == plain.criterion_.step == 12

    def test_running_statistics_are_updated_once_a_step(self):
        """The second pass leaves batch normalisation alone."""
        module = ConvNet(2, 4, (4, 5)).double()
        examples = Examples(torch.rand(40, 2, 8, 8), torch.arange(40) % 3)
        plain = build_net(HashNet, module, lr=0.01)
        attended = attended_net(module, attention_weight=1e-12, lr=0.01)
        for net in (plain, attended):
            net.partial_fit(examples, epochs=1)
        assert_weights_close(attended, plain, atol=1e-5)
        counts = [x for name, x in weights_of(attended).items() if "tracked" in name]
        assert [count.item() for count in counts] == [2, 2]

    @pytest.mark.parametrize("optimizer", [SGD, torch.optim.Adam], ids=["sgd", "adam"])
    @pytest.mark.parametrize("name", LOSSES)
    def test_loss_after_is_that_of_the_same_batch(self, optimizer, name):
        """It is the loss after the update, with the same units dropped."""
        net = attended_net(
            SmoothNet(dropout=0.5), LOSSES[name](), optimizer=optimizer, lr=0.05
        )
        for _ in range(3):
            x, y = self.batch()
            state = torch.get_rng_state()
            step = net.train_step((x, y))
            after = torch.get_rng_state()
            torch.set_rng_state(state)
            loss = net.criterion_(net.module_(x), y).item()
            assert_allclose(step["watched"]["loss_after"], loss, rtol=1e-9)
            assert abs(loss - step["loss"].item()) > 1e-9
            assert torch.equal(torch.get_rng_state(), after)  # one pass has drawn

    def test_terms_are_those_before_the_step(self):
        """What is reported as the loss is that of the batch before the update."""
        net = attended_net(SmoothNet())
        x, y = self.batch()
        outputs = net.module_(x).detach()
        pairs = net.criterion_.pairs(y)
        step = net.train_step((x, y))
        assert torch.equal(step["y_pred"], outputs)
        assert_allclose(step["loss"], net.criterion_(outputs, y), rtol=1e-12)
        for term, value in net.criterion_.terms(outputs, pairs).items():
            assert_allclose(step["watched"][term], value, rtol=1e-12)
        assert not any(value.requires_grad for value in step["watched"].values())

    def test_new_attention_is_used_from_the_next_batch_on(self):
        """How fast attention learns matters in the second step, not in the first."""
        module, batches = SmoothNet(), [self.batch(), self.batch()]
        nets = []
        for attention_lr in (0.0, 0.1):
            torch.manual_seed(1)
            nets.append(attended_net(module, lr=1.0, attention_lr=attention_lr))
        first = weights_of(nets[1])
        for i, batch in enumerate(batches):
            for net in nets:
                net.train_step(batch)
            pairs = zip(*(weights_of(net).values() for net in nets), strict=True)
            assert all(torch.equal(a, b) for a, b in pairs) == (i == 0)
        assert not torch.equal(
            first["hash_layer.weight"], weights_of(nets[1])["hash_layer.weight"]
        )

    def test_attention_changes(self):
        """All of its weights learn, and the codes are not those of plain training."""
        module = MLP(6, 4, (12,)).double()
        examples = Examples(torch.randn(70, 6), drawn_labels(70))
        plain = build_net(HashNet, module, lr=0.3)
        attended = attended_net(module, lr=0.3)
        before = [p.detach().clone() for p in attended.attention_.parameters()]
        for net in (plain, attended):
            net.partial_fit(examples, epochs=3)
        for old, new in zip(before, attended.attention_.parameters(), strict=True):
            assert (old - new).abs().max() > 1e-3
        with pytest.raises(AssertionError):
            assert_weights_close(attended, plain, atol=1e-4)

    def test_attention_lowers_the_loss_after_the_step(self):
        """Trained on one step again and again, attention finds a better one."""
        start = attended_net(SmoothNet(), lr=2.0, attention_units=8)
        batch = self.batch(16)
        losses = []
        for _ in range(25):
            net = copy.deepcopy(start)
            losses.append(net.train_step(batch)["watched"]["loss_after"].item())
            start.attention_ = net.attention_
            start.attention_optimizer_ = net.attention_optimizer_
        assert losses[-1] < losses[0] - 1e-4

    @pytest.mark.parametrize("kind", ["frozen", "unused"])
    def test_parameters_that_the_loss_does_not_reach(self, kind):
        """Frozen layers stay, and layers without a use are no error."""
        module = SmoothNet()
        if kind == "unused":
            module.spare = nn.Linear(2, 2)
        else:
            module.backbone.requires_grad_(False)
        net = attended_net(module, optimizer=torch.optim.Adam)
        still = {"unused": "spare.weight", "frozen": "backbone.0.weight"}[kind]
        before = weights_of(net)
        for _ in range(3):
            net.train_step(self.batch())
        after = weights_of(net)
        assert torch.equal(before[still], after[still])
        assert not torch.equal(before["hash_layer.weight"], after["hash_layer.weight"])

    def test_backbone_learns_at_its_own_rate(self):
        """A factor of zero keeps the backbone, with attention as without."""
        net = attended_net(SmoothNet())
        net.optimizer_.param_groups[0]["lr"] = 0.0
        before = weights_of(net)
        step = net.train_step(x_y := self.batch())
        after = weights_of(net)
        assert torch.equal(before["backbone.0.weight"], after["backbone.0.weight"])
        loss = net.criterion_(net.module_(x_y[0]), x_y[1])
        assert_allclose(step["watched"]["loss_after"], loss.item(), rtol=1e-9)


@pytest.mark.parametrize("ties", ["expected", "index"])
def test_one_code_for_all_scores_the_closed_form(ties, rng):
    """All rows at one distance score the mean AP over random rankings.

    0.1015, which UHGA's tables have at 16 bits where codes collapsed, is that of ten
    classes and 5,000 places.
    """
    n, n_relevant = 5000, 500
    classes = np.repeat(np.arange(10), n_relevant)
    gallery = rng.permutation(classes)
    score = mean_average_precision(
        np.ones((10, 16), dtype=np.uint8),
        np.ones((n, 16), dtype=np.uint8),
        np.arange(10),
        gallery,
        ties=ties,
    )
    harmonic = sum(1 / i for i in range(1, n + 1))
    expected = ((n_relevant - 1) / (n - 1) * (n - harmonic) + harmonic) / n
    assert_allclose(expected, 0.10146, atol=5e-6)
    assert_allclose(score, expected, atol=1e-12 if ties == "expected" else 5e-4)
