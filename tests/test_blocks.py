"""Every block of code in README, docs and docstrings is executed, or says why not; the counts are printed."""

import ast
import contextlib
import doctest
import io
import re
import shlex
import warnings
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import sccl

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = sorted((ROOT / "src/sccl").rglob("*.py"))
#: What precedes a block that is not run, and why it is not.
MARK = r"(?:<!-- not run: ([^>]+) -->\n)?"


class Block(NamedTuple):
    where: str
    language: str
    text: str
    reason: str | None


def blocks_of(path: Path) -> list[Block]:
    found = re.findall(rf"{MARK}```(\w+)\n(.*?)```", path.read_text(), flags=re.DOTALL)
    return [Block(path.name, language, text, reason or None) for reason, language, text in found]


BLOCKS = [block for path in PAGES for block in blocks_of(path)]
#: Those that show something else than code to be run: pictures of text, settings, what Sphinx reads.
NO_CODE = {"text", "toml", "yaml", "bibtex"}


def examples() -> dict[str, list[str]]:
    """Docstrings with examples, by module."""
    found: dict[str, list[str]] = {}
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
        texts = [text for node in nodes if (text := ast.get_docstring(node)) and ">>> " in text]
        if texts:
            found[".".join(path.relative_to(ROOT / "src").with_suffix("").parts)] = texts
    return found


