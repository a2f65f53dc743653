"""Plots of codes, rankings and training, in scikit-learn's manner.

A display keeps what it draws. The class methods ``from_estimator`` and
``from_predictions`` compute it and draw at once; ``plot`` draws it again. matplotlib is
loaded by the first of these calls: ``pip install "sklhash[plot]"``.
"""

from ._bit_statistics import BitStatisticsDisplay
from ._code_length import CodeLengthDisplay
from ._distance_histogram import DistanceHistogramDisplay
from ._precision_at_k import PrecisionAtKDisplay
from ._precision_recall import PrecisionRecallByRadiusDisplay
from ._retrieved_images import RetrievedImagesDisplay
from ._training_curves import TrainingCurvesDisplay

__all__ = [
    "BitStatisticsDisplay",
    "CodeLengthDisplay",
    "DistanceHistogramDisplay",
    "PrecisionAtKDisplay",
    "PrecisionRecallByRadiusDisplay",
    "RetrievedImagesDisplay",
    "TrainingCurvesDisplay",
]
