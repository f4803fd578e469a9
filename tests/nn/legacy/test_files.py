"""A model file is data: what is damaged, hostile or not one of SLEAP is refused in one sentence."""

import io
import json
import stat
import zipfile

import h5py
import numpy as np
import pytest
from sleap_models import (
    RED,
    config_json,
    conv,
    every_second_pixel,
    layer,
    model_json,
    network,
    weigh,
    write_h5,
    write_model,
)  # fmt: skip

from napari_animalpose.errors import ModelError
from napari_animalpose.nn.legacy import files
from napari_animalpose.nn.legacy.files import find_models, is_sleap_model
from napari_animalpose.nn.legacy.loading import load_sleap_models
from napari_animalpose.nn.legacy.network import build_sleap_network

HEAD = "SingleInstanceConfmapsHead"


@pytest.fixture
def folder(tmp_path):
    return write_model(tmp_path / "model", "single_instance")


def refuses(path, match):
    with pytest.raises(ModelError, match=match) as error:
        load_sleap_models(path)
    assert str(error.value).startswith("Expected ")
    assert "; received " in str(error.value)


# ------------------------------------------------------------------------------ folders
def test_what_is_a_model_of_sleap_is_told_by_its_files(folder, tiny_run, tmp_path):
    assert is_sleap_model(folder)
    assert is_sleap_model(folder / "best_model.h5")
    assert is_sleap_model(folder / "training_config.json")
    assert is_sleap_model(tmp_path / "a.zip")
    assert not is_sleap_model(tiny_run.path)
    assert not is_sleap_model(tmp_path)


@pytest.mark.parametrize("name", ["best_model.h5", "training_config.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    refuses(folder, rf"Expected {name} in the model folder")


def test_another_file_of_weights_is_offered_and_can_be_named(folder):
    (folder / "best_model.h5").rename(folder / "latest_model.h5")
    refuses(folder, "To use latest_model.h5, name that file")
    (model,) = load_sleap_models(folder / "latest_model.h5")
    assert model.description.head == "single_instance"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "damaged file"),
        ("[" * 100_000, "damaged file"),
        ("[1, 2]", "received a list"),
        ("{}", "received no 'model'"),
        ('{"model": {"heads": {}}}', r"received the heads \(none\)"),
        ('{"model": {"heads": {"centroid": {"sigma": 1}}}}', "received no 'data'"),
        ('{"model": 3}', "configuration of a SLEAP model"),
    ],
)
def test_a_configuration_that_is_none_is_refused(folder, text, match):
    (folder / "training_config.json").write_text(text)
    refuses(folder, match)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["model"]["heads"].update(centroid={"sigma": 1}),
        lambda v: v["model"]["heads"]["single_instance"].update(output_stride=4000),
        lambda v: v["data"]["preprocessing"].update(input_scaling=-1),
        lambda v: v["data"]["preprocessing"].update(imagenet_mode="bogus"),
        lambda v: v["data"]["labels"].update(skeletons=[]),
        lambda v: v["data"]["labels"].update(skeletons=[{"links": [{"source": {"py/id": 9}}]}]),
        lambda v: v["model"]["heads"]["single_instance"].update(part_names=["A", "A"]),
    ],
)
def test_a_configuration_with_impossible_values_is_refused(folder, change):
    values = config_json("single_instance")
    change(values)
    (folder / "training_config.json").write_text(json.dumps(values))
    refuses(folder, "configuration of a SLEAP model")


def test_configuration_and_network_must_be_of_one_model(folder):
    for head in ("multi_instance", "centroid"):
        (folder / "training_config.json").write_text(json.dumps(config_json(head)))
        refuses(folder, "Its two files are not of one model")
    values = config_json("single_instance", output_stride=4)
    (folder / "training_config.json").write_text(json.dumps(values))
    refuses(folder, "Expected the output stride 4")


