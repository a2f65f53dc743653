"""A trained net as plain arrays, and back."""

import numpy as np
import torch
from skorch.history import History


def freeze(net):
    """Give all that training has changed, without a torch object.

    Parameters
    ----------
    net : HashNet
        Initialised.

    Returns
    -------
    state : dict
        Of strings, numbers, lists and arrays.
    """
    frozen = {
        "step": net.criterion_.step,
        "history": [_plain_epoch(epoch) for epoch in net.history],
    }
    for name in net._modules:
        weights = getattr(net, name + "_").state_dict()
        frozen[name] = {key: _to_array(value) for key, value in weights.items()}
    for name in net._optimizers:
        optimizer = getattr(net, name + "_")
        states = optimizer.state_dict()["state"]
        frozen[name] = {
            "class": type(optimizer).__name__,
            "states": {
                str(i): {key: _to_array(value) for key, value in states[i].items()}
                for i in states
            },
        }
    return frozen


def thaw(state, net):
    """Give a net what :func:`freeze` took from another.

    An optimiser of another class, or an attention network that was not there before,
    starts anew.

    Parameters
    ----------
    state : dict
    net : HashNet
        Initialised, with a module of the same shape.

    Raises
    ------
    RuntimeError
        If the module has other weights, because its class has changed since.
    """
    net.criterion_.step = state["step"]
    net.history_ = History([dict(epoch, batches=[]) for epoch in state["history"]])
    for name in net._modules:
        module, weights = getattr(net, name + "_"), state.get(name)
        # Only attention may start anew: codes of random weights would be garbage.
        if weights is not None and (name == "module" or _fits(weights, module)):
            tensors = {key: torch.as_tensor(value) for key, value in weights.items()}
            module.load_state_dict(tensors)
    for name in net._optimizers:
        optimizer, frozen = getattr(net, name + "_"), state.get(name)
        if frozen is not None and frozen["class"] == type(optimizer).__name__:
            _thaw_optimizer(frozen["states"], optimizer)


def _fits(weights, module):
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    return shapes == {key: np.shape(value) for key, value in weights.items()}


def _thaw_optimizer(states, optimizer):
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for i, state in states.items():
        parameter = parameters[int(i)]
        shapes = {np.shape(value) for value in state.values()} - {()}
        if shapes <= {tuple(parameter.shape)}:
            optimizer.state[parameter] = {
                key: _to_tensor(key, value, parameter) for key, value in state.items()
            }


def _to_tensor(key, value, parameter):
    if not isinstance(value, np.ndarray):
        return value
    tensor = torch.as_tensor(value)
    return tensor if key == "step" else tensor.to(parameter)


def _to_array(value):
    """A copy in main memory; numbers stay what they are."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy().copy()
    return value


def _plain_epoch(epoch):
    plain = {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in epoch.items()
    }
    return {k: v for k, v in plain.items() if isinstance(v, (bool, int, float))}
