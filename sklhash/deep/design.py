"""What a network looks like: learned from the examples, and built from that again."""

import copy

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

from .examples import as_input
from .modules import MLP, ConvNet


def learn_statistics(examples, scale_columns):
    """Look at all examples once; find the means and scales of their columns.

    Parameters
    ----------
    examples : Examples
        Features, or images, whose columns are their channels.
    scale_columns : bool
        Give each column a scale of its own, or all of them one.

    Returns
    -------
    statistics : dict
        'mean' and 'scale', ndarrays of shape (n_columns,), dtype float64.

    Raises
    ------
    ValueError
        If all examples are equal, or a number is not finite or too large.
    """
    scaler, first, all_equal = StandardScaler(), None, True
    for _, batch in examples.checked():
        first = batch[:1] if first is None else first
        all_equal = all_equal and bool((batch == first).all())
        values = as_input(batch).double().cpu().movedim(1, -1)
        with np.errstate(over="ignore", invalid="ignore"):  # the check below tells
            scaler.partial_fit(values.reshape(-1, values.shape[-1]).numpy())
    if all_equal:
        raise ValueError("all rows of X are equal: there is nothing to learn")
    if not np.isfinite(scaler.scale_).all():
        raise ValueError("X is so large that its squares overflow: scale it down")
    scale = scaler.scale_
    if not scale_columns:
        scale = np.full_like(scale, np.sqrt(scaler.var_.mean()))
    return {"mean": scaler.mean_, "scale": scale}


def build_module(design):
    """Build an untrained network.

    Parameters
    ----------
    design : dict
        'shape' of an example, 'n_bits', 'module', 'hidden_units', 'mean' and 'scale'.

    Returns
    -------
    module : nn.Module

    Raises
    ------
    ValueError
        If it does not give one number a bit.
    """
    shape, n_bits, module = design["shape"], design["n_bits"], design["module"]
    if module is None:
        statistics = {"mean": design["mean"], "scale": design["scale"]}
        if len(shape) == 1:
            return MLP(shape[0], n_bits, design["hidden_units"], **statistics)
        return ConvNet(shape[0], n_bits, **statistics)
    is_built = isinstance(module, nn.Module)
    network = copy.deepcopy(module) if is_built else module(shape[0], n_bits)
    if not isinstance(network, nn.Module):
        raise TypeError(f"module must give a torch.nn.Module; got {type(network)}")
    network.eval()
    try:
        with torch.no_grad():
            outputs = network(torch.zeros(2, *shape))
    except RuntimeError as error:
        raise ValueError(
            f"module does not take examples of shape {shape}: {error}"
        ) from error
    if outputs.shape != (2, n_bits):
        raise ValueError(
            f"module must give outputs of shape (n_samples, n_bits={n_bits}); for 2 "
            f"examples it gave shape {tuple(outputs.shape)}. Pass a class or a "
            "function of (n_features or n_channels, n_bits), so that it can follow "
            "n_bits."
        )
    return network
