"""The report as one HTML page that needs no other file and no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import pandas as pd

from sccl.benchmark.report.order import sort_keys


def render(title: str, sections: Sequence[tuple[str, str]]) -> str:
    """Return the page.

    Parameters
    ----------
    title
        Text.
    sections
        Headings as text, contents as HTML.
    """
    body = "\n".join(f"<section><h2>{escape(heading)}</h2>\n{content}</section>" for heading, content in sections)
    template = Template(files("sccl.benchmark.report").joinpath("page.html").read_text())
    return template.substitute(title=escape(title), body=body)


def heading(text: str) -> str:
    """Return the heading of a part of a section."""
    return f"<h3>{escape(text)}</h3>\n"


def note(text: str) -> str:
    """Return a paragraph that explains what is shown."""
    return f'<p class="note">{escape(text)}</p>\n'


def sortable(table: pd.DataFrame, *, code: Sequence[str] = ()) -> str:
    """Return a table whose rows a click on a heading sorts.

    Parameters
    ----------
    table
        Columns of numbers, of text, or of pairs (mean, sd), which are sorted by their mean. A column of settings that are
        all numbers sorts as numbers, too.
    code
        Columns to be set as code.
    """
    keys = {name: None if name in code else sort_keys(table[name]) for name in table}
    heads = "".join(f"<th{_number(keys[name] is not None)}>{escape(str(name))}</th>" for name in table)
    rows = []
    for i, values in enumerate(table.itertuples(index=False, name=None)):
        cells = []
        for name, value in zip(table, values, strict=True):
            key = keys[name]
            sort_key = "" if key is None else f' data-value="{"" if math.isnan(key[i]) else key[i]}"'
            text = escape(_text(value))
            text = f'<div class="scroll"><code>{text}</code></div>' if name in code else text
            cells.append(f"<td{_number(key is not None)}{sort_key}>{text}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="wide"><table class="sortable"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{'\n'.join(rows)}</tbody></table></div>\n"
    )


def heat_map(table: pd.DataFrame, *, low: float, high: float) -> str:
    """Return a table of numbers with coloured cells.

    Parameters
    ----------
    table
        Numbers.
    low, high
        What is white and what is dark: the same for all tables that are to be compared.
    """
    heads = "".join(f"<th>{escape(str(name))}</th>" for name in table)
    rows = []
    for name, values in table.iterrows():
        cells = [_heat(value, low, high) for value in values]
        rows.append(f"<tr><th>{escape(str(name))}</th>{''.join(cells)}</tr>")
    return f'<div class="wide"><table class="heat"><tr><th></th>{heads}</tr>\n{"\n".join(rows)}</table></div>\n'


def _heat(value: float, low: float, high: float) -> str:
    if math.isnan(value):
        return '<td class="number">–</td>'
    share = min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.0
    red, green, blue = (round(255 + share * (end - 255)) for end in (8, 81, 156))
    ink = "#fff" if share > 0.55 else "#111"
    return f'<td class="number" style="background:rgb({red},{green},{blue});color:{ink}">{value:.3f}</td>'


def _number(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        mean, sd = value
        return _text(mean) if math.isnan(sd) else f"{mean:.3f} ± {sd:.3f}"
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return str(value)
