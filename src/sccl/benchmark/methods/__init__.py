"""The methods that are compared.

A method is a function ``embed(data, *, seed, **parameters)`` that takes :class:`sccl.benchmark.data.Data` and returns an
:class:`Embedding`. Its file in ``conf/method`` names it as ``_target_`` and lists its parameters; one of your own needs
no more than such a file and function.
"""

from sccl.benchmark.methods.embedding import Embedding, Method

__all__ = ["Embedding", "Method"]
