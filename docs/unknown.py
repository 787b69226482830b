"""How many cells are called unknown? Each batch in turn is the query, and each type in turn is taken from the reference.

python docs/unknown.py cells.h5ad BATCH_KEY LABELS_KEY [--model CLModel] [--batches a b] [--fewest 20] [--seed 0]
"""

import argparse

import numpy as np
import scvi
from anndata import AnnData, read_h5ad

import sccl


def main() -> None:
    """Print a row per batch and type, and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("batch_key")
    parser.add_argument("labels_key")
    parser.add_argument("--model", default="CLModel", help="class of the reference's model")
    parser.add_argument("--batches", nargs="+", help="the batches that become queries; all if not given")
    parser.add_argument("--fewest", type=int, default=20, help="query cells that a type must have")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    adata = read_h5ad(args.path)
    adata = adata[adata.obs[args.labels_key].notna()].copy()
    batch, label = (adata.obs[key].astype(str).to_numpy() for key in (args.batch_key, args.labels_key))
    shares = []
    print(f"{'query':14s} {'type taken away':22s} {'cells':>6s} {'unknown':>8s} {'of the others':>14s}")
    for one in args.batches or sorted(set(batch)):
        for kind in sorted(set(label[batch != one]) & set(label[batch == one])):
            n_cells = int(((batch == one) & (label == kind)).sum())
            if n_cells < args.fewest:
                continue
            reference = adata[(batch != one) & (label != kind)].copy()
            predicted = label_query(reference, adata[batch == one].copy(), args)
            new = label[batch == one] == kind
            known = np.isin(label[batch == one], label[(batch != one) & (label != kind)])
            shares.append(((predicted[new] == "unknown").mean(), (predicted[known] == "unknown").mean()))
            print(f"{one:14s} {kind:22s} {n_cells:6d} {shares[-1][0]:8.2f} {shares[-1][1]:14.2f}", flush=True)
    print(f"{'mean of':14s} {len(shares):d} pairs {'':22s} {np.mean(shares, 0)[0]:8.2f} {np.mean(shares, 0)[1]:14.2f}")


def label_query(reference: AnnData, query: AnnData, args: argparse.Namespace) -> np.ndarray:
    """Train on the reference and return the labels that the query gets."""
    sccl.pp.preprocess(reference, batch_key=args.batch_key, n_top_genes=2000)
    sccl.pp.preprocess(query, n_top_genes=None)
    scvi.settings.seed = args.seed
    cls = getattr(sccl, args.model)
    cls.setup_anndata(reference, batch_key=args.batch_key)
    model = cls(reference)
    model.train(enable_progress_bar=False)
    sccl.mapping.transfer_labels(model, reference, query, args.labels_key, seed=args.seed)
    return query.obs[f"{args.labels_key}_predicted"].astype(str).to_numpy()


if __name__ == "__main__":
    main()
