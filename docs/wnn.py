"""How far `method=wnn` and muon agree, `SCCL_DATA=folder python docs/wnn.py`; needs `pip install muon`, and three minutes.

Both find weighted nearest neighbours of the cells of `cite_hao` in the same principal components. muon looks for the cells that
make a kernel's bandwidth (those that share the fewest neighbours with a cell) by a search that is made for distances, which this is none.
So the weights differ; with bandwidths that muon found they are its own.
"""

from __future__ import annotations

import warnings

import anndata as ad
import mudata
import muon
import numpy as np
import scanpy as sc
import scipy.sparse as sp

from sccl.benchmark.data import prepare
from sccl.benchmark.methods.weighted_neighbors import weighted_neighbors
from sccl.benchmark.plan.study import plan

K = 20


def main() -> None:
    """Print the correlation of the weights, and the share of neighbours that are the same."""
    (run,) = plan(["data=cite_hao", "method=wnn"]).runs
    data = prepare(run.config["data"])
    proteins = data.adata.obsm[data.proteins].to_numpy(dtype=np.float32, copy=True)
    spaces = {"rna": data.pca[:, :30], "protein": sc.pp.pca(sc.pp.scale(proteins), n_comps=30)}
    ours = weighted_neighbors(list(spaces.values()), k=K)
    mdata = mudata.MuData({name: ad.AnnData(obs=data.adata.obs[[]], obsm={"x": x}) for name, x in spaces.items()})
    muon.pp.l2norm(mdata, rep="x")
    for modality in mdata.mod.values():
        sc.pp.neighbors(modality, n_neighbors=K + 1, use_rep="x")  # the cell itself is one of them
    muon.pp.neighbors(mdata, n_neighbors=K)
    theirs = sp.csr_matrix(mdata.obsp["distances"])
    shared = [len({*theirs[cell].indices} & {*row}) / K for cell, row in enumerate(ours.indices_nk)]
    weights = np.corrcoef(mdata.obs["rna:mod_weight"], ours.weights_nm[:, 0])[0, 1]
    print(f"weights: correlation {weights:.3f}; neighbours: {np.mean(shared):.3f} the same")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
