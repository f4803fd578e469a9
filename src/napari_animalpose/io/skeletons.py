"""Skeleton files: SLEAP's JSON graph, YAML, and the skeleton inside any other file.

SLEAP writes a skeleton with jsonpickle: objects that come again are numbers (``py/id``) that
count all objects before them, nodes and the two edge types alike, with the keys in
alphabetical order. `sleap_io` 0.9.5 writes numbers of its own, which SLEAP 1.4 resolves to
wrong objects, and forgets the order of the nodes when it reads them back; so both ways are
here, and both numberings are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError, FileFormatError, OutputError
from napari_animalpose.io.atomic import atomic_path

__all__ = [
    "SKELETON_SUFFIXES",
    "decode_json",
    "decode_yaml",
    "encode_json",
    "encode_yaml",
    "read_skeletons",
    "write_skeleton",
]

SKELETON_SUFFIXES = (".json", ".yaml", ".yml")

_NODE, _EDGE_TYPE = "sleap.skeleton.Node", "sleap.skeleton.EdgeType"
_BODY, _SYMMETRY = 1, 2  # values of SLEAP's EdgeType
Graph = Mapping[str, Any]


def read_skeletons(path: str | PathLike[str]) -> tuple[Skeleton, ...]:
    """Read the skeletons of a file, in its order.

    Parameters
    ----------
    path : path
        A skeleton file of SLEAP (`.json`, `.yaml`), a training configuration of SLEAP or
        SLEAP-NN, the `config.yaml` of DeepLabCut, or any label file.

    Raises
    ------
    FileFormatError
        If there is no such file or no skeleton in it.
    """
    from napari_animalpose.io.labels import read_labels

    path = Path(path)
    decode: Callable[[Any], tuple[Skeleton, ...]] | None
    decode = {".json": decode_json, ".yaml": decode_yaml, ".yml": decode_yaml}.get(
        path.suffix.lower()
    )
    if decode is None or not path.is_file():
        return (read_labels(path).skeleton,)
    try:
        skeletons = decode(path.read_text(encoding="utf-8"))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"Expected a skeleton in {str(path)!r}; received a file in which it is damaged "
            f"({type(error).__name__}: {error}). Save it again.",
            path,
        ) from error
    return skeletons or (read_labels(path).skeleton,)


def write_skeleton(skeleton: Skeleton, path: str | PathLike[str]) -> None:
    """Write a skeleton, whole or not at all: YAML for `.yaml` and `.yml`, JSON for `.json`.

    Raises
    ------
    OutputError
        If the suffix is another one or the file cannot be stored.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SKELETON_SUFFIXES:
        raise OutputError(
            f"Expected a file name that ends with one of {', '.join(SKELETON_SUFFIXES)}; "
            f"received {str(path)!r}. Add a suffix.",
            path,
        )
    text = encode_json(skeleton) if suffix == ".json" else encode_yaml(skeleton)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


# ------------------------------------------------------------------------------ SLEAP's JSON
class _Link(NamedTuple):
    """One edge or half of a symmetric pair, as in SLEAP's graph."""

    position: int
    kind: int
    source: str
    target: str


def encode_json(skeleton: Skeleton) -> str:
    """Return a skeleton as SLEAP stores it, readable by SLEAP 1.0 to 1.4 and by `sleap_io`."""
    numbers: dict[Any, int] = {}

    def refer(key: object, described: dict[str, Any]) -> dict[str, Any]:
        if key in numbers:
            return {"py/id": numbers[key]}
        numbers[key] = len(numbers) + 1
        return described

    def node(index: int) -> dict[str, Any]:
        state = {"py/tuple": [skeleton.nodes[index], 1.0]}
        return refer(("node", index), {"py/object": _NODE, "py/state": state})

    def link(a: int, b: int, kind: int, **first: int) -> dict[str, Any]:
        reduced = {"py/reduce": [{"py/type": _EDGE_TYPE}, {"py/tuple": [kind]}]}
        # the order of the calls is that of the keys, by which the objects are counted
        ends = {"key": 0, "source": node(a), "target": node(b)}
        return {**first, **ends, "type": refer(("type", kind), reduced)}

    both_ways = (pair for a, b in skeleton.symmetries for pair in ((a, b), (b, a)))
    links = [link(a, b, _BODY, edge_insert_idx=i) for i, (a, b) in enumerate(skeleton.edges)]
    links += [link(a, b, _SYMMETRY) for a, b in both_ways]
    graph = {
        "directed": True,
        "graph": {"name": skeleton.name, "num_edges_inserted": len(skeleton.edges)},
        "links": links,
        "multigraph": True,
        "nodes": [{"id": node(index)} for index in range(len(skeleton))],
    }
    return json.dumps(graph)


def decode_json(text: str) -> tuple[Skeleton, ...]:
    """Return the skeletons in a JSON text, none if it is about something else.

    Takes SLEAP's graph, bare or in `nx_graph` beside a picture as SLEAP 1.3.2 and later
    keep it, lists of graphs, training configurations, and plain nodes and edges.

    Raises
    ------
    ValueError, KeyError, TypeError
        If the text is damaged.
    """
    data = json.loads(text)
    found = data
    if isinstance(data, dict) and isinstance(data.get("data"), dict):
        found = (data["data"].get("labels") or {}).get("skeletons") or ()
    graphs = found if isinstance(found, list) else [found]
    return tuple(_read_graph(graph) for graph in graphs if _is_graph(graph)) or _read_plain(data)


def _is_graph(data: object) -> bool:
    graph = data.get("nx_graph", data) if isinstance(data, dict) else data
    return isinstance(graph, dict) and {"nodes", "links"} <= graph.keys()


