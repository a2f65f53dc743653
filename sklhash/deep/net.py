"""The skorch nets that deep hashers train, plain and with gradient attention."""

import numpy as np
import torch
from skorch import NeuralNet
from skorch.dataset import unpack_data
from skorch.utils import TeeGenerator, to_device, to_tensor
from torch.func import functional_call

from .attention import GradientAttention, attended_gradient, virtual_step
from .device import seed_generators
from .examples import as_input
from .modules import hash_layer_of


class HashNet(NeuralNet):
    """A network that gives codes and a loss of pairs of them.

    Parameters
    ----------
    module : nn.Module
        Outputs of shape (n_samples, n_bits).
    criterion : CodeLoss
    seed : int
        Of everything that is drawn at random while training.
    backbone_lr_factor : float, default=1.0
        Factor of the learning rate for all parameters but the hash layer's.
    single_precision : bool, default=False
        Give the module float32 only. Otherwise it gets float64, if the examples are,
        and makes float32 of it when means have been subtracted.
    compile_module : bool, default=False
        Compile the module with :meth:`torch.nn.Module.compile`.
    **kwargs : dict
        As in :class:`skorch.NeuralNet`.
    """

    def __init__(
        self,
        module,
        criterion,
        *,
        seed=0,
        backbone_lr_factor=1.0,
        single_precision=False,
        compile_module=False,
        **kwargs,
    ):
        super().__init__(module, criterion, **kwargs)
        self.seed = seed
        self.backbone_lr_factor = backbone_lr_factor
        self.single_precision = single_precision
        self.compile_module = compile_module

    def initialize_module(self):
        """Compile the module in place: its weights keep their names."""
        super().initialize_module()
        if self.compile_module:
            self.module_.compile()
        return self

    def initialize_optimizer(self):
        """Give the backbone its own learning rate."""
        head = {id(p) for p in hash_layer_of(self.module_).parameters()}
        trained = [p for p in self.module_.parameters() if p.requires_grad]
        backbone = [p for p in trained if id(p) not in head]
        groups = [{"params": [p for p in trained if id(p) in head], "lr": self.lr}]
        if backbone:
            lr = self.lr * self.backbone_lr_factor
            groups.insert(0, {"params": backbone, "lr": lr})
        self.optimizer_ = self.optimizer(groups, lr=self.lr)
        for group in self.optimizer_.param_groups:
            group["initial_lr"] = group["lr"]
        return self

    def on_epoch_begin(self, net, **kwargs):
        """Seed dropout for this epoch, so that training can stop and go on."""
        super().on_epoch_begin(net, **kwargs)
        rng = np.random.RandomState([self.seed, len(self.history)])
        seed_generators(rng.randint(2**31), self.device)

    def infer(self, x, **fit_params):
        """Outputs of the network, before they are relaxed to codes."""
        return self.module_(self.inputs(x), **fit_params)

    def inputs(self, x):
        """Move examples to the device and make floats of them there."""
        x = as_input(to_device(x, self.device))
        return x.float() if self.single_precision else x

    def targets(self, x, y):
        """Move targets to the device; examples without any are their own."""
        if y is None:
            return as_input(to_device(x, self.device))
        return to_tensor(y, device=self.device)

    def _set_training(self, training=True):
        """Change between training and evaluation, if there is a change."""
        if self.module_.training != training:
            super()._set_training(training)

    def train_step_single(self, batch, **fit_params):
        """Compute the terms of the loss and the gradients."""
        self._set_training(True)
        step = self._forward(batch, **fit_params)
        step["loss"].backward()
        self.criterion_.step += 1
        return step

    def validation_step(self, batch, **fit_params):
        """Compute the terms of the loss."""
        self._set_training(False)
        with torch.no_grad():
            return self._forward(batch, **fit_params)

    def _forward(self, batch, **fit_params):
        x, y = unpack_data(batch)
        outputs = self.infer(x, **fit_params)
        pairs = self.criterion_.pairs(self.targets(x, y))
        return self._step(outputs, pairs, self.criterion_.terms(outputs, pairs))

    def _step(self, outputs, pairs, terms):
        shares = self.criterion_.shares(pairs)
        loss = torch.stack(list(terms.values())).sum()
        return {"loss": loss, "y_pred": outputs, "watched": terms | shares}


