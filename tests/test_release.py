"""What is shipped: wheel and sdist, in a fresh environment and an empty folder, used as README and docs say."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import sccl

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")


def run(*command, cwd, check=True, **environment):
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An sdist, and a wheel that was built from it."""
    if not UV.exists():
        pytest.skip(f"{UV} does not exist; make builds an environment with it")
    folder = tmp_path_factory.mktemp("dist")
    done = run(UV, "build", "--quiet", "--python", sys.executable, "--out-dir", folder, ROOT, cwd=folder, check=False)
    if re.search("error sending request|dns error|Network", done.stderr):
        pytest.skip("no network, from which a build takes hatchling")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def fresh(built, tmp_path_factory):
    """The commands of an environment in which the wheel was installed; what it needs is lent by this one."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "lent.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    run(UV, "pip", "install", "--quiet", "--no-deps", "--python", folder / "bin" / "python", built[0], cwd=folder)
    return folder / "bin"


@pytest.fixture
def empty(tmp_path):
    """A folder with nothing but somebody's cells."""
    sccl.datasets.simulate(n_cells=240, n_genes=150, mean_count=1.0, seed=0).write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path


@pytest.mark.slow
def test_wheel_and_sdist_hold_what_the_repository_holds(built):
    wheel, sdist = built
    inside = set(zipfile.ZipFile(wheel).namelist())
    source = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src/sccl").rglob("*") if path.is_file()}
    assert {name for name in source if "__pycache__" not in name} <= inside
    assert {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"} <= {
        name.partition("/")[2] for name in tarfile.open(sdist).getnames()
    }
    assert re.match(r"sccl-\d+\.\d+", wheel.name)


@pytest.mark.slow
def test_the_first_steps_work_in_an_empty_folder_with_the_wheel(fresh, empty):
    lines = re.search(r"```python\n(import sccl\n.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL).group(1)
    script = "import anndata\nadata = anndata.read_h5ad('cells.h5ad')\n" + lines
    script += "print(sccl.__file__, sccl.__version__, adata.obsm['X_cl'].shape)"
    where, version, shape = run(fresh / "python", "-c", script, cwd=empty).stdout.strip().splitlines()[-1].split(" ", 2)
    assert Path(where).is_relative_to(fresh.parent)
    assert shape == "(240, 64)"
    assert f"sccl           {version}" in run(fresh / "python", "-m", "sccl", cwd=empty).stdout


@pytest.mark.slow
def test_the_commands_work_in_an_empty_folder_with_the_wheel(fresh, empty):
    page = (ROOT / "docs/install.md").read_text()
    embed = re.search(r"^sccl-embed (.*)$", page, flags=re.MULTILINE).group(1).split()
    run(fresh / "sccl-embed", *embed, cwd=empty)
    assert (empty / "embedded.h5ad").is_file()
    assert "Total" in (empty / "embedded" / "summary.txt").read_text()
    bench = re.search(r"^sccl-bench (--multirun method=pca.*)$", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    out = run(fresh / "sccl-bench", *bench.group(1).split(), cwd=empty).stdout
    assert "2 of 2 runs complete" in out
    assert "report.html" in run(fresh / "sccl-report", "results/benchmark", cwd=empty).stdout
    assert not shutil.which("sccl-bench", path=str(empty))


@pytest.mark.slow
def test_what_takes_long_is_said_once_where_somebody_waits():
    code = "import sys, sccl\nsccl.pp\nsys.ps1 = '>>> '\nprint('before')\nsccl.CLModel\nsccl.SimCLR\nsccl.model"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["before", "Loading scvi-tools and torch, once ..."]
    assert done.stderr == ""
