import re
from importlib import import_module
from pathlib import Path

import pytest

import sccl

ROOT = Path(__file__).parents[1]


def documented() -> dict[str, set[str]]:
    """The names that docs/api.md lists, by module."""
    names: dict[str, set[str]] = {}
    module = ""
    for line in (ROOT / "docs/api.md").read_text().splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            names.setdefault(module, set()).add(line.strip())
    return names


# the names of models and architectures are written when the documentation is built
@pytest.mark.parametrize("room", [room for room in sccl.__all__ if room.islower() and room not in ("model", "module")])
def test_every_public_name_of_a_room_has_its_page_in_the_documentation(room):
    assert documented()[f"sccl.{room}"] == set(import_module(f"sccl.{room}").__all__)


def test_every_page_of_the_documentation_can_be_reached_from_the_front_page():
    docs = ROOT / "docs"
    pages = {str(path.relative_to(docs).with_suffix("")) for path in docs.glob("*.md")} - {"index"}
    pages |= {f"tutorials/{path.stem}" for path in (ROOT / "tutorials").glob("*.ipynb")}
    listed = set(re.findall(r"^[\w/]+$", (docs / "index.md").read_text(), flags=re.MULTILINE))
    assert pages == listed
