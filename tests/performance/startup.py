"""How long a start takes, beside Python's own and that of the libraries below; prints JSON.

python tests/performance/startup.py
"""

import json
import subprocess
import sys
import time

import numpy as np

COMMANDS = {
    "python": "pass",
    "import hydra": "import hydra",
    "sccl-bench --help": "from sccl.benchmark.app import main; main(['--help'])",
    "import sccl": "import sccl",
    "import scvi": "import scvi",
}
REPEATS = 5


def main() -> None:
    """Print the median seconds of each, and how many times as long as Python alone it takes."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):
        for name, code in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(each)) for name, each in seconds.items()}
    table = {
        name: {"seconds": round(each, 2), "times python": round(each / medians["python"], 1)}
        for name, each in medians.items()
    }
    print(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
