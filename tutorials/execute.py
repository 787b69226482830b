"""Run the notebooks of this folder top to bottom and write their outputs into them: python tutorials/execute.py."""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode


def execute(path: Path) -> NotebookNode:
    """Run a notebook in a fresh kernel, in its own folder; raises CellExecutionError where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        coalesce_streams=True,  # of a progress bar the last line is kept
        record_timing=False,  # running it again changes no line that needs no change
        resources={"metadata": {"path": str(path.parent)}},
    )
    environment = {
        **os.environ,
        # a progress bar in text, which can be read without running anything, is meant
        "PYTHONWARNINGS": "ignore:IProgress not found",
        # one core, as the notebooks say: threads slow small models where cores are busy, and numba's set torch's to as many
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        # the commands of this Python's environment, whether that is activated or not
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    client.execute(env=environment)
    notebook.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
    return notebook


if __name__ == "__main__":
    for path in sorted(Path(__file__).parent.glob("*.ipynb")):
        print(path)
        nbformat.write(execute(path), path)
