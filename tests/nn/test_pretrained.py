"""Files of weights: named ones are found, published ones downloaded, and never unasked."""

import hashlib
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError

import pytest

from napari_animalpose.config import ModelConfig
from napari_animalpose.errors import ConfigError, ModelError, OutputError
from napari_animalpose.nn import pretrained
from napari_animalpose.nn.encoders import MobileNetOptions, ResNetOptions, WeightsFile
from napari_animalpose.nn.pretrained import cache_folder, download_weights, find_weights

BODY = bytes(range(256)) * 4096  # 1 MiB
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()


def model(backbone="mobilenetv2", **options):
    return ModelConfig(backbone=backbone, backbone_options=options)


@pytest.fixture
def no_network(monkeypatch):
    """Count the attempts to reach the network, all of which fail."""
    attempts = []

    def refuse(url, timeout):
        attempts.append(url)
        raise URLError("Name or service not known")

    monkeypatch.setattr(pretrained, "urlopen", refuse)
    return attempts


@contextmanager
def serve(answer):
    """Serve every request by a function of the handler; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, *args):
            """Keep the output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/weights.h5"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(body, length):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


# ------------------------------------------------------------------------- never unasked
@pytest.mark.parametrize("backbone", ["unet", "leap", "resnet50", "mobilenetv2"])
def test_random_weights_need_no_file_and_no_network(backbone, no_network):
    assert find_weights(model(backbone)) is None
    assert no_network == []


def test_a_named_file_is_found_without_the_network(tmp_path, no_network, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "mine.weights.h5"
    file.write_bytes(b"")
    assert find_weights(model(weights=str(file))) == file
    assert find_weights(model(weights="~/mine.weights.h5")) == file
    assert no_network == []


@pytest.mark.parametrize("name", ["gone.h5", "weights.txt", "folder.h5"])
def test_a_file_that_is_none_is_refused(name, tmp_path, no_network):
    (tmp_path / "weights.txt").write_text("")
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(ModelError, match=r"^Expected a file of weights .*; received .*Correct"):
        find_weights(model(weights=str(tmp_path / name)))
    assert no_network == []


def test_an_encoder_that_neither_learns_nor_knows_is_refused(no_network):
    with pytest.raises(ConfigError, match=r"^Expected weights for an encoder that does not learn"):
        find_weights(model(trainable=False))


# ---------------------------------------------------------------------------- downloading
def test_without_network_the_error_says_what_to_do(no_network, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        find_weights(model(weights="imagenet"))
    message = str(caught.value)
    assert message.startswith("Expected to download the weights https://")
    assert "received Name or service not known." in message
    assert "backbone_options.weights=PATH" in message
    assert no_network == [MobileNetOptions().imagenet.url]
    assert list(cache_folder().iterdir()) == []  # nothing half done is left


def test_a_file_in_the_cache_is_not_downloaded_again(no_network, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    file = cache_folder() / MobileNetOptions(width=0.5).imagenet.name
    file.parent.mkdir()
    file.write_bytes(b"any")
    assert find_weights(model(weights="imagenet", width=0.5)) == file
    assert no_network == []


def test_a_damaged_file_in_the_cache_is_downloaded_again(no_network, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    file = cache_folder() / ResNetOptions().imagenet.name
    file.parent.mkdir()
    file.write_bytes(b"half of it")
    with pytest.raises(ModelError, match="received Name or service"):
        find_weights(model("resnet50", weights="imagenet"))
    assert no_network == [ResNetOptions().imagenet.url]
    assert file.read_bytes() == b"half of it"  # a failed download replaces nothing


def test_a_whole_file_arrives_with_its_progress(tmp_path):
    told = []
    with serve(send(BODY, len(BODY))) as url:
        path = download_weights(
            WeightsFile(url, MD5), tmp_path / "new", lambda done, total: told.append((done, total))
        )
    assert path == tmp_path / "new" / "weights.h5"
    assert path.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert sorted(told) == told


@pytest.mark.parametrize(
    ("answer", "md5", "received"),
    [
        (send(BODY, len(BODY)), "0" * 32, "a damaged file"),
        (send(BODY[:5000], len(BODY)), "", "5000 bytes"),
        (lambda handler: handler.send_error(404), "", "Not Found"),
    ],
)
def test_anything_else_is_refused_and_leaves_nothing(answer, md5, received, tmp_path):
    with serve(answer) as url, pytest.raises(ModelError, match=received):
        download_weights(WeightsFile(url, md5), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_silent_server_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "SILENCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/weights.h5"
        with pytest.raises(ModelError, match=r"received timed out\."):
            download_weights(WeightsFile(url), tmp_path)


def test_a_server_that_trickles_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "LIMIT_S", 0.2)

    def trickle(handler):
        send(b"", 10**9)(handler)
        try:
            while True:
                handler.wfile.write(b"x")
                time.sleep(0.02)
        except ConnectionError:
            return  # given up, as it should be

    with serve(trickle) as url, pytest.raises(ModelError, match=r"bytes in 0 s"):
        download_weights(WeightsFile(url), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_can_be_cancelled(tmp_path):
    class Cancelled(Exception):
        pass

    def cancel(done, total):
        raise Cancelled

    with serve(send(BODY, len(BODY))) as url, pytest.raises(Cancelled):
        download_weights(WeightsFile(url), tmp_path, cancel)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_an_error_about_the_cache(tmp_path, no_network):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        download_weights(WeightsFile("https://example.org/w.h5"), tmp_path / "file" / "models")
    assert no_network == []


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0, 1.3, 1.4])
def test_published_files_have_the_names_that_keras_gives_them(width):
    name = MobileNetOptions(width=width).imagenet.name
    assert name == f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_224_no_top.h5"
    assert ResNetOptions().imagenet.name.endswith("_notop.h5")
