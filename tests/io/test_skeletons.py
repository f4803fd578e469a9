"""Skeleton files: what SLEAP writes, what it reads, and skeletons inside other files."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sleap_io.io import skeleton as sleap

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.skeleton_templates import SKELETON_TEMPLATES
from napari_animalpose.errors import FileFormatError, OutputError
from napari_animalpose.io.skeletons import (
    decode_json,
    decode_yaml,
    encode_json,
    encode_yaml,
    read_skeletons,
    write_skeleton,
)

FLY = SKELETON_TEMPLATES.get("fly13").skeleton


def _node(name):
    return {"py/object": "sleap.skeleton.Node", "py/state": {"py/tuple": [name, 1.0]}}


def _type(value):
    return {"py/reduce": [{"py/type": "sleap.skeleton.EdgeType"}, {"py/tuple": [value]}]}


def _id(number):
    return {"py/id": number}


# The numbers count nodes and types of edges as they first appear: b=1, a=2, body=3, c=4,
# symmetry=5, d=6. The edges are listed by source, as networkx does, and numbered by age.
GRAPH = {
    "directed": True,
    "graph": {"name": "mine", "num_edges_inserted": 2},
    "links": [
        {"edge_insert_idx": 1, "key": 0, "source": _node("b"), "target": _node("a"),
         "type": _type(1)},
        {"edge_insert_idx": 0, "key": 0, "source": _id(2), "target": _node("c"), "type": _id(3)},
        {"key": 0, "source": _id(1), "target": _id(4), "type": _type(2)},
        {"key": 0, "source": _id(4), "target": _id(1), "type": _id(5)},
    ],
    "multigraph": True,
    "nodes": [{"id": _id(2)}, {"id": _id(1)}, {"id": _node("d")}, {"id": _id(4)}],
}  # fmt: skip
MINE = Skeleton.from_names("abdc", [("a", "c"), ("b", "a")], [("b", "c")], "mine")


@pytest.mark.parametrize(
    "data",
    [
        GRAPH,
        [GRAPH],
        {"nx_graph": GRAPH, "description": "A template.", "preview_image": {"py/b64": "AAAA"}},
        {"data": {"labels": {"skeletons": [GRAPH]}}, "model": {}},
    ],
    ids=["graph", "list", "template", "training configuration"],
)
def test_a_graph_of_sleap_is_read_in_the_order_of_its_nodes_and_edges(data):
    (found,) = decode_json(json.dumps(data))
    assert found == MINE


def test_a_graph_is_written_as_sleap_writes_it():
    written = json.loads(encode_json(Skeleton.from_names("ab", [("b", "a")], [("a", "b")], "n")))
    assert written["links"] == [
        {"edge_insert_idx": 0, "key": 0, "source": _node("b"), "target": _node("a"),
         "type": _type(1)},
        {"key": 0, "source": _id(2), "target": _id(1), "type": _type(2)},
        {"key": 0, "source": _id(1), "target": _id(2), "type": _id(4)},
    ]  # fmt: skip
    assert written["nodes"] == [{"id": _id(2)}, {"id": _id(1)}]
    keys = [list(written), *(list(link) for link in written["links"])]
    assert keys == [sorted(names) for names in keys]  # jsonpickle counts in this order


names = st.lists(st.text("abLR_1 é", min_size=1, max_size=6), unique=True, max_size=7)


@st.composite
def skeletons(draw):
    nodes = draw(names)
    pairs = [(a, b) for a in range(len(nodes)) for b in range(len(nodes)) if a != b]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=8)) if pairs else []
    order = draw(st.permutations(range(len(nodes))))
    n_pairs = draw(st.integers(0, len(nodes) // 2))
    symmetries = [(order[2 * i], order[2 * i + 1]) for i in range(n_pairs)]
    return Skeleton(tuple(nodes), tuple(edges), tuple(symmetries), draw(st.sampled_from("xy")))


def _as_sets(skeleton):
    return (skeleton.nodes, skeleton.edges, set(skeleton.symmetries), skeleton.name)


@given(skeletons())
def test_both_formats_bring_everything_back(skeleton):
    for encode, decode in ((encode_json, decode_json), (encode_yaml, decode_yaml)):
        (found,) = decode(encode(skeleton))
        assert _as_sets(found) == _as_sets(skeleton)


@given(skeletons().filter(len))
def test_sleap_io_reads_both_formats(skeleton):
    from_json = sleap.decode_skeleton(encode_json(skeleton))
    (from_yaml,) = sleap.SkeletonYAMLDecoder().decode(encode_yaml(skeleton))
    for found in (from_json, from_yaml):
        assert found.node_names == list(skeleton.nodes)
        assert [tuple(edge) for edge in found.edge_inds] == list(skeleton.edges)
        assert {tuple(sorted(pair)) for pair in found.symmetry_inds} == set(skeleton.symmetries)


@given(skeletons())
@example(Skeleton(("a", "b", "c", "d"), (), ((0, 1), (2, 3))))
def test_what_sleap_io_writes_is_read_with_the_order_of_the_nodes(skeleton):
    nodes = [sleap.Node(name) for name in skeleton.nodes]
    theirs = sleap.Skeleton(
        nodes,
        [sleap.Edge(nodes[a], nodes[b]) for a, b in skeleton.edges],
        [sleap.Symmetry([nodes[a], nodes[b]]) for a, b in skeleton.symmetries],
        name=skeleton.name,
    )
    (found,) = decode_json(sleap.encode_skeleton(theirs))
    assert _as_sets(found) == _as_sets(skeleton)
    (found,) = decode_yaml(sleap.encode_yaml_skeleton(theirs))
    assert _as_sets(found) == _as_sets(skeleton)


@pytest.mark.parametrize(
    "text",
    [
        "nodes: [nose, earL, earR]\nedges: [[nose, earL], [nose, earR]]\n"
        "symmetries: [[earL, earR]]\nname: m\n",
        "m:\n  nodes: [{name: nose}, {name: earL}, {name: earR}]\n  edges:\n"
        "  - {source: {name: nose}, destination: {name: earL}}\n  - [nose, earR]\n"
        "  symmetries: [[{name: earR}, {name: earL}]]\n",
        "data_config:\n  skeletons:\n  - name: m\n    nodes: [nose, earL, earR]\n"
        "    edges: [[nose, earL], [nose, earR]]\n    symmetries: [[earL, earR]]\n",
    ],
    ids=["by hand", "by name", "SLEAP-NN"],
)
def test_yaml_of_people_and_of_programs(text):
    expected = Skeleton.from_names(
        ("nose", "earL", "earR"), [("nose", "earL"), ("nose", "earR")], [("earL", "earR")], "m"
    )
    assert decode_yaml(text) == (expected,)


def test_a_deeplabcut_project_without_labels_has_a_skeleton(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "Task: reach\nscorer: me\nmultianimalbodyparts: [hand, elbow]\nuniquebodyparts: [pellet]\n"
        "bodyparts: MULTI!\nskeleton:\n- [elbow, hand]\n- [bodypart1, hand]\n",
        encoding="utf-8",
    )
    expected = Skeleton(("hand", "elbow", "pellet"), ((1, 0),), name="reach")
    assert read_skeletons(path) == (expected,)


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml", ".JSON"])
def test_files_are_written_and_read_by_suffix(tmp_path, suffix):
    path = tmp_path / f"fly{suffix}"
    write_skeleton(FLY, path)
    assert [_as_sets(s) for s in read_skeletons(path)] == [_as_sets(FLY)]


def test_several_skeletons_of_one_file(tmp_path):
    path = tmp_path / "two.json"
    path.write_text(f"[{encode_json(FLY)}, {encode_json(MINE)}]", encoding="utf-8")
    assert [s.name for s in read_skeletons(path)] == ["fly13", "mine"]
    assert decode_yaml(encode_yaml(FLY) + encode_yaml(MINE))[1] == MINE


def test_the_skeleton_of_label_files(tiny_labels, tmp_path):
    from napari_animalpose.io.labels import read_labels, write_labels

    project = read_labels(tiny_labels)
    assert read_skeletons(tiny_labels) == (project.skeleton,)
    path = tmp_path / "labels.json"  # COCO
    write_labels(project, path)
    assert read_skeletons(path)[0].nodes == project.skeleton.nodes


def test_the_skeletons_of_real_models(real_data):
    folder = real_data / "sleap_models" / "minimal_instance.UNet.bottomup"
    expected = Skeleton(("A", "B"), ((0, 1),), name="Skeleton-0")
    assert read_skeletons(folder / "training_config.json") == (expected,)


def test_damaged_files_are_refused_with_their_name(tmp_path):
    path = tmp_path / "bad.json"
    loop = {**GRAPH, "nodes": [{"id": _id(3)}]}
    for text in ("{", json.dumps(loop), json.dumps({**GRAPH, "links": [{"key": 0}]})):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(FileFormatError, match=r"skeleton in .*bad\.json"):
            read_skeletons(path)
    path = tmp_path / "bad.yaml"
    for text in ("a: [", "nodes: [a, a]", "nodes: [a]\nedges: [[a, b]]"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(FileFormatError, match=r"skeleton in .*bad\.yaml"):
            read_skeletons(path)


def test_files_about_something_else_and_missing_ones_are_refused(tmp_path):
    for name, text in (("other.json", "[1, 2]"), ("other.yaml", "learning_rate: 3")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(FileFormatError, match="Expected labels"):
            read_skeletons(tmp_path / name)
    with pytest.raises(FileFormatError, match="does not exist"):
        read_skeletons(tmp_path / "missing.json")


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"\.json, \.yaml, \.yml"):
        write_skeleton(FLY, tmp_path / "fly.txt")
    assert list(tmp_path.iterdir()) == []
