"""The figures of docs/multimodal.md: RNA and proteins of new cells, `SCCL_DATA=folder python docs/multimodal.py`.

Each donor of `cite_hao` in turn is the query of a model that was trained on the other, with three seeds. Labels of the query by
RNA and proteins, by one of them, and by RNA and proteins that were predicted from it; predicted proteins beside simple means; all
of it beside totalVI. Takes half an hour on a slow core, two minutes of which without `totalvi`: arguments name the parts.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd
from hydra.utils import get_method

from sccl import mapping
from sccl.benchmark.data import Data, prepare
from sccl.benchmark.methods import Embedding, contrastive, protein_baseline, totalvi
from sccl.benchmark.plan.study import plan
from sccl.benchmark.run.holdout import protein_scores, score

PARTS = ("add", "concat", "clip", "none", "baselines", "totalvi")
RECIPE = {"model": {"name": "CLModel"}, "sampling": {"uniform": {}}, "network": {}, "training": {}}
VIEWS = {"mask": {"fraction": 0.4}}


def model_rows(data: Data, integrate: str, seed: int) -> list[dict[str, float | str]]:
    """Return the scores of one model, by what is read of the query."""
    assert data.query is not None
    recipe = {**RECIPE, "augmentation": VIEWS}
    if integrate == "none":
        return [{"query": "rna", **score(data, contrastive.embed(data, seed=seed, **recipe))}]
    recipe["model"] = {**RECIPE["model"], "integrate": integrate}
    model = contrastive.train(data, seed=seed, protein_obsm_key=data.proteins, **recipe)
    predicted = mapping.predict_modality(model, data.adata, data.query.copy()).mean
    rows = []
    for query in ("both", "rna", "protein", "predicted"):
        new = data.query.copy()
        if query == "predicted":
            new.obsm[data.proteins] = predicted
        modality = query if query in ("rna", "protein") else None
        shares = mapping.transfer_labels(model, data.adata, new, data.labels_key, modality=modality)
        labels = shares.columns.to_numpy()[shares.to_numpy().argmax(axis=1)]
        where = model.map_query(new, modality=modality)
        found = score(data, Embedding(where, query_nd=where, query_labels=labels))
        rows.append({"query": query, **found, **(protein_scores(data, predicted.to_numpy()) if query == "rna" else {})})
    return rows


def rows_of(data: Data, part: str, seed: int) -> list[dict[str, float | str]]:
    """Return the scores of one part with one seed."""
    if part == "totalvi":
        return [
            {"query": query, **score(data, totalvi.embed(data, seed=seed, query=query, n_latent=20))}
            for query in ("both", "rna")
        ]
    if part == "baselines":
        kinds = protein_baseline.KINDS if seed == 0 else ()
        return [
            {
                "query": f"{kind} profile" if kind != "knn" else "kNN on PCA",
                **score(data, protein_baseline.embed(data, seed=0, kind=kind)),
            }
            for kind in kinds
        ]
    return model_rows(data, part, seed)


def main(parts: list[str]) -> None:
    """Print one line per model, direction and seed, and then the means."""
    (run,) = plan(["data=cite_hao", "method=pca"]).runs
    assert callable(get_method(run.config["data"]["_target_"]))
    rows = []
    for part in parts:
        for holdout in ("p3_0", "p4_0"):
            data = prepare(run.config["data"], holdout=holdout)
            for seed in range(3):
                for row in rows_of(data, part, seed):
                    rows.append({"model": part, "held out": holdout, "seed": seed, **row})
                    print(
                        {
                            key: round(value, 4) if isinstance(value, float) else value
                            for key, value in rows[-1].items()
                        },
                        flush=True,
                    )
    table = pd.DataFrame(rows)
    metrics = [
        name for name in table.columns if name not in ("model", "held out", "seed", "query") and "shared" not in name
    ]
    by_seed = table.groupby(["model", "query", "seed"], sort=False)[metrics].mean()
    means, sds = by_seed.groupby(level=[0, 1], sort=False).mean(), by_seed.groupby(level=[0, 1], sort=False).std()
    cells = means.round(3).astype(str) + np.where(sds.notna(), " ± " + sds.round(3).astype(str), "")
    print(f"\n{cells.to_string()}")
    print(
        f"\nby donor\n{table.groupby(['model', 'query', 'held out'], sort=False)[metrics].mean().round(3).to_string()}"
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:] or list(PARTS))
