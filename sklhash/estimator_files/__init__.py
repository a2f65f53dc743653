"""Fitted estimators in files that run no code when they are loaded."""

from ._files import load_estimator, save_estimator

__all__ = ["load_estimator", "save_estimator"]
