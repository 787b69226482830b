"""What the house promises of itself: rooms, rooms in these, circles, sizes."""

import ast
from pathlib import Path

import networkx as nx
import pytest

SOURCE = Path(__file__).parents[1] / "src" / "sccl"
FILES = sorted(SOURCE.rglob("*.py"))
#: From the top down: a room imports only from rooms below it.
ROOMS = [
    "testing",
    "commands",
    "benchmark",
    "pl",
    "mapping",
    "model",
    "train",
    "module",
    "dataloaders",
    "augment",
    "graph",
    "pp",
    "datasets",
    "inputs",
    "storage",
    "catalogue",
]
#: The same within a room that has rooms of its own; its other files come above these.
INNER_ROOMS = {
    "benchmark": ["report", "run", "plan", "methods", "scores", "data"],
    "mapping": [
        "transfer",
        "modality",
        "agreement",
        "measured",
        "predictive",
        "space",
        "novelty",
        "whitening",
        "votes",
    ],
}


def name_of(path):
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in FILES}


def imports(path):
    """Modules of the package that a file imports, in functions and for type checking, too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in NAMES}
        elif isinstance(node, ast.ImportFrom) and node.module in NAMES:
            deeper = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (deeper & set(NAMES)) or {node.module}
    return found


def test_no_file_imports_itself_by_way_of_others():
    graph = nx.DiGraph((name, target) for name, path in NAMES.items() for target in imports(path) if target != name)
    # a room's __init__ imports its files; that they may import the room's name is not the point
    circles = [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]
    assert not circles


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_rooms_import_only_from_rooms_below(path):
    parts = path.relative_to(SOURCE).parts
    if len(parts) == 1:
        return
    below = ROOMS[ROOMS.index(parts[0]) :]
    for target in imports(path):
        room = target.split(".")[1] if "." in target else None
        assert room is None or room in below, f"{name_of(path)} imports {target}"


@pytest.mark.parametrize("room", INNER_ROOMS)
def test_the_rooms_in_a_room_import_only_from_those_below(room):
    def height(name):
        part = name.removeprefix(f"sccl.{room}").partition(".")[2].partition(".")[0]
        return -INNER_ROOMS[room].index(part) if part in INNER_ROOMS[room] else 1

    inside = [name for name in NAMES if name.startswith(f"sccl.{room}.")]
    edges = [
        (name, target) for name in inside for target in imports(NAMES[name]) if f"{target}.".startswith(f"sccl.{room}.")
    ]
    assert edges
    assert not [edge for edge in edges if height(edge[1]) > height(edge[0])]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_longer_than_three_hundred_lines(path):
    assert len(path.read_text().splitlines()) <= 300


def test_models_and_their_options_as_read_from_the_source_are_those_of_the_classes():
    from inspect import signature

    import sccl
    from sccl.catalogue import models

    workflow = {"adata", "registry", "n_hidden", "n_latent", "dropout_rate", "integrate"}
    for name, hyper_parameters in models().items():
        shown = signature(getattr(sccl, name)).parameters
        assert {key: value.default for key, value in shown.items() if key not in workflow} == hyper_parameters
    declared = {name for name, value in vars(sccl.model).items() if isinstance(value, type)}
    assert declared - {"PublishedModel"} == set(models()) == set(sccl.model.__all__)
