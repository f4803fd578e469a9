"""What a training starts from, where the run or the model lacks something that it needs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sleap_models import write_model

from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError, ModelError
from napari_animalpose.io.labels import read_labels
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.jobs import Log, Metric
from napari_animalpose.nn.autoconfig import LabelMeasures
from napari_animalpose.nn.legacy.start import adapt_config
from napari_animalpose.nn.models.heads.multi_instance import MultiInstanceHead
from napari_animalpose.nn.models.network import build_head_network
from napari_animalpose.pipeline import train
from napari_animalpose.pipeline.start import open_start

NODES = ("a", "b", "c", "d")
CHAIN = Skeleton(NODES, ((0, 1), (1, 2)))
MODEL = ModelConfig(
    backbone_options={"filters": 4, "down_blocks": 1, "convs_per_block": 1},
    input_scale=0.5,
    max_edge_px=12.0,
)
MEASURES = LabelMeasures(50, 100, 4, 2, 512, 512, 1, 70.0, 85.0, 6.0, 90.0, 1.0, 30.0)


def build(skeleton, model=MODEL):
    head = MultiInstanceHead(model, skeleton)
    return SimpleNamespace(head=head, network=build_head_network(head, model))


@pytest.fixture
def run(tmp_path):
    """A bottom-up run on a chain of three nodes; its weights are 1000, 1001, ..."""
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.write_config(RunConfig(pipeline="bottomup", networks={"multi_instance": MODEL}))
    folder.write_skeleton(CHAIN)
    weights, count = [], 1000
    for weight in build(CHAIN).network.get_weights():
        weights.append(
            np.arange(count, count + weight.size, dtype=np.float32).reshape(weight.shape)
        )
        count += weight.size
    folder.write_weights("multi_instance", weights)
    folder.write_state("multi_instance", [-weight for weight in weights], [np.float32(7)])
    return folder, weights


def restore(folder, skeleton):
    """Return the network, what it was told to go on from, and what is new."""
    start = open_start(folder.path)
    start.check_skeleton(skeleton)
    told = []
    trainer = build(skeleton)
    trainer.restore = lambda checkpoint, anew=(): told.append((checkpoint, anew))
    start.restore(trainer, "multi_instance")
    ((checkpoint, anew),) = told
    return trainer.network, checkpoint, anew


def field_weights(network):
    return [i for i, weight in enumerate(network.weights) if weight.path.startswith("pafs/")]


def test_the_same_edges_go_on_with_everything(run):
    folder, weights = run
    _, checkpoint, anew = restore(folder, CHAIN)
    assert tuple(anew) == ()
    np.testing.assert_equal(checkpoint.weights, weights)
    np.testing.assert_equal(checkpoint.raw, [-weight for weight in weights])
    np.testing.assert_equal(checkpoint.optimizer, [7])


@pytest.mark.parametrize(
    ("edges", "channels", "lacks"),
    [
        (((0, 1), (1, 2), (2, 3)), [0, 1, 2, 3, -1, -1], True),  # one more
        (((1, 2), (2, 3)), [2, 3, -1, -1], True),  # as many, but others
        (((1, 0), (1, 2)), [-1, -1, 2, 3], True),  # one turned round
        (((1, 2), (0, 1)), [2, 3, 0, 1], False),  # in another order
        (((1, 2),), [2, 3], False),  # one less
    ],
)
def test_other_edges_take_the_fields_that_there_are(run, edges, channels, lacks):
    folder, weights = run
    network, checkpoint, anew = restore(folder, Skeleton(NODES, edges))
    assert tuple(anew) == (("pafs",) if lacks else ())
    assert checkpoint.raw == checkpoint.optimizer == []
    fields = field_weights(network)
    assert len(fields) == 2
    for number, own in enumerate(network.get_weights()):
        expected = weights[number]
        if number in fields:
            columns = [
                own[..., i] if channel < 0 else expected[..., channel]
                for i, channel in enumerate(channels)
            ]
            expected = np.stack(columns, axis=-1)
        np.testing.assert_array_equal(checkpoint.weights[number], expected)


def test_new_edges_are_named_and_may_be_longer_than_those_before(run):
    folder, _ = run
    start = open_start(folder.path)
    start.check_skeleton(Skeleton(NODES, (*CHAIN.edges, (2, 3))))
    config, reasons = start.configure(MEASURES, "balanced")
    assert config.networks["multi_instance"] == MODEL.replace(max_edge_px=15.0)
    assert "Edges that the run before did not have: c - d." in reasons[-1]
    assert not any("unless they become better" in reason for reason in reasons)
    start.check_skeleton(CHAIN)
    config, (reason,) = start.configure(MEASURES, "balanced")
    assert config.networks["multi_instance"] == MODEL
    assert "unless they become better" in reason


def test_other_nodes_and_damaged_weights_are_refused(run):
    folder, weights = run
    with pytest.raises(DataError, match="with the nodes a, b, c, d of the run"):
        restore(folder, Skeleton(("a", "b", "c"), CHAIN.edges))
    folder.write_weights("multi_instance", weights[:-1])
    with pytest.raises(ModelError, match="Copy the run folder again"):
        restore(folder, Skeleton(NODES, ((2, 3),)))


def test_fields_that_a_model_of_sleap_reads_elsewhere_are_told(tmp_path):
    start = open_start(write_model(tmp_path / "model", "multi_instance"))
    skeleton = Skeleton(("A", "B"), ((0, 1),))
    start.check_skeleton(skeleton)
    model = adapt_config(start.composition.models["multi_instance"], ModelConfig())
    trainer, told = build(skeleton, model), []
    trainer.restore = lambda checkpoint, anew=(): told.append((checkpoint, anew))
    start.restore(trainer, "multi_instance")
    ((checkpoint, anew),) = told
    assert anew == ("pafs",)
    np.testing.assert_equal(checkpoint.weights, trainer.network.get_weights())


@pytest.mark.slow
def test_a_run_goes_on_after_an_edge_was_added(tiny_labels, tiny_overrides, tmp_path):
    project = read_labels(tiny_labels)

    def joined(n_edges):
        skeleton = Skeleton(project.skeleton.nodes, project.skeleton.edges[:n_edges])
        poses = project.poses
        return project.with_poses(Poses.from_arrays(skeleton, frame=poses.frame, xy=poses.xy))

    before = train(
        joined(5), tmp_path / "before", pipeline="bottomup", overrides=tiny_overrides
    )  # fmt: skip
    events = []
    after = train(joined(6), tmp_path / "after", resume=before.path, on_event=events.append)
    assert RunFolder(after.path).read_skeleton().edges == project.skeleton.edges[:6]
    said = [event.message for event in events if isinstance(event, Log)]
    assert any("Edges that the run before did not have: " in message for message in said)
    assert any("has yet to learn what joins points" in message for message in said)
    first = next(event for event in events if isinstance(event, Metric))
    assert first.step > 0
    assert after.metrics["validation"]["n_frames"] == 3