EXAMPLES = examples()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What the blocks take for granted: cells, a trained model, and files in the working folder."""
    import anndata

    folder = tmp_path_factory.mktemp("reader")
    raw = sccl.datasets.simulate(n_cells=180, n_genes=80, n_batches=3, n_types=3, mean_count=2.0, n_proteins=9, seed=0)
    raw.obs["type"] = raw.obs["cell_type"]
    raw.obsm["X_scGPT"] = np.random.default_rng(0).normal(size=(raw.n_obs, 4))
    for name in ("cells", "pbmc"):
        raw.write_h5ad(folder / f"{name}.h5ad")
    is_query = (raw.obs["batch"] == "batch_3").to_numpy()
    parts = {"adata": raw, "reference": raw[~is_query].copy(), "query": raw[is_query].copy()}
    ready = {name: cells.copy() for name, cells in parts.items()}
    for cells in ready.values():
        sccl.pp.preprocess(cells, batch_key="batch", n_top_genes=None)
        sccl.pp.normalize_protein(cells)
        cells.obsm["X_pca"] = sccl.graph.representation(cells, n_comps=5)
        cells.obsm["X_cl"] = cells.obsm["X_pca"][:, :2]
        cells.obs[["cell_type_predicted", "cell_type_confidence"]] = [["type_1", 1.0]] * cells.n_obs
    sccl.CLModel.setup_anndata(ready["reference"], batch_key="batch")
    model = sccl.CLModel(ready["reference"])
    with warnings.catch_warnings(action="ignore"):
        model.train(max_steps=5, enable_progress_bar=False)
    model.save(str(folder / "reference"))
    return folder, parts, ready, model, anndata


def run(texts: list[str], world, monkeypatch, **more) -> int:
    """Run pieces of code after each other, as a reader would who has the cells; return how many outputs were compared."""
    import scanpy as sc
    import torch
    from lightly.loss import NTXentLoss
    from matplotlib import pyplot
    from torch.utils.data import DataLoader

    folder, parts, ready, model, anndata = world
    monkeypatch.chdir(folder)
    joined = "\n".join(texts)
    names = {
        name: (parts if f"preprocess({name}" in joined else ready)[name].copy()
        for name in ("adata", "reference", "query")
    }
    if "mdata" in joined:
        import mudata

        proteins = parts["adata"].obsm["protein"]
        with warnings.catch_warnings(action="ignore"):  # pandas 3 has some for mudata
            names["mdata"] = mudata.MuData({"rna": parts["adata"].copy(), "protein": anndata.AnnData(proteins)})
    names |= {"sccl": sccl, "sc": sc, "np": np, "torch": torch, "DataLoader": DataLoader, "model": model}
    names |= {"network": torch.nn.Linear(80, 4), "ntxent": NTXentLoss()}
    names |= {"pca": ready["adata"].obsm["X_pca"], "z": ready["adata"].obsm["X_cl"]}
    names |= {"batch": ready["adata"].obs["batch"], "labels": ready["adata"].obs["cell_type"]}
    names = {**more, **names}
    compared = 0
    # nothing of these cells can be learned, of which the models warn
    with warnings.catch_warnings(action="ignore"):
        for text in texts:
            # what is shown is not how long it takes
            short = text.replace(".train()", ".train(max_steps=5, enable_progress_bar=False)")
            if ">>> " not in text:
                exec(compile(short, "<block>", "exec"), names)
                continue
            for example in doctest.DocTestParser().get_examples(short):
                with contextlib.redirect_stdout(io.StringIO()) as said:
                    exec(compile(example.source, "<example>", "single"), names)
                if example.want:
                    assert said.getvalue().split() == example.want.split()
                    compared += 1
    pyplot.close("all")
    return compared


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_python_of_a_page_runs_from_top_to_bottom(path, world, monkeypatch):
    texts = [
        block.text
        for block in blocks_of(path)
        # a file of the page on extensions is run by tests/test_extend.py
        if block.language == "python" and not block.reason and not re.match(r"# \S+\.py\n", block.text)
    ]
    run(texts, world, monkeypatch)


@pytest.mark.slow
def test_examples_of_docstrings_run_and_print_what_they_say(world, monkeypatch):
    compared = 0
    for module, texts in EXAMPLES.items():
        for text in texts:
            try:
                compared += run([text], world, monkeypatch, **vars(import_module(module)))
            except Exception as error:
                error.add_note(f"in an example of {module}")
                raise
    assert compared >= 4


def commands(block: Block) -> list[list[str]]:
    lines = block.text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line.removeprefix("$ "), comments=True))]


SHELL = [block for block in BLOCKS if block.language in ("bash", "console")]


#: What a run of a page is made on here, and how long.
SMALL = "data=file data.path=cells.h5ad data.batch_key=batch data.labels_key=type data.n_top_genes=null data.subsample=null".split()


def one_run(words: list[str]) -> list[str]:
    """Return the options of the first of the runs that a command of `sccl-bench` makes, on few cells and for one epoch."""
    from sccl.benchmark.plan.study import plan

    # to hold out each batch in turn, the cells would have to be there
    held_out = ["holdout=batch_1"] if "+experiment=holdout" in words else []
    run = plan([*(word for word in words if not word.startswith("--")), *held_out]).runs[0]
    kept = [option for option in run.command if not option.startswith(("data", "training.max_epochs", "+cluster"))]
    proteins = ["+data.protein_obsm_key=protein"] if "protein_obsm_key" in run.config["data"] else []
    return [*kept, *SMALL, *proteins, "training.max_epochs=1", f"results={run.results}"]


@pytest.mark.slow
@pytest.mark.parametrize("block", SHELL, ids=lambda block: f"{block.where}: {commands(block)[0][0]}")
def test_the_commands_of_the_documentation_run(block, world, monkeypatch):
    """Of a sweep one run, on few cells. Targets are looked up; tests/test_release.py and test_extend.py run the first steps."""
    from sccl.benchmark.app import main as bench
    from sccl.benchmark.report import main as report
    from sccl.commands.embed import main as embed

    monkeypatch.chdir(world[0])
    for command, *words in [] if block.reason else commands(block):
        name = Path(command).name
        if name == "sccl-bench" and "--config-dir" not in words:  # those with it are run by tests/test_extend.py
            assert bench(one_run(words)) == 0, words
        elif name == "sccl-report":
            assert report(words) == 0
        elif name == "sccl-embed":
            embed([*(word.replace("file.h5ad", "cells.h5ad").replace("cell_type", "type") for word in words)])
            assert Path("embedded.h5ad").is_file()
        elif name == "make":
            targets = [word for word in words if "=" not in word]
            makefile = (ROOT / "Makefile").read_text()
            assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)
        elif name == "python" and words[0] != "-m":
            assert (ROOT / words[0]).is_file()
        elif name in ("torchrun", "sbatch"):  # tests/test_benchmark_slurm.py submits it
            assert any(word.startswith("docs/") and (ROOT / word).is_file() for word in words)
        else:
            assert (name, *words[:1]) in {
                ("sccl-bench", "--config-dir"),
                ("pre-commit", "install"),
                ("python", "-m"),
            }, f"{command}: nothing here runs or marks it"


def test_every_block_is_run_or_says_why_not(capsys):
    counts, reasons = Counter(), Counter()
    for block in BLOCKS:
        assert block.language in {"python", "bash", "console", *NO_CODE}, f"{block.where}: {block.language}"
        if block.language in NO_CODE:
            continue
        if block.reason:
            reasons[block.reason] += 1
        elif block.language != "python":
            counts["of commands, run"] += 1
        elif re.match(r"# \S+\.py\n", block.text):
            counts["files of an extension, run by its tests"] += 1
        else:
            counts["of Python, run"] += 1
    n_docstrings = sum(map(len, EXAMPLES.values()))
    with capsys.disabled():
        print(f"\nblocks: {dict(counts)}; not run: {dict(reasons)}; docstrings with examples, run: {n_docstrings}")
    assert counts["of Python, run"] >= 4
    assert n_docstrings >= 20
    assert set(reasons) <= {"it needs the network", "it needs a cluster"}
