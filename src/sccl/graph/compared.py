"""Which batches are compared with which: all of them with each other if they are few, each with a few if they are many."""

from collections.abc import Iterator

import numpy as np

from sccl.inputs import as_count

# More others say little more about a batch, and comparing all with all takes the square of their number.
MOST_OTHERS = 8


def compared_batches(n_batches: int, *, n_others: int = MOST_OTHERS, seed: int = 0) -> np.ndarray:
    """Choose the batches that each batch is compared with, so that the cost grows with their number and not its square.

    Up to ``n_others + 1`` batches are all compared with each other. More are put on a ring at random, and each is compared
    with those at a few distances on both sides, its neighbours among them, so that all are connected.

    Parameters
    ----------
    n_batches
        Number of batches, at least 1.
    n_others
        Others that each is compared with at most, at least 2; an odd number counts as the even one below.
    seed
        Of the ring.

    Returns
    -------
    int64, shape (n_batches, n_compared): numbers of batches, ascending. Who is compared with b, b is compared with.

    References
    ----------
    Bollobás & Chung (1988), The diameter of a cycle plus a random matching, SIAM Journal on Discrete Mathematics.
    """
    n_batches, n_others = as_count(n_batches, "n_batches"), as_count(n_others, "n_others", least=2)
    if n_batches <= n_others + 1:
        everyone = np.tile(np.arange(n_batches), (n_batches, 1))
        return everyone[~np.eye(n_batches, dtype=bool)].reshape(n_batches, n_batches - 1)
    rng = np.random.default_rng(seed)
    ring = rng.permutation(n_batches)
    farther = rng.choice(np.arange(2, (n_batches + 1) // 2), n_others // 2 - 1, replace=False)
    steps = np.append(farther, 1)
    others = np.empty((n_batches, 2 * len(steps)), dtype=np.int64)
    others[ring] = np.column_stack(
        [ring[(np.arange(n_batches) + sign * step) % n_batches] for step in steps for sign in (1, -1)]
    )
    return np.sort(others, axis=1)


def each_two(others_bo: np.ndarray) -> Iterator[tuple[int, int]]:
    """Go through what `compared_batches` returns: each two batches once, the smaller number first."""
    return ((a, int(b)) for a, others in enumerate(others_bo) for b in others if a < b)
