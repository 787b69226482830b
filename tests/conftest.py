import os
from pathlib import Path

# One thread per process, set before numpy and torch start theirs: the tests' arrays are small, sums come out the same
# on every machine, and tests in parallel do not fight for cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# numba's threads, which UMAP starts, set torch's to as many: training after it would have one per core again.
os.environ.setdefault("NUMBA_NUM_THREADS", "1")
# And on the CPU, also where "auto" would find something else: results are compared bit for bit. To test on a GPU instead:
# SCCL_TEST_GPU=1 pytest tests/test_gpu.py
if "SCCL_TEST_GPU" not in os.environ:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numba
import pytest

# A plugin of pytest imports numba before this file is read.
numba.config.reload_config()

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with real data sets, which are not part of the project; SCCL_TEST_DATA names another one."""
    folder = Path(os.environ.get("SCCL_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist, and SCCL_TEST_DATA names no other folder")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that score last: scores start JAX's threads, and other tests fork worker processes."""
    items.sort(key=lambda item: item.path.name.startswith(("test_benchmark", "test_blocks", "test_recommended")))
