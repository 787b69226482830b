"""What can a trained reference tell about new cells?"""

from sccl.mapping.agreement import Agreement, agreement
from sccl.mapping.modality import PredictedModality, predict_modality
from sccl.mapping.transfer import transfer_labels

__all__ = ["Agreement", "PredictedModality", "agreement", "predict_modality", "transfer_labels"]
