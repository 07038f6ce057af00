"""Every runtime that is found by its file keeps the promises of `runtimes.base`."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtimes import devices, get_runtime, runtime_names
from runtimes.errors import (
    ArtifactError,
    DeviceUnavailableError,
    EdgepressError,
    ModelError,
    UsageError,
)
from runtimes.registry import get_task, task_names

RUNTIMES = runtime_names()
IDS = np.array([[2, 4, 5, 3], [2, 6, 3, 0]])
INPUTS = {"input_ids": IDS, "attention_mask": (IDS > 0).astype(np.int64)}


@pytest.fixture
def model_path(
    tmp_path: Path,
    checkpoint: Path,
    write_onnx: Callable[..., Path],
    write_openvino: Callable[..., Path],
) -> Callable[[str], Path]:
    """`model_path(format)`: the tiny model in a format."""
    writers = {
        "onnx": lambda: write_onnx(tmp_path / "model.onnx"),
        "openvino": lambda: write_openvino(tmp_path / "model.xml"),
        "huggingface": lambda: checkpoint,
    }
    return lambda format_name: writers[format_name]()


def test_runtimes_are_found_by_file_with_the_preferred_first() -> None:
    assert RUNTIMES == ("onnxruntime", "openvino", "pytorch")
    assert task_names() == (
        "fill-mask",
        "multiple-choice",
        "question-answering",
        "sentence-embedding",
        "text-classification",
        "token-classification",
    )
    assert get_task("text-classification").SPEC.name == "text-classification"
    with pytest.raises(UsageError, match="onnxruntime, openvino, pytorch") as caught:
        get_runtime("openvno")
    assert caught.value.hint == "Did you mean openvino?"
    with pytest.raises(UsageError, match="text-classification"):
        get_task("base")


@pytest.mark.parametrize("name", RUNTIMES)
class TestEveryRuntime:
    def test_it_is_named_after_its_file(self, name: str) -> None:
        found = get_runtime(name).NAME
        assert found == name

    def test_it_lists_its_devices_and_the_reasons_for_absent_ones(self, name: str) -> None:
        found = {info.device: info for info in get_runtime(name).devices()}
        assert found["cpu"].available
        for info in found.values():
            assert info.runtime == name
            assert info.detail
        assert set(found.values()) <= set(devices())

    def test_it_runs_each_of_its_formats(
        self, name: str, model_path: Callable[[str], Path], token_vectors: np.ndarray
    ) -> None:
        for model_format in get_runtime(name).FORMATS:
            session = get_runtime(name).open_model(
                model_path(model_format), threads=1, precision="fp32"
            )
            assert (session.runtime, session.device) == (name, "cpu")
            assert session.precision == "fp32"
            inputs = {n: INPUTS.get(n, np.zeros_like(IDS)) for n in session.input_names}
            first = session.run(inputs)["logits"]
            assert first.shape == (2, 3)
            assert first.dtype == np.float32
            kept = first.copy()
            alone = session.run({n: a[1:, :3].copy() for n, a in inputs.items()})["logits"]
            np.testing.assert_allclose(alone[0], first[1], atol=1e-5)  # padding changes nothing
            np.testing.assert_array_equal(first, kept)  # results outlive the next call
            if model_format != "huggingface":
                mean = token_vectors[[2, 6, 3]].mean(0)
                np.testing.assert_allclose(first[1], mean, atol=1e-5)
            session.close()

    def test_no_set_of_options_changes_what_it_answers(
        self, name: str, model_path: Callable[[str], Path]
    ) -> None:
        runtime = get_runtime(name)
        path = model_path(runtime.FORMATS[0])
        answers = []
        for options in runtime.TUNABLE:
            session = runtime.open_model(path, precision="fp32", options=options)
            inputs = {n: INPUTS.get(n, np.zeros_like(IDS)) for n in session.input_names}
            answers.append(session.run(inputs)["logits"])
            session.close()
        for answer in answers:
            np.testing.assert_allclose(answer, answers[0], atol=1e-5)

    def test_a_device_that_does_not_exist_is_refused(
        self, name: str, model_path: Callable[[str], Path]
    ) -> None:
        path = model_path(get_runtime(name).FORMATS[0])
        with pytest.raises(DeviceUnavailableError, match="abacus"):
            get_runtime(name).open_model(path, device="abacus", precision="fp32")

    def test_a_device_that_is_absent_is_refused_with_its_reason(
        self, name: str, model_path: Callable[[str], Path]
    ) -> None:
        path = model_path(get_runtime(name).FORMATS[0])
        for info in get_runtime(name).devices():
            if not info.available:
                with pytest.raises(DeviceUnavailableError) as caught:
                    get_runtime(name).open_model(path, device=info.device, precision="fp32")
                assert info.detail in caught.value.message

    def test_a_file_that_is_no_model_is_named(self, name: str, tmp_path: Path) -> None:
        runtime = get_runtime(name)
        path = tmp_path / {"onnx": "m.onnx", "openvino": "m.xml"}.get(runtime.FORMATS[0], "m")
        with pytest.raises(EdgepressError, match=path.name):
            runtime.open_model(path, precision="fp32")
        path.write_bytes(b"no model")
        with pytest.raises(EdgepressError, match=path.name):
            runtime.open_model(path, precision="fp32")


class TestOnnxRuntime:
    def test_falling_back_to_the_cpu_is_warned_of_and_reported(
        self, monkeypatch: pytest.MonkeyPatch, model_path: Callable[[str], Path]
    ) -> None:
        import onnxruntime

        # A GPU build whose driver does not start: the provider is listed, the session lacks it.
        listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
        path = model_path("onnx")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Specified provider")
            with pytest.warns(RuntimeWarning, match=r"CUDAExecutionProvider .* on the CPU"):
                session = get_runtime("onnxruntime").open_model(
                    path, device="cuda", precision="fp32"
                )
        assert session.device == "cpu"

    def test_products_that_the_provider_left_to_the_cpu_are_warned_of_and_reported(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        import onnxruntime
        from onnx import TensorProto, helper, save

        nodes = [helper.make_node("MatMul", ["a", "b"], ["c"])]
        one, other = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in "ab"
        )
        product = helper.make_tensor_value_info("c", TensorProto.FLOAT, [2, 2])
        graph = helper.make_graph(nodes, "product", [one, other], [product])
        opset = [helper.make_opsetid("", 18)]
        save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "model.onnx")

        class Started(onnxruntime.InferenceSession):  # type: ignore[misc]
            """CUDA is there, and has a kernel for nothing."""

            def get_providers(self) -> list[str]:
                return ["CUDAExecutionProvider", "CPUExecutionProvider"]

        listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
        monkeypatch.setattr(onnxruntime, "InferenceSession", Started)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Specified provider")
            with pytest.warns(RuntimeWarning, match="most matrix products"):
                session = get_runtime("onnxruntime").open_model(
                    tmp_path / "model.onnx", device="cuda", precision="fp32"
                )
        assert session.device == "cpu"

    def test_two_builds_that_overwrite_each_other_are_pointed_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import importlib.metadata

        import onnxruntime

        monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.0")
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [])
        [cuda] = [d for d in get_runtime("onnxruntime").devices() if d.device == "cuda"]
        assert "overwrite each other" in cuda.detail
        assert cuda.hint
        assert "pip uninstall onnxruntime onnxruntime-gpu" in cuda.hint

    def test_inputs_that_the_graph_does_not_take_are_left_out(
        self, model_path: Callable[[str], Path]
    ) -> None:
        session = get_runtime("onnxruntime").open_model(model_path("onnx"), precision="fp32")
        more = {**INPUTS, "token_type_ids": np.zeros_like(IDS)}
        np.testing.assert_array_equal(session.run(more)["logits"], session.run(INPUTS)["logits"])


class TestOpenVino:
    def test_fp32_is_kept_to_where_the_library_would_choose_less(
        self, model_path: Callable[[str], Path]
    ) -> None:
        path = model_path("openvino")
        session: Any = get_runtime("openvino").open_model(path, precision="fp32")
        compiled = session._request.get_compiled_model()
        assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"

    @pytest.mark.parametrize("declared", ["int8", "auto"])
    @pytest.mark.parametrize("quantized", [True, False])
    def test_int8_is_reported_where_integers_really_execute(
        self, tmp_path: Path, declared: str, quantized: bool
    ) -> None:
        path = _write_dense_model(tmp_path / "model.xml", quantized=quantized)
        session = get_runtime("openvino").open_model(path, precision=declared)
        assert (session.precision == "int8") is quantized

    @pytest.mark.parametrize("declared", ["int8", "auto"])
    @pytest.mark.parametrize("device", ["cpu", "auto"])
    @pytest.mark.parametrize("quantized", [True, False])
    def test_int8_models_compute_in_fp32_between_integer_products(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        declared: str,
        device: str,
        quantized: bool,
    ) -> None:
        """In bf16, OpenVINO's choice on CPUs with AMX, single lengths are answered wrongly.

        Other CPUs take fp32 by themselves, so what the library is asked for is looked at.
        """
        from runtimes.adapters.openvino import import_openvino

        openvino = import_openvino()
        asked: list[dict[str, Any]] = []

        class Core(openvino.Core):  # type: ignore[name-defined,misc]
            def compile_model(self, model: Any, name: str, config: dict[str, Any]) -> Any:
                asked.append(config)
                return super().compile_model(model, name, config)

        monkeypatch.setattr(openvino, "Core", Core)
        monkeypatch.setattr("runtimes.adapters.openvino.limited_cores", lambda: None)
        path = _write_dense_model(tmp_path / "model.xml", quantized=quantized)
        get_runtime("openvino").open_model(path, device=device, precision=declared)
        hint = {"INFERENCE_PRECISION_HINT": "f32"} if quantized else {}
        expected = hint if device == "cpu" or not hint else {"DEVICE_PROPERTIES": {"CPU": hint}}
        assert asked == [{"PERFORMANCE_HINT": "LATENCY", **expected}]
        alone = {"workarounds": False}  # as it opens for who uses the library without us
        get_runtime("openvino").open_model(path, device=device, precision=declared, options=alone)
        assert asked[1] == {"PERFORMANCE_HINT": "LATENCY"}

    def test_inputs_of_another_type_are_converted_and_kept(self, tmp_path: Path) -> None:
        from runtimes.adapters.openvino import import_openvino

        openvino = import_openvino()
        op, names = openvino.opset13, ("input_ids", "attention_mask", "token_type_ids")
        ports = [op.parameter([-1, -1], np.int32, name=name) for name in names]
        for port, name in zip(ports, names, strict=True):
            port.output(0).set_names({name})
        total = op.constant(np.int32(0))
        for scale, port in zip((100, 10, 1), ports, strict=True):
            total = op.add(total, op.multiply(port, op.constant(np.int32(scale))))
        logits = op.result(op.convert(total, "f32"))
        logits.input(0).get_source_output().set_names({"logits"})
        openvino.save_model(openvino.Model([logits], ports), tmp_path / "model.xml")
        session = get_runtime("openvino").open_model(tmp_path / "model.xml", precision="fp32")
        inputs = {name: np.full((64, 64), i, dtype=np.int64) for i, name in enumerate(names, 1)}
        for _ in range(20):
            np.testing.assert_array_equal(session.run(inputs)["logits"], 123)


def _write_dense_model(path: Path, *, quantized: bool) -> Path:
    """One matrix product, its inputs quantized to 8 bits (or not), as NNCF writes it."""
    from runtimes.adapters.openvino import import_openvino

    openvino = import_openvino()
    op = openvino.opset13
    ids = op.parameter([-1, -1], np.int64, name="input_ids")
    ids.output(0).set_names({"input_ids"})
    table = op.constant(np.random.default_rng(0).normal(size=(13, 64)).astype(np.float32))
    vectors = op.gather(table, ids, op.constant(np.int64(0)))
    weights = op.constant(np.random.default_rng(1).normal(size=(64, 64)).astype(np.float32))
    if quantized:
        low, high = op.constant(np.float32(-4)), op.constant(np.float32(4 * 127 / 128))
        vectors = op.fake_quantize(vectors, low, high, low, high, 256)
        low, high = op.constant(np.float32(-4)), op.constant(np.float32(4))
        weights = op.fake_quantize(weights, low, high, low, high, 255)
    product = op.matmul(vectors, weights, False, True)
    logits = op.result(op.reduce_sum(product, op.constant(np.int64(1))))
    logits.input(0).get_source_output().set_names({"logits"})
    openvino.save_model(openvino.Model([logits], [ids]), path, compress_to_fp16=False)
    return path


def test_damaged_models_are_artifact_errors(tmp_path: Path) -> None:
    for name, file in (("onnxruntime", "a.onnx"), ("openvino", "a.xml")):
        with pytest.raises(ArtifactError, match="there is no such file"):
            get_runtime(name).open_model(tmp_path / file, precision="fp32")


def test_openvino_chooses_a_device_and_says_which(model_path: Callable[[str], Path]) -> None:
    session = get_runtime("openvino").open_model(
        model_path("openvino"), device="auto", precision="fp32"
    )
    assert session.device in {info.device for info in devices() if info.available}


def test_openvino_compiles_one_model_for_each_of_a_few_lengths(
    model_path: Callable[[str], Path],
) -> None:
    session: Any = get_runtime("openvino").open_model(
        model_path("openvino"), precision="fp32", options={"buckets": True}
    )
    for length in (1, 5, 8, 9, 16):
        ids = np.full((1, length), 4, dtype=np.int64)
        session.run({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert sorted(session._sessions) == [8, 16]


@pytest.mark.parametrize("kind", ["bert", "lean"])
def test_what_is_captured_as_a_graph_computes_the_same(kind: str, checkpoint: Path) -> None:
    """As far as a machine without CUDA can tell: with a mask that is arithmetic alone."""
    from compress.encoder.importers.registry import import_encoder
    from runtimes.adapters.pytorch import GraphedSession

    plain: Any = get_runtime("pytorch").open_model(checkpoint, precision="fp32")
    model = plain.model if kind == "bert" else import_encoder(checkpoint).model
    session = GraphedSession(model, "cpu", "fp32")
    mask = np.ones_like(IDS)
    mask[0, -1] = 0
    inputs = {"input_ids": IDS, "attention_mask": mask, "token_type_ids": np.zeros_like(IDS)}
    tensors = {name: session._from_numpy(inputs[name]) for name in plain.input_names}
    with session._inference_mode():
        logits = session._forward(tensors).numpy()
    expected = plain.run({name: inputs[name] for name in plain.input_names})["logits"]
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_pytorch_quantizes_linear_layers(checkpoint: Path) -> None:
    runtime = get_runtime("pytorch")
    logits = {}
    for precision in ("fp32", "bf16", "int8"):
        session: Any = runtime.open_model(checkpoint, precision=precision)
        assert session.precision == precision
        inputs = {n: INPUTS.get(n, np.zeros_like(IDS)) for n in session.input_names}
        logits[precision] = session.run(inputs)["logits"]
    for precision in ("bf16", "int8"):
        difference = np.abs(logits[precision] - logits["fp32"]).max()
        assert 0 < difference < 0.1 * np.abs(logits["fp32"]).max()


def test_pytorch_refuses_what_a_device_does_not_have(checkpoint: Path) -> None:
    with pytest.raises(DeviceUnavailableError, match="cuda"):
        get_runtime("pytorch").open_model(checkpoint, precision="fp32", options={"graphs": True})
    with pytest.raises(ModelError, match="fp4"):
        get_runtime("pytorch").open_model(checkpoint, precision="fp4")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_cuda_graphs_answer_like_eager_pytorch(checkpoint: Path, precision: str) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    runtime = get_runtime("pytorch")
    eager = runtime.open_model(checkpoint, device="cuda", precision=precision)
    graphs: Any = runtime.open_model(
        checkpoint, device="cuda", precision=precision, options={"graphs": True}
    )
    inputs = {n: INPUTS.get(n, np.zeros_like(IDS)) for n in eager.input_names}
    for _ in range(2):  # captured, then replayed
        np.testing.assert_allclose(
            graphs.run(inputs)["logits"], eager.run(inputs)["logits"], atol=2e-2
        )
    assert list(graphs._graphs) == [(2, 8)]
