"""What can a trained reference tell about new cells?"""

from sccl.mapping.transfer import transfer_labels

__all__ = ["transfer_labels"]
