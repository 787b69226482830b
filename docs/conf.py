"""Settings of the documentation; `make docs` builds it."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
import derived

project = "sccl"
author = "sccl developers"
copyright = f"2026, {author}"
release = importlib.metadata.version("sccl")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
derived.write()
exclude_patterns = ["_build", "tutorials/README.md", "_*.rst"]
templates_path = ["_templates"]

# Tutorials are shown as they were committed: the tests run them.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = ["api.md", "_model.rst", "_module.rst"]
autosummary_ignore_module_all = False
toc_object_entries_show_parents = "hide"  # of long names the ends were cut off
autodoc_member_order = "bysource"
# the docstrings name no types: they are taken from the annotations
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Warns", "Raises")]
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

html_theme = "sphinx_book_theme"
html_title = "sccl"
html_static_path = ["_static"]
html_theme_options = {"show_navbar_depth": 2, "use_download_button": False}

INVENTORIES = {
    "anndata": "https://anndata.readthedocs.io/en/stable/",
    "lightning": "https://lightning.ai/docs/pytorch/stable/",
    "mudata": "https://mudata.readthedocs.io/en/stable/",
    "numpy": "https://numpy.org/doc/stable/",
    "pandas": "https://pandas.pydata.org/docs/",
    "python": "https://docs.python.org/3/",
    "scanpy": "https://scanpy.readthedocs.io/en/stable/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "scvi": "https://docs.scvi-tools.org/en/stable/",
    "torch": "https://docs.pytorch.org/docs/stable/",
}


def _is_reachable(url: str) -> bool:
    try:
        with urlopen(f"{url}objects.inv", timeout=5):
            return True
    except (URLError, TimeoutError):
        return False


# Without a network the documentation is the same, less the links to other packages.
intersphinx_mapping = {name: (url, None) for name, url in INVENTORIES.items() if _is_reachable(url)}
intersphinx_timeout = 10
# Each public name that is mentioned must have a page. Names of other packages may stay without a link, and so may what
# lies in a file of its own below a room, which is not public.
nitpick_ignore_regex = [(r"py:.*", r"(?!sccl\b).*"), (r"py:.*", r"sccl\.[a-z]+\.[a-z_]+(\.\w+)*")]


def _skip_other_packages(_app: Sphinx, _what: str, _name: str, member: Any, skip: bool, _options: Any) -> bool:
    # a class shows what it inherits here, not what it inherits from scvi-tools, lightning or torch
    module = getattr(getattr(member, "fget", member), "__module__", None)
    return skip or not (module or "sccl").startswith("sccl")


def setup(app: Sphinx) -> None:
    app.connect("autodoc-skip-member", _skip_other_packages)
