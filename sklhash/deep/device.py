"""Where networks run, and the random numbers they draw there."""

import threading
from contextlib import contextmanager

import torch

#: Each device of PyTorch has one generator that weights and dropout draw from.
_GENERATOR_LOCK = threading.RLock()


def resolve_device(device):
    """Give the device meant.

    Parameters
    ----------
    device : str
        A device's name, or 'auto' for the GPU if there is one that CUDA knows.

    Returns
    -------
    device : str

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(
            f"device={device!r} cannot be used here: {reason}. Use device='auto' or "
            "device='cpu'."
        ) from error
    return device


@contextmanager
def seeded(seed, device):
    """Seed PyTorch's generators for a while; others' numbers stay what they were.

    Threads wait for each other, since they share the generators.

    Parameters
    ----------
    seed : int
    device : str
    """
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with _GENERATOR_LOCK, torch.random.fork_rng(cuda):
        seed_generators(seed, device)
        yield


def seed_generators(seed, device):
    """Seed the generators of the main memory and of a device, and no others.

    Parameters
    ----------
    seed : int
    device : str
    """
    torch.default_generator.manual_seed(seed)
    if torch.device(device).type == "cuda":
        with torch.cuda.device(torch.device(device)):
            torch.cuda.manual_seed(seed)
