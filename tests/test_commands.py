import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import sccl
from sccl.commands import embed, summary


def scores(bio, correction, **more):
    columns = {"Bio conservation": bio, "Batch correction": correction, **more}
    return pd.DataFrame(columns, index=["PCA", "sccl"])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (scores([0.7, 0.8], [0.4, 0.7]), "0.40 (PCA) -> 0.70 (sccl), better mixed."),
        (scores([0.7, 0.8], [0.4, 0.7]), "0.70 (PCA) -> 0.80 (sccl), kept apart."),
        (scores([0.7, 0.5], [0.4, 0.7]), "less far apart than on PCA"),
        (scores([0.7, 0.5], [0.4, 0.7]), "My batches mix too much"),
        (scores([0.7, 0.8], [0.4, 0.42]), "hardly better mixed than on PCA"),
        (scores([0.7, 0.8], [0.4, 0.2]), "worse mixed than on PCA"),
        (scores([0.7, 0.8], [0.4, 0.2]), "another --batch-key"),
        (scores([0.7, 0.8], [0.9, 0.92]), "batches were mixed before"),
        (scores([0.7, 0.8], [np.nan, np.nan]), "only one"),
        (scores([0.7, 0.8], [0.4, 0.7], **{"One-batch purity": [1.0, 0.3]}), "most of their neighbours are others now"),
    ],
)
def test_the_verdict_says_what_happened_the_scale_and_what_to_try(table, words):
    said = summary.verdict(table)
    assert words in said
    assert "Scale: 0 to 1, higher is better" in said


def test_where_all_went_well_there_is_nothing_to_try():
    assert "Try:" not in summary.verdict(scores([0.7, 0.8], [0.4, 0.7], **{"One-batch purity": [1.0, 0.9]}))


def test_help_does_not_import_the_stack():
    code = (
        "import sys\nfrom sccl.commands import embed, summary\n"
        "try: embed.main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'scvi', 'scanpy', 'scib_metrics'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["absent.h5ad"], "There is no file absent.h5ad"),
        (["text.h5ad", "--batch-key", "batch"], "text.h5ad is nothing that can be read"),
        (["cells.h5ad"], "--batch-key COLUMN.*batch, cell_type"),
        (["cells.h5ad", "--batch-key", "no"], "'no' does not exist.*batch, cell_type"),
        (["cells.h5ad", "--batch-key", "batch", "--labels-key", "no"], "'no' does not exist.*batch"),
        (["cells.h5ad", "--batch-key", "batch", "--layer", "no"], "`layer`: 'no'"),
        (["--batch-key", "batch"], "belong to FILE"),
    ],
)
def test_unusable_input_ends_in_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    sccl.datasets.simulate(n_cells=30, n_genes=20).write_h5ad("cells.h5ad")
    (tmp_path / "text.h5ad").write_text("no HDF5")
    assert embed.main(options) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert re.search(message, error)


@pytest.mark.slow
def test_the_demo_runs_from_the_command_line(tmp_path):
    adata = sccl.datasets.simulate(n_cells=300, n_genes=200, seed=1)
    adata.layers["raw"] = adata.X.copy()
    adata.obs.loc[adata.obs_names[:3], "cell_type"] = np.nan
    adata.write_h5ad(tmp_path / "cells.h5ad")
    out = tmp_path / "out"
    command = [Path(sys.executable).with_name("sccl-embed"), tmp_path / "cells.h5ad", "--batch-key", "batch"]
    command += ["--labels-key", "cell_type", "--layer", "raw", "--output", out]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    table = pd.read_csv(out / "table.csv", index_col="embedding")
    assert list(table.index) == ["PCA", "sccl"]
    assert np.isfinite(table["Total"]).all()
    assert "Total" in (out / "table.md").read_text()
    assert (out / "umap.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert anndata.read_h5ad(out / "embeddings.h5ad").obsm["X_sccl"].shape == (300, 64)
    assert (out / "summary.txt").read_text() in done.stdout
    assert (out / "model").is_dir()


@pytest.mark.slow
def test_without_labels_the_demo_trains_and_draws_and_says_that_scores_need_them(tmp_path, capsys):
    sccl.datasets.simulate(n_cells=300, n_genes=200, seed=1).write_h5ad(tmp_path / "cells.h5ad")
    out = tmp_path / "out"
    assert embed.main([str(tmp_path / "cells.h5ad"), "--batch-key", "batch", "--output", f"{out}.h5ad"]) == 0
    assert "No scores: they need the cell types" in capsys.readouterr().out
    assert (out / "umap.png").exists()
    assert not (out / "table.csv").exists()
    assert not (out / "embeddings.h5ad").exists()
    adata = anndata.read_h5ad(f"{out}.h5ad")
    assert {"X_pca", "X_cl", "X_umap"} <= set(adata.obsm)
    assert adata.shape == (300, 200)


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize(
    "name",
    ["Simon's.h5ad", "x'; touch PWNED; echo '.h5ad", '"$(touch PWNED)".h5ad', "$(shell touch PWNED).h5ad", "-x.h5ad"],
)
def test_make_demo_takes_names_as_they_are(tmp_path, name):
    (tmp_path / "bin").mkdir()
    shown = tmp_path / "bin" / "sccl-embed"
    shown.write_text('#!/bin/sh\nfor one in "$@"; do echo "<$one>"; done\n')
    shown.chmod(0o755)
    makefile = Path(__file__).parents[1] / "Makefile"
    done = subprocess.run(
        [
            "make",
            "--no-print-directory",  # which it prints where make runs these tests
            "-f",
            makefile,
            "-o",
            ".venv/.installed",
            "demo",
            f"BIN={tmp_path / 'bin'}",
            f"DATA={name}",
            "BATCH_KEY=a b",
        ],
        cwd=tmp_path,
        env={**os.environ, "LAYER": "of another program"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["<--output>", "<results/demo>", "<--batch-key>", "<a b>", "<-->", f"<{name}>"]
    assert not list(tmp_path.rglob("PWNED"))