# -------------------------------------------------------------------------------- HDF5
def test_truncated_and_foreign_files_of_weights_are_refused(folder):
    path = folder / "best_model.h5"
    whole = path.read_bytes()
    for data in (b"", whole[: len(whole) // 2], b"PK" + bytes(1000)):
        path.write_bytes(data)
        refuses(folder, "damaged file")
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{"
    refuses(folder, "damaged file")


def test_weights_of_another_shape_and_missing_ones_are_refused(folder):
    model, weights = network("single_instance")
    (name,) = weights
    for arrays in ({}, {"kernel": weights[name]["kernel"]}, weigh(RED)):
        write_h5(folder / "best_model.h5", model, {name: arrays})
        refuses(folder, f"of the layer '{name}' with the shape")


def test_weights_in_other_files_are_refused(folder, tmp_path):
    model, weights = network("single_instance")
    (name,) = weights
    path = write_h5(folder / "best_model.h5", model, {name: {"bias": [0, 0]}})
    other = write_h5(tmp_path / "other.h5", model, weights)
    inner = f"model_weights/{name}/{name}"
    with h5py.File(path, "a") as file:
        file[f"{inner}/kernel:0"] = h5py.ExternalLink(str(other), f"{inner}/kernel:0")
    refuses(folder, "received none")
    with h5py.File(path, "a") as file:
        del file[f"{inner}/kernel:0"]
        layout = h5py.VirtualLayout((1, 1, 3, 2), np.float32)
        layout[...] = h5py.VirtualSource(str(other), f"{inner}/kernel:0", (1, 1, 3, 2))
        file.create_virtual_dataset(f"{inner}/kernel:0", layout)
    refuses(folder, "numbers in the file itself")


@pytest.fixture
def flattened(tmp_path):
    """A model whose identities are read from all 32 x 32 x 3 numbers of the pooled image."""
    folder = write_model(tmp_path / "flattened", "multi_class_topdown")
    maps, vectors = "CenteredInstanceConfmapsHead", "ClassVectorsHead"
    layers = [
        every_second_pixel("pool", "input"), conv(maps, "pool", 2),
        layer("flat", "Flatten", "pool", data_format="channels_last"),
        layer(vectors, "Dense", "flat", units=2, activation="softmax", use_bias=True),
    ]  # fmt: skip

    def write(kernel):
        weights = {maps: weigh(RED, RED), vectors: {"bias": [0.0, 0.0]}}
        path = write_h5(folder / "best_model.h5", model_json(layers, [maps, vectors]), weights)
        with h5py.File(path, "a") as file:
            file[f"model_weights/{vectors}/{vectors}"].create_dataset("kernel:0", **kernel)
        return folder

    return write


def test_flattened_maps_have_the_weights_of_one_size_of_the_image(flattened):
    for rows, fits in ((3072, True), (3071, False)):
        (model,) = load_sleap_models(flattened({"data": np.zeros((rows, 2), np.float32)}))
        if fits:
            assert build_sleap_network(model, "float32").count_params() == 8 + 3072 * 2 + 2
            continue
        with pytest.raises(ModelError, match=r"shape \(3072, 2\); received \(3071, 2\)"):
            build_sleap_network(model, "float32")


def test_a_small_file_that_claims_huge_weights_is_refused(flattened):
    """Eight terabytes of zeros, of which none is in the file."""
    kernel = {"shape": (10**12, 2), "dtype": np.float32, "chunks": (1024, 2)}
    folder = flattened(kernel)
    assert (folder / "best_model.h5").stat().st_size < 100_000
    refuses(folder, "at most 500,000,000 numbers as weights")


# ------------------------------------------------------------------------- white-list
def put(folder, layers, outputs=(HEAD,), channels=3, weights=None):
    layers = [*layers, conv(HEAD, layers[-1]["name"], 2)]
    weights = {HEAD: weigh(RED, RED), **(weights or {})}
    write_h5(folder / "best_model.h5", model_json(layers, list(outputs), channels), weights)


@pytest.mark.parametrize(
    "bad",
    [
        layer("code", "Lambda", "pool", function=["4wAAAA==", None, None], function_type="lambda"),
        layer("code", "TFOpLambda", "pool", function="math.multiply"),
        layer("code", "SlicingOpLambda", "pool", function="__operators__.getitem"),
        layer("code", "MyLayer", "pool", module="os"),
        layer("code", "Activation", "pool", activation="os.system"),
        layer("code", "Activation", "pool", activation={"class_name": "function", "config": "x"}),
        conv("code", "pool", 3, kernel_size=[100, 100]),
        conv("code", "pool", 10**9),
        conv("code", "pool", 3, padding="causal"),
        conv("code", "pool", 3, data_format="channels_first"),
        conv("code", "pool", 3, bogus=1),
        conv("code", "pool", 3, strides=[1, 2]),
        layer("code", "Concatenate", "pool", "input", axis=-1),
        layer("code", "Conv2DTranspose", "pool", filters=3, kernel_size=[3, 3], groups=2),
        layer("code", "Reshape", "pool", target_shape=[1, 1, 3]),
    ],
    ids=lambda bad: bad["class_name"],
)  # fmt: skip
def test_what_networks_of_sleap_do_not_have_is_refused(folder, bad):
    put(folder, [every_second_pixel("pool", "input"), bad])
    refuses(folder, "'code'")


def test_lambda_layers_are_refused_with_the_reason(folder):
    code = layer("lambda_1", "Lambda", "pool", function=["4wAA", None, None])
    put(folder, [every_second_pixel("pool", "input"), code])
    refuses(folder, r"received the Lambda layer 'lambda_1', which is code")


def test_the_code_of_sleaps_own_lambda_layers_is_not_looked_at(folder):
    """Known by name, done by a layer of ours; what the file carries is no valid code."""
    code = layer("tile_channels", "Lambda", "input", function=["not base64!", None, None])
    put(folder, [code, every_second_pixel("pool", "tile_channels")], channels=1)
    (model,) = load_sleap_models(folder)
    assert model.network.graph.channels == 1
    assert model.network.graph.shapes["pool"].channels == 3


def test_graphs_that_cannot_be_built_are_refused(folder):
    pool = every_second_pixel("pool", "input")
    loop = [every_second_pixel("a", "b"), every_second_pixel("b", "a")]
    put(folder, [pool, *loop])
    refuses(folder, "received a loop")
    shared = pool | {"inbound_nodes": [[["input", 0, 0, {}]], [["input", 0, 0, {}]]]}
    put(folder, [shared])
    refuses(folder, "used 2 times")
    doubled = [pool]
    for number in range(40):  # 3 * 2 ** 40 channels
        name = doubled[-1]["name"]
        doubled.append(layer(f"c{number}", "Concatenate", name, name, axis=-1))
    put(folder, doubled)
    refuses(folder, "at most 500,000,000 parameters")
    with h5py.File(folder / "best_model.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {}})
        file.create_group("model_weights")
    refuses(folder, "received the class 'Sequential'")


# --------------------------------------------------------------------------------- zips
def pack(tmp_path, members):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "a/../../evil.txt", "/etc/evil.txt", "..\\evil.txt", "C:\\evil.txt",
     "C:/evil.txt"],
)  # fmt: skip
def test_a_zip_that_points_outside_of_its_folder_is_refused(folder, tmp_path, name):
    members = [(path.name, path.read_bytes()) for path in folder.iterdir()]
    refuses(pack(tmp_path, [*members, (name, b"")]), "points outside of its folder")
    assert not list(tmp_path.rglob("evil*"))


def test_a_zip_with_a_link_is_refused(folder, tmp_path):
    link = zipfile.ZipInfo("best_model.h5")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    config = (folder / "training_config.json").read_bytes()
    path = pack(tmp_path, [("training_config.json", config), (link, "/etc/passwd")])
    refuses(path, "is a link")


def test_huge_and_damaged_zips_are_refused(folder, tmp_path, monkeypatch):
    members = [(path.name, path.read_bytes()) for path in folder.iterdir()]
    path = pack(tmp_path, members)
    monkeypatch.setattr(files, "MOST_BYTES", 1000)
    refuses(path, "at most 0 MB")
    refuses(folder, "at most 0 MB")
    monkeypatch.undo()
    monkeypatch.setattr(files, "MOST_MEMBERS", 1)
    refuses(path, "at most 1 files; received 2")
    monkeypatch.undo()
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    refuses(path, "which is damaged")
    buffer = io.BytesIO(whole)
    damaged = bytearray(buffer.getvalue())
    place = damaged.find((folder / "training_config.json").read_bytes())
    damaged[place] ^= 255  # the checksum notices
    path.write_bytes(bytes(damaged))
    refuses(path, "damaged file")


def test_a_zip_without_a_model_is_refused(folder, tmp_path):
    refuses(pack(tmp_path, [("readme.txt", "")]), "side by side")
    refuses(pack(tmp_path, [("a/training_config.json", ""), ("best_model.h5", "")]), "side by side")
    assert len(find_models(pack(tmp_path, [("a/b/training_config.json", ""),
                                           ("a/b/best_model.h5", "")]))) == 1  # fmt: skip
