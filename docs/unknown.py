"""How many cells are called unknown? Each batch in turn is the query, and each type in turn is taken from the reference.

Before that nothing is taken away: so many cells are unknown although the reference has their type, and so many get their
label. Who does not get it there is not to be told from other types, so that more can hardly be found when it is gone.

python docs/unknown.py cells.h5ad BATCH_KEY LABELS_KEY [--model CLModel] [--batches a b] [--fewest 20] [--seed 0]
"""

import argparse

import numpy as np
import scvi
from anndata import AnnData, read_h5ad

import sccl
from sccl.mapping.transfer import UNKNOWN


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
    found, wrongly = [], []
    print(
        f"{'query':14s} {'type taken away':22s} {'cells':>6s} {'unknown':>8s} {'of the others':>14s} {'labelled if there':>18s}"
    )
    for one in args.batches or sorted(set(batch)):
        query, elsewhere = batch == one, batch != one
        predicted, winner = label_query(adata[elsewhere].copy(), adata[query].copy(), args)
        wrongly.append((predicted[np.isin(label[query], label[elsewhere])] == UNKNOWN).mean())
        print(f"{one:14s} {'none':22s} {'':6s} {'':8s} {wrongly[-1]:14.2f}", flush=True)
        for kind in sorted(set(label[elsewhere]) & set(label[query])):
            new, kept = label[query] == kind, elsewhere & (label != kind)
            if new.sum() < args.fewest:
                continue
            predicted, _ = label_query(adata[kept].copy(), adata[query].copy(), args)
            known = np.isin(label[query], label[kept])
            found.append(
                [(predicted[new] == UNKNOWN).mean(), (predicted[known] == UNKNOWN).mean(), (winner[new] == kind).mean()]
            )
            print(
                f"{one:14s} {kind:22s} {new.sum():6d} {found[-1][0]:8.2f} {found[-1][1]:14.2f} {found[-1][2]:18.2f}",
                flush=True,
            )
    print(f"{'mean of':14s} {f'{len(wrongly)} queries':22s} {'':6s} {'':8s} {np.mean(wrongly):14.2f}")
    means = np.mean(found, axis=0)
    print(f"{'mean of':14s} {f'{len(found)} pairs':22s} {'':6s} {means[0]:8.2f} {means[1]:14.2f} {means[2]:18.2f}")


def label_query(reference: AnnData, query: AnnData, args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Train on the reference and return the labels that the query gets, and those it would get if nothing were unknown."""
    sccl.pp.preprocess(reference, batch_key=args.batch_key, n_top_genes=2000)
    sccl.pp.preprocess(query, n_top_genes=None)
    scvi.settings.seed = args.seed
    cls = getattr(sccl, args.model)
    cls.setup_anndata(reference, batch_key=args.batch_key)
    model = cls(reference)
    model.train(enable_progress_bar=False)
    shares = sccl.mapping.transfer_labels(model, reference, query, args.labels_key, seed=args.seed)
    return query.obs[f"{args.labels_key}_predicted"].astype(str).to_numpy(), shares.idxmax(axis=1).to_numpy()


if __name__ == "__main__":
    main()