def _read_graph(data: Graph) -> Skeleton:
    graph = data.get("nx_graph", data)
    name = str((graph.get("graph") or {}).get("name") or "skeleton")
    try:
        nodes, links = _resolve(graph, counts_types=True)
    except (IndexError, TypeError):  # sleap_io: nodes are counted alone, types are their value
        nodes, links = _resolve(graph, counts_types=False)
    edges = [link for link in links if link.kind == _BODY]
    return Skeleton.from_names(
        nodes,
        dict.fromkeys((link.source, link.target) for link in sorted(edges, key=lambda e: e[0])),
        _unique_pairs((link.source, link.target) for link in links if link.kind == _SYMMETRY),
        name,
    )


def _resolve(graph: Graph, *, counts_types: bool) -> tuple[list[str], list[_Link]]:
    """Replace all numbers of a graph by what they stand for."""
    objects: list[str | int] = []  # names of nodes and values of edge types, as they appear

    def node(value: Graph) -> str:
        if "py/id" in value:
            found = objects[int(value["py/id"]) - 1]
            if not isinstance(found, str):
                raise TypeError(f"Expected number {value['py/id']} to be a node.")
            return found
        state = value.get("py/state", value)
        name = str(state["py/tuple"][0] if "py/tuple" in state else state["name"])
        if name not in objects:
            objects.append(name)
        return name

    def kind(value: Graph) -> int:
        if "py/id" in value:
            number = int(value["py/id"])
            found = objects[number - 1] if counts_types else number
            if not isinstance(found, int):
                raise TypeError(f"Expected number {number} to be a type of edge.")
            return found
        if "py/reduce" not in value:
            return _BODY
        new = int(value["py/reduce"][1]["py/tuple"][0])
        if counts_types:
            objects.append(new)
        return new

    links = []
    for position, link in enumerate(graph["links"]):
        source, target = node(link["source"]), node(link["target"])
        place = int(link.get("edge_insert_idx", position))
        links.append(_Link(place, kind(link.get("type") or {}), source, target))
    return [node(entry["id"]) for entry in graph["nodes"]], links


def _unique_pairs(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return pairs without those that repeat one in the other order."""
    return list({frozenset(pair): pair for pair in pairs}.values())


# -------------------------------------------------------------------------------------- YAML
def encode_yaml(skeleton: Skeleton) -> str:
    """Return a skeleton as SLEAP-NN and `sleap_io` store it, made to be edited by people."""
    import yaml

    names = skeleton.nodes
    ends = [({"name": names[a]}, {"name": names[b]}) for a, b in skeleton.edges]
    content = {
        "nodes": [{"name": name} for name in names],
        "edges": [{"source": source, "destination": target} for source, target in ends],
        "symmetries": [[{"name": names[a]}, {"name": names[b]}] for a, b in skeleton.symmetries],
    }
    text: str = yaml.safe_dump({skeleton.name: content}, sort_keys=False, allow_unicode=True)
    return text


def decode_yaml(text: str) -> tuple[Skeleton, ...]:
    """Return the skeletons in a YAML text, none if it is about something else.

    Nodes may be names or mappings with a name, edges pairs or mappings with source and
    destination. Also takes configurations of SLEAP-NN and of DeepLabCut.

    Raises
    ------
    ValueError, KeyError, TypeError
        If the text is damaged.
    """
    import yaml

    try:
        return _read_plain(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise DataError(" ".join(str(error).split())) from error


def _read_plain(data: object) -> tuple[Skeleton, ...]:
    """Return the skeletons in nested mappings of names."""
    if not isinstance(data, dict):
        return ()
    if "bodyparts" in data:
        return (_read_dlc_config(data),)
    settings = data.get("data_config")
    found = settings.get("skeletons") if isinstance(settings, dict) else data
    if isinstance(found, dict) and "nodes" not in found:
        entries: Iterator[tuple[object, object]] = iter(found.items())
    else:
        listed = found if isinstance(found, list) else [found]
        entries = ((None, entry) for entry in listed)
    return tuple(
        _read_named(entry, entry.get("name") or name)
        for name, entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("nodes"), list)
    )


def _read_named(entry: Graph, name: object) -> Skeleton:
    edges = entry.get("edges") or ()
    ends = [(e["source"], e["destination"]) if isinstance(e, dict) else e for e in edges]
    pairs = [_read_pair(pair) for pair in entry.get("symmetries") or ()]
    return Skeleton.from_names(
        [_name_of(node) for node in entry["nodes"]],
        dict.fromkeys(_read_pair(pair) for pair in ends),
        _unique_pairs(pairs),
        str(name or "skeleton"),
    )


def _name_of(node: object) -> str:
    return str(node["name"] if isinstance(node, dict) else node)


def _read_pair(pair: Sequence[object]) -> tuple[str, str]:
    a, b = pair
    return _name_of(a), _name_of(b)


def _read_dlc_config(data: Graph) -> Skeleton:
    """Return the body parts of a DeepLabCut project; its edges that name others are left out."""
    parts = data["bodyparts"]
    if isinstance(parts, str):  # "MULTI!": several animals have lists of their own
        parts = [*data.get("multianimalbodyparts", ()), *data.get("uniquebodyparts", ())]
    nodes = [str(part) for part in parts]
    pairs = [_read_pair(pair) for pair in data.get("skeleton") or ()]
    known = [pair for pair in pairs if set(pair) <= set(nodes)]
    return Skeleton.from_names(nodes, dict.fromkeys(known), (), str(data.get("Task") or "skeleton"))
