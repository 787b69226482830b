"""Pictures: what is drawn, in which colours, and that none of it is cut."""

import anndata
import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

import sccl
from sccl import pl
from sccl.pl.layout import renderer_of

LONG = [f"CD{i} positive, alpha-beta memory T cell of the lamina propria" for i in range(31)] + ["Immunoblast" * 6]


@pytest.fixture(autouse=True)
def on_no_screen():
    matplotlib.use("Agg")
    yield
    pyplot.close("all")


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    cells = anndata.AnnData(rng.random((640, 3), dtype=np.float32))
    cells.obsm["X_two"] = rng.normal(size=(640, 2))
    cells.obs["donor"] = pd.Categorical([f"donor {i % 40} of the atlas" for i in range(640)])
    cells.obs["type"] = pd.Categorical([LONG[i % 32] for i in range(640)])
    cells.obs["confidence"] = np.linspace(0, 1, 640)
    return cells


def as_lab(colors, seen_as):
    """CIELAB coordinates of colours as an eye sees them: None, or the matrix of a deficiency (Machado et al. 2009)."""
    rgb = np.array([matplotlib.colors.to_rgb(color) for color in colors])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = linear if seen_as is None else np.clip(linear @ np.array(seen_as).T, 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = linear @ np.array(to_xyz).T / [0.95047, 1, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


EYES = {
    "normal": None,
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


def nearest(colors, seen_as):
    lab = as_lab(colors, seen_as)
    apart = np.linalg.norm(lab[:, None] - lab, axis=2)
    return apart[np.triu_indices(len(colors), 1)].min()


@pytest.mark.parametrize("eye", EYES)
def test_any_two_colours_can_be_told_apart_by_every_eye(eye):
    for n, least in ((10, 29), (20, 17), (40, 11)):
        assert nearest(pl.palette(n), EYES[eye]) > least
    assert nearest([*pl.palette(10), "#d3d3d3", "#ffffff"], EYES[eye]) > 15  # and from cells without a group


def test_the_measure_of_colours_sees_what_deuteranopes_do_not():
    pink_and_cyan = ["#e377c2", "#17becf"]
    assert nearest(pink_and_cyan, EYES["normal"]) > 60
    assert nearest(pink_and_cyan, EYES["deuteranopia"]) < 30


def test_more_groups_than_colours_begin_again_and_the_first_never_change():
    assert pl.palette(3) == pl.palette(50)[:3] == pl.palette(50)[40:43]
    with pytest.raises(ValueError, match="`n`"):
        pl.palette(0)


def assert_nothing_is_cut(axes, dpi):
    axes = np.ravel(np.asarray(axes, dtype=object))
    figure = axes[0].figure
    figure.set_dpi(dpi)
    figure.canvas.draw()
    renderer = renderer_of(figure)
    boxes = [ax.get_tightbbox(renderer) for ax in axes]
    for box in boxes:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
    for i, box in enumerate(boxes):  # no panel's legend or title reaches into another panel
        assert not any(box.overlaps(other) for other in boxes[:i])
    for ax in axes:
        texts = [
            *ax.get_xticklabels(),
            *ax.get_yticklabels(),
            *(ax.get_legend().get_texts() if ax.get_legend() else []),
        ]
        drawn = [text.get_window_extent(renderer).padded(-1) for text in texts if text.get_text()]
        for i, box in enumerate(drawn):
            assert not any(box.overlaps(other) for other in drawn[:i])


@pytest.mark.parametrize("dpi", [80, 150])
def test_forty_batches_and_thirty_two_long_names_of_types_fit(adata, dpi):
    axes = pl.embeddings(adata, "X_two", ["donor", "type", "confidence"], show=False)
    assert_nothing_is_cut(axes, dpi)
    shown = [text.get_text().replace("\n", "") for text in axes[0, 1].get_legend().get_texts()]
    assert sorted(name.replace(" ", "") for name in LONG) == sorted(name.replace(" ", "") for name in shown)


@pytest.mark.parametrize("dpi", [80, 150])
def test_labels_of_a_confusion_and_of_a_table_of_scores_are_not_cut(dpi):
    true = np.repeat(LONG, 3)
    assert_nothing_is_cut(pl.confusion(true, np.where(np.arange(96) % 3, true, "unknown"), show=False), dpi)
    table = pd.DataFrame(
        np.eye(3, 6), ["PCA", "sccl", "model=simclr augmentation=mask"], [f"{i}" * 20 for i in "abcdef"]
    )
    table.attrs["groups"] = {"kept": list(table)[:1], "mixed": list(table)[1:]}
    assert_nothing_is_cut(pl.scores(table, show=False), dpi)


@pytest.mark.slow
def test_titles_say_what_is_drawn_and_nothing_is_written_to_the_cells(adata):
    adata.obsm["X_cl"] = np.random.default_rng(0).normal(size=(640, 5))
    before = adata.copy()
    axes = pl.embeddings(adata, ["X_cl", "X_two"], ["donor"], show=False)
    assert [ax.get_title(loc="left") for ax in axes.ravel()] == ["UMAP of X_cl, by donor", "X_two, by donor"]
    np.testing.assert_allclose(np.sort(axes[1, 0].collections[0].get_offsets(), 0), np.sort(adata.obsm["X_two"], 0))
    assert list(adata.obsm) == list(before.obsm)
    assert not adata.uns
    pd.testing.assert_frame_equal(adata.obs, before.obs)


def test_axes_go_in_and_come_out(adata):
    figure, axes = pyplot.subplots(1, 2)
    assert list(pl.embeddings(adata, "X_two", ["donor", "type"], ax=axes).ravel()) == list(axes)
    assert pl.embeddings(adata, "X_two", "donor", ax=axes[0]) is axes[0]
    with pytest.raises(ValueError, match="2 axes, one per panel, found 1"):
        pl.embeddings(adata, "X_two", ["donor", "type"], ax=axes[0])
    with pytest.raises(TypeError, match="`ax` must hold matplotlib's axes, found Figure"):
        pl.embeddings(adata, "X_two", "donor", ax=[figure])
    assert pl.embeddings(adata, "X_two", "donor", show=True) is None


def test_what_is_not_there_is_named(adata):
    for wrong in ({"basis": "X_no", "color": "type"}, {"basis": "X_two", "color": "typ"}):
        with pytest.raises(KeyError, match=r"X_two|did you mean 'type'"):
            pl.embeddings(adata, **wrong)
    with pytest.raises(ValueError, match="`color` is empty"):
        pl.embeddings(adata, "X_two", [])
    assert not pyplot.get_fignums()


def colors_of(ax):
    legend = ax.get_legend()
    return dict(
        zip(
            [text.get_text() for text in legend.get_texts()],
            [matplotlib.colors.to_hex(one.get_color()) for one in legend.legend_handles],
            strict=True,
        )
    )


def test_a_label_has_one_colour_in_reference_and_query(adata):
    reference, query = adata[:400].copy(), adata[400:].copy()
    for cells in (reference, query):
        cells.obs["type"] = np.array(list("abcd"))[np.arange(len(cells)) % 4]
    reference = reference[reference.obs["type"] != "b"].copy()
    query.obs["type_predicted"] = np.where(query.obs["type"] == "b", "unknown", query.obs["type"])
    axes = pl.query(reference, query, "type", basis="X_two", show=False).ravel()
    colors = [colors_of(ax) for ax in axes]
    assert list(map(list, colors)) == [
        list("acd"),
        ["a", "b", "c", "d", "reference"],
        ["a", "c", "d", "unknown", "reference"],
    ]
    for name in "acd":
        assert len({one[name] for one in colors}) == 1
    assert colors[1]["reference"] == "#d3d3d3"
    # the query is drawn on top
    grey = (axes[1].collections[0].get_facecolors()[:, :3] > 0.82).all(axis=1)
    assert grey[: len(reference)].all()
    assert not grey[len(reference) :].any()


def history(**curves):
    return {name: pd.DataFrame({name: values}) for name, values in curves.items()}


def test_training_curves_are_those_of_the_history(adata):
    went = history(train_loss=[3.0, 2.0, 1.0], validation_loss=[3.0, 2.5, 2.0], effective_rank=[5.0, 6.0, 7.0])
    loss, rank = pl.training(went, show=False)
    assert [list(line.get_ydata()) for line in loss.get_lines()] == [[3, 2, 1], [3, 2.5, 2]]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    assert loss.get_title(loc="left").startswith("Loss")
    assert rank.get_title(loc="left").startswith("Effective rank")
    assert_nothing_is_cut([loss, rank], 80)
    assert (
        pl.training(went, ax=pyplot.subplots()[1]).get_title(loc="left").startswith("Loss")
    )  # one axes: the loss alone
    with pytest.raises(ValueError, match="train it first"):
        pl.training({})


def test_a_view_is_drawn_gene_by_gene():
    adata = sccl.datasets.simulate(n_cells=60, n_genes=80, mean_count=2.0, seed=0)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    ax = pl.view(adata, {"mask": {"fraction": 0.4, "p": 0.5}}, cell=adata.obs_names[3], show=False)
    counts = dict(text.get_text().split(": ") for text in ax.get_legend().get_texts())
    expressed = adata.X[3].count_nonzero()
    assert int(counts["as it was"]) + int(counts["set to zero"]) == expressed
    assert 0 < int(counts["set to zero"]) < expressed
    assert (
        ax.get_title(loc="left")
        .replace("\n", " ")
        .startswith(f"A view of cell {adata.obs_names[3]}: {counts['set to zero']} of 80")
    )
    assert_nothing_is_cut(ax, 80)
    assert "new in the view" in str(
        [text.get_text() for text in pl.view(adata, "clear", batch_key="batch", show=False).get_legend().get_texts()]
    )
    for options, message in (
        ({"cell": "no"}, "'no'"),
        ({"cell": 60}, "below 60"),
        ({"augmentation": "ours"}, "batch_key"),
    ):
        with pytest.raises((KeyError, ValueError), match=message):
            pl.view(adata, **{"augmentation": {"mask": {}}, **options})


def test_scores_are_drawn_with_the_best_on_top_and_one_scale():
    table = pd.DataFrame({"cLISI": [0.5, 1.0], "KBET": [np.nan, -0.25], "Total": [0.2, 0.7]}, index=["PCA", "sccl"])
    ax = pl.scores(table, show=False)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["sccl", "PCA"]
    assert [text.get_text() for text in ax.texts] == ["1.00", "-.25", ".70", ".50", "–", ".20"]
    assert (ax.collections[0].norm.vmin, ax.collections[0].norm.vmax) == (0, 1)
    grouped = pl.scores(table, groups={"kept": ["cLISI"], "mean": ["Total"]}, show=False)
    assert {"kept", "mean"} <= {text.get_text() for text in grouped.texts}
    assert [text.get_text() for text in grouped.get_xticklabels()] == ["cLISI", "Total"]
    for wrong, error in ((table.assign(Total="x"), ValueError), (table[:0], ValueError), ([1], TypeError)):
        with pytest.raises(error, match="`table`"):
            pl.scores(wrong)
    with pytest.raises(KeyError, match="'no'"):
        pl.scores(table, groups={"kept": ["no"]})


def test_rows_of_a_confusion_sum_to_one_and_unknown_is_last():
    true = pd.Series(["a", "a", "b", None, "z"])
    ax = pl.confusion(true, pd.Series(["a", "unknown", "b", "b", "a"]), show=False)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "z"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["a", "b", "unknown"]
    np.testing.assert_allclose(ax.collections[0].get_array(), [[0.5, 0, 0.5], [0, 1, 0], [1, 0, 0]])
    for wrong in (["a"], [None] * 5):
        with pytest.raises(ValueError, match="`predicted`"):
            pl.confusion(true, wrong)


def test_a_dollar_is_no_formula(adata):
    adata.obs["$x$"] = np.array(["$a", r"$\frac{$", "_b"])[np.arange(640) % 3]
    ax = pl.embeddings(adata, "X_two", "$x$", show=False)
    ax.figure.canvas.draw()
    assert ax.get_title(loc="left") == "X_two, by $x$"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == sorted(["$a", r"$\frac{$", "_b"])
    pl.confusion(adata.obs["$x$"], adata.obs["$x$"], show=False).figure.canvas.draw()
