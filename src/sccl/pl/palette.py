"""Colours that can be told apart, also by those who see red and green alike."""

from __future__ import annotations

from sccl.inputs import as_count

#: Three of Okabe and Ito's colours (2008), and then each time the colour that is farthest, in CIELAB, from all before it,
#: from white and from the grey of cells without a group, as seen by the normal eye, in deuteranopia and in protanopia
#: (Machado et al. 2009). Any two of the first 10 are ΔE 29 apart for all three, of the first 20 17, and of all 11.
_COLORS = (
    "#0072b2 #e69f00 #009e73 #0000ff #990000 #3322aa #224455 #aadd88 #ccbbff #6677ff "
    "#558899 #cc7733 #335544 #9999ff #66ee55 #0055ff #443377 #556633 #88cc99 #3355bb "
    "#bbaacc #1111cc #88aa66 #226688 #4499cc #22aa99 #bb3300 #226666 #22cc55 #6677dd "
    "#4455dd #99ee00 #ddccee #dd7711 #662299 #008877 #337755 #880033 #00ccaa #aa7744"
).split()

#: Cells that have no group, and what others are drawn on.
GREY = "#d3d3d3"
#: From low to high, the same for all eyes.
HEAT = "YlGnBu"


def palette(n: int) -> list[str]:
    """Return colours that can be told apart, also in deuteranopia and protanopia.

    Parameters
    ----------
    n
        How many, ≥ 1. There are 40; more repeat them from the first on.

    Returns
    -------
    Hexadecimal colours, ``"#0072b2"``. The first are the same whatever ``n`` is.

    Raises
    ------
    ValueError
        If ``n`` is no whole number of at least 1.

    Examples
    --------
    >>> sccl.pl.palette(3)
    ['#0072b2', '#e69f00', '#009e73']
    """
    return [_COLORS[i % len(_COLORS)] for i in range(as_count(n, "n"))]
