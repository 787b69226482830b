"""How good is an embedding? One measure a file, arrays in and one number out; and the table of all."""

from sccl.benchmark.scores.table import (
    AGGREGATES,
    BATCH_CORRECTION,
    BIO_CONSERVATION,
    MEASURES,
    SILHOUETTES,
    score,
    with_aggregates,
)

__all__ = [
    "AGGREGATES",
    "BATCH_CORRECTION",
    "BIO_CONSERVATION",
    "MEASURES",
    "SILHOUETTES",
    "score",
    "with_aggregates",
]
