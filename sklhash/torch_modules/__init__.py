"""Fitted hashers as PyTorch modules and ONNX files."""

from ._conversion import to_torch as to_torch
from ._hash_module import HashModule as HashModule
from ._onnx import to_onnx as to_onnx