class AttendedHashNet(HashNet):
    """A hash net whose gradients go through gradient attention.

    Parameters
    ----------
    attention_weight : float
        Omega, in (0, 1].
    attention_units : int
        Width of the attention network.
    attention_lr : float
        Its learning rate, of Adam.
    **kwargs : dict
        As in :class:`HashNet`.
    """

    def __init__(
        self, *args, attention_weight, attention_units, attention_lr, **kwargs
    ):
        super().__init__(*args, **kwargs)
        self.attention_weight = attention_weight
        self.attention_units = attention_units
        self.attention_lr = attention_lr

    def initialize_module(self):
        """Add the attention network."""
        super().initialize_module()
        self.attention_ = GradientAttention(self.attention_units)
        return self

    def initialize_optimizer(self):
        """Give the attention network its own optimiser."""
        super().initialize_optimizer()
        self.attention_optimizer_ = torch.optim.Adam(
            self.attention_.parameters(), lr=self.attention_lr
        )
        return self

    def train_step(self, batch, **fit_params):
        """Update the network with attended gradients, then the attention network.

        The steps are those of UHGA's algorithm, numbered (16) to (18), as read through
        GAH's code.
        """
        self._set_training(True)
        x, y = unpack_data(batch)
        pairs = self.criterion_.pairs(self.targets(x, y))
        x, state = self.inputs(x), self._random_state()
        outputs = self.module_(x, **fit_params)
        terms, G = self._attended(outputs, pairs)  # (16), (17)
        trained = self._trained()
        gradients = torch.autograd.grad(
            outputs, trained.values(), G, create_graph=True, allow_unused=True
        )
        gradients = self._after_callbacks(trained, gradients, batch)
        updated = virtual_step(self.optimizer_, trained.values(), gradients)  # (18)
        updated = dict(zip(trained, updated, strict=True))
        loss_after = self._loss_after(x, pairs, updated, state)
        self._differentiate_attention(loss_after)
        self.optimizer_.step()  # the same step, for real
        self.attention_optimizer_.step()  # used from the next batch on
        self.criterion_.step += 1
        step = self._step(outputs.detach(), pairs, terms)
        step["watched"]["loss_after"] = loss_after.detach()
        return step

    def _after_callbacks(self, trained, gradients, batch):
        """Let callbacks change the gradients, for both the virtual and the real step.

        What they do is taken for a constant when the step is differentiated.
        """
        for parameter, gradient in zip(trained.values(), gradients, strict=True):
            parameter.grad = None if gradient is None else gradient.detach().clone()
        self.notify(
            "on_grad_computed",
            named_parameters=TeeGenerator(iter(trained.items())),
            batch=batch,
            training=True,
        )
        return [
            gradient
            if gradient is None
            else gradient + (parameter.grad - gradient).detach()
            for parameter, gradient in zip(trained.values(), gradients, strict=True)
        ]

    def _attended(self, outputs, pairs):
        """Terms of the loss, and its attended derivative by the outputs."""
        criterion = self.criterion_
        outputs = outputs.detach().requires_grad_()
        codes = criterion.relax(outputs)
        H = codes.detach().requires_grad_()
        M = (H @ H.T).detach().requires_grad_()
        of_pairs = criterion.of_pairs(M, pairs, H.shape[1])
        (g,) = torch.autograd.grad(sum(of_pairs.values()), M)
        G = attended_gradient(self.attention_, H.detach(), g, self.attention_weight)
        of_codes = criterion.of_codes(H)  # not of pairs, so not attended
        if of_codes:
            G = G + torch.autograd.grad(sum(of_codes.values()), H)[0]
        slope = torch.autograd.grad(codes.sum(), outputs)[0]  # relaxed bit by bit
        terms = {name: term.detach() for name, term in (of_pairs | of_codes).items()}
        return terms, G * slope

    def _loss_after(self, x, pairs, new, state):
        """Loss of the same batch, with the same dropout, after the update."""
        buffers = {name: b.clone() for name, b in self.module_.named_buffers()}
        with torch.random.fork_rng(self._cuda_devices()):
            self._set_random_state(state)
            outputs = functional_call(self.module_, {**buffers, **new}, (x,))
        return sum(self.criterion_.terms(outputs, pairs).values())

    def _differentiate_attention(self, loss_after):
        parameters = list(self.attention_.parameters())
        gradients = torch.autograd.grad(loss_after, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient

    def _trained(self):
        """Parameters that the optimiser changes, by name."""
        return {n: p for n, p in self.module_.named_parameters() if p.requires_grad}

    def _cuda_devices(self):
        device = torch.device(self.device)
        return [device] if device.type == "cuda" else []

    def _random_state(self):
        cuda = [torch.cuda.get_rng_state(d) for d in self._cuda_devices()]
        return torch.get_rng_state(), cuda

    def _set_random_state(self, state):
        torch.set_rng_state(state[0])
        for device, cuda_state in zip(self._cuda_devices(), state[1], strict=True):
            torch.cuda.set_rng_state(cuda_state, device)
