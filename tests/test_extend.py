"""The package that docs/extend.md writes, part by part, works: by object, by name, in the benchmark and in the contract's tests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "extend.md").read_text()
FILES = dict(re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", PAGE, flags=re.DOTALL))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "mylab" / "__init__.py").touch()
    info = folder / "mylab-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mylab\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[sccl.augmentation]\nthinning = mylab.thinning:Thinning\n[sccl.sampling]\nhalves = mylab.halves:Halves\n"
        "[sccl.model]\ncosine = mylab.cosine:CosineModel\n"
    )
    return folder


def run(folder, *command):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_each_part_is_one_short_file():
    parts = [name for name in FILES if name.startswith("mylab/") and not name.startswith("mylab/test")]
    assert len(parts) == 4
    assert all(len(FILES[name].strip().splitlines()) < 40 for name in parts)


@pytest.mark.slow
def test_the_parts_keep_the_contract(folder):
    out = run(folder, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "mylab/test_parts.py")
    assert "22 passed" in out


@pytest.mark.slow
def test_the_parts_are_options_of_the_benchmark(folder):
    bench, smaller = (
        Path(sys.executable).with_name("sccl-bench"),
        ["data.n_cells=200", "data.n_genes=100", "results=results"],
    )
    options = [bench, "--config-dir", "options", "trust=mylab", *smaller, "training.max_epochs=2"]
    run(folder, *options, "model=cosine", "augmentation=thinning", "sampling=halves")
    out = run(folder, bench, "--config-dir", "options", "trust=mylab", *smaller, "method=sums")
    assert "1 of 1 runs complete" in out
    assert {"cosine.yaml", "thinning.yaml"} <= {path.name for path in (folder / "options").rglob("*.yaml")}


@pytest.mark.slow
def test_the_parts_have_short_names_where_their_package_declares_them(folder):
    code = """
import warnings; warnings.simplefilter("ignore")
import numpy as np, sccl
from mylab.cosine import CosineModel
adata = sccl.datasets.simulate(n_cells=120, n_genes=60, mean_count=2.0, seed=0)
sccl.pp.preprocess(adata, batch_key="batch")
CosineModel.setup_anndata(adata, batch_key="batch")
model = CosineModel(adata, weight=0.2)
assert sccl.augment.as_compose({"thinning": {"least": 0.3}}).is_fused
model.train(1, augmentation={"thinning": {"least": 0.3}}, sampling="halves", enable_progress_bar=False)
model.save("model")
loaded = CosineModel.load("model", adata)
assert np.array_equal(loaded.get_latent_representation(), model.get_latent_representation())
for wrong in ("mylab.thinning:Absent", "mylab.halves:Halves"):
    try:
        sccl.augment.from_config({wrong: {}})
    except (KeyError, TypeError) as error:
        print(type(error).__name__)
"""
    assert run(folder, sys.executable, "-c", code).split() == ["KeyError", "TypeError"]
