"""What training_config.json says, in the words of all versions."""

import json

import pytest
from sleap_models import CLASSES, HEAD_JSON, config_json, skeleton_json

from napari_animalpose.nn.heads import HEADS
from napari_animalpose.nn.legacy.description import HEAD_NAMES, read_description


@pytest.mark.parametrize("head", HEAD_JSON)
def test_every_head_type_is_read(head):
    known = read_description(config_json(head, crop=160, scale=0.5), "here")
    assert known.head == head
    assert HEAD_NAMES[head] in HEADS
    assert known.skeleton.nodes == ("A", "B")
    assert known.strides["confmaps"] == 2
    assert known.sigma_px == 2.5
    assert (known.input_scale, known.crop_px, known.version) == (0.5, 160, "1.3.3")
    assert known.anchor == ("A" if head.startswith("cent") or head.endswith("topdown") else "")
    assert known.classes == (tuple(CLASSES) if "class" in head else ())
    assert known.is_centred == (head in ("centered_instance", "multi_class_topdown"))


def test_a_configuration_of_the_oldest_versions_lacks_half_of_the_keys():
    values = config_json("single_instance")
    del values["sleap_version"], values["data"]["instance_cropping"]
    values["data"]["preprocessing"] = {"input_scaling": None}
    values["model"]["heads"] = {"single_instance": {"part_names": None, "output_stride": 4}}
    known = read_description(values, "here")
    assert (known.version, known.input_scale, known.pad_to_stride) == ("", 1.0, 0)
    assert (known.target_size, known.imagenet_mode, known.crop_px) == (None, "", 0)
    assert known.skeleton.nodes == ("A", "B")
    assert known.strides == {"confmaps": 4}


def test_edges_are_in_the_order_of_the_fields():
    values = config_json("multi_instance")
    nodes = ("head", "thorax", "tail", "wing")
    values["data"]["labels"]["skeletons"] = [skeleton_json(nodes)]
    part = values["model"]["heads"]["multi_instance"]
    part["confmaps"]["part_names"] = ["tail", "thorax", "wing", "head"]
    part["pafs"]["edges"] = [["tail", "wing"], ["head", "thorax"], ["thorax", "tail"]]
    skeleton = read_description(values, "here").skeleton
    assert skeleton.nodes == ("tail", "thorax", "wing", "head")
    assert skeleton.edges == ((0, 2), (3, 1), (1, 0))


def test_jsonpickle_numbers_count_the_kinds_of_edges():
    """The first edge type is the third object: nodes after it have higher numbers."""
    values = config_json("single_instance", part_names=None)
    skeleton = skeleton_json(("a", "b", "c", "d"))
    assert [node["id"]["py/id"] for node in skeleton["nodes"]] == [1, 2, 4, 5]
    values["data"]["labels"]["skeletons"] = [json.loads(json.dumps(skeleton))]
    known = read_description(values, "here").skeleton
    assert known.nodes == ("a", "b", "c", "d")
    assert known.edges == ((0, 1), (1, 2), (2, 3))


def test_a_target_size_counts_only_where_it_was_asked_for():
    values = config_json("centroid")
    values["data"]["preprocessing"] |= {"target_height": 384, "target_width": 512}
    assert read_description(values, "here").target_size is None
    values["data"]["preprocessing"]["resize_and_pad_to_target"] = True
    assert read_description(values, "here").target_size == (384, 512)
