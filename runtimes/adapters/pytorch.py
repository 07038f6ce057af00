"""PyTorch: Hugging Face checkpoints, eager; the full-precision reference of every comparison.

The only module of `runtimes` that uses torch and transformers; nothing that goes to a device needs
it.
"""

import importlib.util
import inspect
import json
import shlex
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtimes.base import CLOSED, Array, DeviceInfo, Session, TextInput, known_options
from runtimes.buckets import bucket_of, filled
from runtimes.checkpoint import check_checkpoint, open_whole
from runtimes.errors import DeviceUnavailableError, MissingDependencyError, ModelError
from runtimes.extras import install_extra
from runtimes.hf_config import labels_of, read_hf_config
from runtimes.pooling import Pooling
from runtimes.quiet import without_bars
from runtimes.registry import get_task, task_names
from runtimes.tokenization import (
    INPUT_NAMES,
    Rows,
    TextTokenizer,
    check_questions,
    whole_characters,
    window_overlap,
)

__all__ = [
    "DISTRIBUTIONS",
    "FORMATS",
    "MODEL_FILES",
    "NAME",
    "PREFERENCE",
    "REQUIREMENT",
    "TITLE",
    "TUNABLE",
    "GraphedSession",
    "PyTorchSession",
    "Reference",
    "StockTokenizer",
    "devices",
    "open_model",
    "open_reference",
]

NAME = "pytorch"
TITLE = "PyTorch"
PREFERENCE = 90
FORMATS = ("huggingface",)
MODEL_FILES: tuple[str, ...] = ()
DISTRIBUTIONS = ("torch", "transformers")
REQUIREMENT = ""
READS_CONTENTS = False
TUNABLE: tuple[Mapping[str, Any], ...] = ({},)

_DTYPES = {
    "auto": "float32",
    "fp32": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "int8": "float32",  # loaded in it, then quantized
}
_CHECKPOINTS = "edgepress.checkpoints"
_INSTALL = (
    "Install the extra [compress], or these three: "
    'pip install "torch>=2.13" "transformers>=5.18" "accelerate>=1.15"'
)


class PyTorchSession:
    """A Transformers model in eager mode; satisfies `runtimes.base.Session`.

    Attributes:
        model: The Transformers model, on its device, in evaluation mode.
    """

    runtime = NAME

    def __init__(self, model: Any, device: str, precision: str) -> None:
        import torch

        self.model = model
        self.device = device
        self.precision = precision
        self.input_names = _input_names(model)
        self._from_numpy = torch.from_numpy
        self._inference_mode = torch.inference_mode
        # Transformers has such models take all choices of a question at once: (B, K, T).
        self._nested = any(
            spec.nested and type(model).__name__.endswith(spec.model_suffix)
            for spec in (get_task(name).SPEC for name in task_names())
        )

    def run(self, inputs: Mapping[str, NDArray[np.int64]]) -> dict[str, Array]:
        """Run one batch of int64 (B, T) arrays; returns `logits`, float32 (B, C) or (B, T, C), of a
        model without a head the vectors of the tokens (B, T, H)."""
        tensors = {
            name: self._from_numpy(inputs[name]).to(self.device) for name in self.input_names
        }
        if self._nested:
            tensors = {name: tensor[:, None] for name, tensor in tensors.items()}
        with self._inference_mode():
            logits = _logits_of(self.model(**tensors))
            return {"logits": logits.float().cpu().numpy()}

    def close(self) -> None:
        """Free the model's memory."""
        self.model = CLOSED


def _logits_of(output: Any) -> Any:
    """Return (B, C) or (B, T, C): of question answering start and end as two columns, of a model
    without a head the tokens' vectors."""
    import torch

    if "logits" not in output and "last_hidden_state" in output:
        return output.last_hidden_state
    if "start_logits" in output:
        return torch.stack([output.start_logits, output.end_logits], dim=-1)
    return output.logits


class GraphedSession(PyTorchSession):
    """The model as one CUDA graph for each number of rows and length filled up to a bucket.

    At batch 1 a GPU waits for Python to launch the next kernel; a graph launches them all at once.
    A shape is captured when it is first met. Calls from several threads are made in turn: a graph
    has its inputs and outputs at fixed addresses.
    """

    def __init__(self, model: Any, device: str, precision: str) -> None:
        import torch

        super().__init__(model, device, precision)
        if model.config.model_type.startswith("deberta"):
            raise ModelError(
                "DeBERTa cannot be captured as a CUDA graph: Transformers reads its mask as numbers"
            )
        self._graphs: dict[tuple[int, int], tuple[Any, dict[str, Any], Any]] = {}
        self._lock = threading.Lock()
        self._least = torch.finfo(model.dtype).min

    def run(self, inputs: Mapping[str, NDArray[np.int64]]) -> dict[str, Array]:
        """Run one batch of int64 (B, T) arrays; returns `logits`, float32 (B, C) or (B, T, C)."""
        rows, length = inputs["input_ids"].shape
        config = self.model.config
        longest = getattr(config, "max_position_embeddings", None) or length
        bucket = max(length, min(bucket_of(length), longest))
        inputs = {name: inputs[name] for name in self.input_names}
        tensors = {
            name: self._from_numpy(array)
            for name, array in filled(inputs, bucket, config.pad_token_id or 0).items()
        }
        with self._lock, self._inference_mode():
            if (rows, bucket) not in self._graphs:
                self._graphs[rows, bucket] = self._captured(tensors)
            graph, static, logits = self._graphs[rows, bucket]
            for name, tensor in tensors.items():
                static[name].copy_(tensor)
            graph.replay()
            # What was filled up answers too, where every token does.
            own = logits[:, :length] if logits.ndim == 3 else logits
            return {"logits": own.float().cpu().numpy()}

    def close(self) -> None:
        """Free the model's memory."""
        self._graphs.clear()
        super().close()

    def _captured(self, tensors: dict[str, Any]) -> tuple[Any, dict[str, Any], Any]:
        """(graph, its inputs, its output) for inputs of these shapes."""
        import torch

        static = {name: tensor.to(self.device) for name, tensor in tensors.items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # libraries set themselves up outside of the capture
            for _ in range(3):
                self._forward(static)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = self._forward(static)
        return graph, static, logits

    def _forward(self, tensors: dict[str, Any]) -> Any:
        """Logits; with a mask that is arithmetic alone, because Transformers looks into one of
        zeros and ones, and a graph cannot wait for what it sees.
        """
        if self.model.config.model_type != "lean-encoder":  # which does not look
            padding = 1.0 - tensors["attention_mask"].to(self.model.dtype)
            tensors = {**tensors, "attention_mask": (padding * self._least)[:, None, None, :]}
        return _logits_of(self.model(**tensors))


class StockTokenizer:
    """The checkpoint's own `AutoTokenizer`; satisfies `runtimes.tokenization.TextTokenizer`.

    Attributes:
        tokenizer: The Transformers tokenizer.
        max_length: Longest input in tokens.
        pad_token_id: Fills shorter rows.
        subword_prefix: As in `runtimes.tokenization.TextTokenizer`.
        unknown_token: Likewise.
    """

    def __init__(self, tokenizer: Any, max_length: int, *, windows: bool = False) -> None:
        self._windows = windows
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.pad_token_id = int(tokenizer.pad_token_id or 0)
        model = tokenizer.backend_tokenizer.model if tokenizer.is_fast else None
        self.subword_prefix = getattr(model, "continuing_subword_prefix", None)
        self.unknown_token = tokenizer.unk_token

    def encode(
        self, inputs: Sequence[TextInput], names: Sequence[str] = INPUT_NAMES
    ) -> dict[str, NDArray[np.int64]]:
        """Encode B texts or pairs: one int64 (B, T) array a name, right-padded to the longest."""
        encoded = self._call(inputs, padding=True, return_tensors="np")
        ids = encoded["input_ids"]
        # Families without segments do not return token types.
        return {name: encoded[name] if name in encoded else np.zeros_like(ids) for name in names}

    def encode_one(
        self, text: TextInput, names: Sequence[str] = INPUT_NAMES
    ) -> dict[str, NDArray[np.int64]]:
        """Encode one text or pair: int64 (1, T) arrays."""
        return self.encode([text], names)

    def rows(self, inputs: Sequence[TextInput], *, offsets: bool = False) -> Rows:
        """N texts or pairs tokenized once; see `runtimes.tokenization.TextTokenizer.rows`."""
        encoded = self._call(inputs, windows=offsets and self._windows)
        ids = encoded["input_ids"]
        nothing = [[0] * len(row) for row in ids]  # families without segments return no token types
        return Rows(
            {name: encoded.get(name, nothing) for name in INPUT_NAMES},
            {
                "input_ids": self.pad_token_id,
                "attention_mask": 0,
                "token_type_ids": int(self.tokenizer.pad_token_type_id),
            },
            encoded.encodings if offsets else (),
            encoded.get("overflow_to_sample_mapping", range(len(ids))),
        )

    def truncated(self, inputs: Sequence[TextInput]) -> list[bool]:
        """Return which of N texts or pairs are cut to `max_length`."""
        if self._windows:
            return [False] * len(inputs)
        return [bool(row.overflowing) for row in self._call(inputs).encodings]

    def decode(self, tokens: list[str]) -> str:
        """Tokens as text."""
        return str(self.tokenizer.convert_tokens_to_string(tokens))

    def token(self, index: int) -> str:
        """Return the token with an id."""
        return str(self.tokenizer.convert_ids_to_tokens(index))

    def _call(self, inputs: Sequence[TextInput], *, windows: bool = False, **options: Any) -> Any:
        texts = [item if isinstance(item, str) else item[0] for item in inputs]
        pairs = [item[1] for item in inputs if not isinstance(item, str)]
        if pairs and len(pairs) != len(texts):
            raise TypeError("A batch holds either texts or pairs of texts, not both.")
        if self._windows:
            check_questions(self.tokenizer.backend_tokenizer, texts, self.max_length)
        asked = partial(
            self.tokenizer,
            truncation="only_second" if self._windows else True,
            max_length=self.max_length,
            padding_side="right",
            **(_windowed(self.max_length) if windows else {}),
            **options,
        )
        try:
            return asked(texts, pairs or None)
        except (TypeError, UnicodeError):  # half of a surrogate pair: as our own tokenizer has it
            whole = [[whole_characters(text) for text in each] for each in (texts, pairs)]
            return asked(whole[0], whole[1] or None)


def _windowed(max_length: int) -> dict[str, Any]:
    return {"stride": window_overlap(max_length), "return_overflowing_tokens": True}


@dataclass(frozen=True)
class Reference:
    """A checkpoint opened as its authors would, with all that a `Predictor` needs.

    Attributes:
        session: The model.
        tokenizer: The stock tokenizer.
        task: Name of what it was fine-tuned for.
        labels: Class names, in the order of the model's outputs.
        problem_type: As configured.
        pooling: How sentence vectors are made of the outputs, if they are.
        answer_one: One text to `{"label", "score"}` in hand-written Transformers code; None where
            its scores are no softmax.
    """

    session: PyTorchSession
    tokenizer: TextTokenizer
    task: str
    labels: tuple[str, ...]
    problem_type: str
    pooling: Pooling | None
    answer_one: Callable[[str], dict[str, Any]] | None


def devices() -> list[DeviceInfo]:
    """Return the CPU and CUDA, absent ones with the reason."""
    try:
        import torch
    except ImportError as error:
        return [DeviceInfo(NAME, "cpu", False, f"PyTorch cannot be imported: {error}", _INSTALL)]
    if importlib.util.find_spec("transformers") is None:  # found, not imported: that takes seconds
        return [DeviceInfo(NAME, "cpu", False, "transformers is not installed", _INSTALL)]
    cpu = DeviceInfo(NAME, "cpu", True, f"PyTorch {torch.__version__}")
    if torch.cuda.is_available():
        return [cpu, DeviceInfo(NAME, "cuda", True, torch.cuda.get_device_name())]
    return [cpu, DeviceInfo(NAME, "cuda", False, *_no_cuda(torch))]


def open_model(
    path: Path,
    *,
    device: str = "cpu",
    threads: int | None = None,
    precision: str,
    options: Mapping[str, Any] | None = None,
    contents: Mapping[Path, bytes] | None = None,  # noqa: ARG001 - checkpoints are read from disk
) -> Session:
    """Open a Hugging Face checkpoint folder; see `runtimes.base.Runtime.open_model`.

    Args:
        path: Folder with `config.json` and `model.safetensors`.
        device: `"cpu"` or `"cuda"`.
        threads: PyTorch's thread count, which is one for the whole process; None leaves it.
        precision: `"fp32"`, `"bf16"` or `"fp16"`: the weights are converted to it. `"int8"`:
            linear layers are quantized, their inputs as they come (CPU only).
        options: `graphs`: whether to run captured CUDA graphs (CUDA only).
        contents: Not looked at: artifacts hold no checkpoints.

    Raises:
        ModelError: The folder is no checkpoint, holds only pickled weights or code of its own, or
            fails to load.
        MissingDependencyError: torch or transformers is not installed.
        DeviceUnavailableError: The device is not there.
    """
    wanted = known_options(NAME, options, graphs=False)
    return _open(path, device=device, threads=threads, precision=precision, graphs=wanted["graphs"])


def open_reference(
    path: Path,
    *,
    device: str = "cpu",
    threads: int | None = None,
    precision: str = "fp32",
    options: Mapping[str, Any] | None = None,
) -> Reference:
    """Open a checkpoint folder with its stock tokenizer; arguments and errors as `open_model`."""
    session: Any = open_model(
        path, device=device, threads=threads, precision=precision, options=options
    )
    _, transformers = _libraries()
    try:
        stock = transformers.AutoTokenizer.from_pretrained(
            str(path), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        raise ModelError(f"The tokenizer of {path} cannot be loaded: {error}") from error
    config = session.model.config
    noted = read_hf_config(path)
    task = get_task(noted.task)
    names = [config.id2label[index] for index in range(config.num_labels)]
    labels = labels_of(noted.task, names)
    problem_type = config.problem_type or "single_label_classification"
    max_length = noted.max_length
    one_label = problem_type == "single_label_classification" and len(labels) > 1
    softmax = hasattr(task, "postprocess_one") and one_label
    by_hand = softmax and type(session) is PyTorchSession
    return Reference(
        session=session,
        tokenizer=StockTokenizer(stock, max_length, windows=task.SPEC.windows),
        task=noted.task,
        labels=labels,
        problem_type=problem_type,
        pooling=noted.pooling,
        answer_one=_by_hand(session.model, stock, max_length, session.device) if by_hand else None,
    )


def _by_hand(
    model: Any, tokenizer: Any, max_length: int, device: str
) -> Callable[[str], dict[str, Any]]:
    """Return the code that a user writes: nothing of ours lies between the text and the label."""
    import torch

    read = partial(tokenizer, truncation=True, max_length=max_length, return_tensors="pt")

    def answer(text: str) -> dict[str, Any]:
        try:
            inputs = read(text)
        except (TypeError, UnicodeError):  # half of a surrogate pair
            inputs = read(whole_characters(text))
        with torch.inference_mode():
            logits = model(**inputs.to(device)).logits
        score, index = logits[0].softmax(-1).max(-1)
        return {"label": model.config.id2label[index.item()], "score": score.item()}

    return answer


def _open(
    path: Path, *, device: str, threads: int | None, precision: str, graphs: bool = False
) -> PyTorchSession:
    torch, transformers = _libraries()
    if device not in ("cpu", "cuda"):
        raise DeviceUnavailableError(
            f"PyTorch cannot use the device {device!r}; it knows cpu and cuda."
        )
    if device == "cuda" and not torch.cuda.is_available():
        reason, hint = _no_cuda(torch)
        raise DeviceUnavailableError(f"PyTorch cannot use CUDA: {reason}.", hint=hint)
    if precision not in _DTYPES:
        raise ModelError(
            f"PyTorch opens checkpoints in fp32, bf16, fp16 or int8, not in {precision!r}."
        )
    if device == "cuda" and precision == "int8":
        raise ModelError("PyTorch has no INT8 linear layers on CUDA.", hint="ask for fp16 or bf16")
    if device == "cpu" and graphs:
        raise DeviceUnavailableError("CUDA graphs need the device cuda.")
    task = get_task(read_hf_config(path).task).SPEC
    if graphs and task.nested:
        raise ModelError(f"CUDA graphs are not made of models of {task.name}.")
    _check_checkpoint(path)
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        with without_bars():
            model = open_whole(
                getattr(transformers, task.auto_class),
                path,
                task,
                dtype=getattr(torch, _DTYPES[precision]),
                local_files_only=True,
            )
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"The checkpoint {path} cannot be loaded: {error}") from error
    model.eval().to(device)
    if precision == "int8":
        _quantize_linear_layers(model)
    kind = GraphedSession if graphs else PyTorchSession
    return kind(model, device, "fp32" if precision == "auto" else precision)


def _quantize_linear_layers(model: Any) -> None:
    """Quantize dynamically, in place: what a user of PyTorch alone has for INT8 on a CPU."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that another package is to take over
        torch.ao.quantization.quantize_dynamic(
            model, {torch.nn.Linear}, dtype=torch.qint8, inplace=True
        )


def _check_checkpoint(path: Path) -> None:
    """Refuse what is no checkpoint before a library does so less clearly."""
    if not path.is_dir():
        raise ModelError(f"There is no checkpoint folder {path}.")
    if not (path / "config.json").is_file():
        raise ModelError(f"{path} is no Hugging Face checkpoint: it has no config.json.")
    check_checkpoint(path)
    if not any(path.glob("*.safetensors")):
        pickled = sorted(file.name for file in path.glob("*.bin"))
        if pickled:
            place = json.dumps(str(path))
            code = (
                "from transformers import AutoModelForSequenceClassification as M; "
                f"M.from_pretrained({place}, use_safetensors=False).save_pretrained({place})"
            )
            raise ModelError(
                f"{path} has only pickled weights ({pickled[0]}), which can run code when read.",
                hint=f"If you trust them, convert once: python -c {shlex.quote(code)}",
            )
        raise ModelError(f"{path} has no weights (*.safetensors).")
    _register(read_hf_config(path).model_type, path)


def _register(model_type: str, path: Path) -> None:
    """Let Transformers know an architecture that it does not have, if an installed package does.

    Such a package names what registers its architecture in the entry point group
    `edgepress.checkpoints`, by `model_type`.

    Raises:
        MissingDependencyError: The package lacks something that it needs.
    """
    from transformers import CONFIG_MAPPING

    if model_type in CONFIG_MAPPING:
        return
    for point in (*entry_points(group=_CHECKPOINTS), *_declared_in_source()):
        if point.name != model_type:
            continue
        try:
            point.load()()
        except ImportError as error:
            raise MissingDependencyError(
                f"{path} is a {model_type} checkpoint, which needs the full tool: {error}.",
                hint=f"Install the extra [compress]: {install_extra('compress')}",
            ) from error
        return


def _declared_in_source() -> list[EntryPoint]:
    """Return the entry points of a source tree that was not installed as it stands."""
    import tomllib  # from Python 3.11 on, as all of the tool is

    project = Path(__file__).parents[2] / "pyproject.toml"
    try:
        declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["entry-points"]
        return [EntryPoint(k, v, _CHECKPOINTS) for k, v in declared[_CHECKPOINTS].items()]
    except (OSError, ValueError, KeyError):
        return []


def _input_names(model: Any) -> tuple[str, ...]:
    accepted = inspect.signature(model.forward).parameters
    # One token type (RoBERTa) or none: the input would be all zeros, and stock tokenizers omit it.
    segments = "token_type_ids" in accepted and getattr(model.config, "type_vocab_size", 0) > 1
    return INPUT_NAMES if segments else INPUT_NAMES[:2]


def _libraries() -> tuple[ModuleType, ModuleType]:
    try:
        import accelerate  # noqa: F401 - Transformers needs it to open a model without weights
        import torch
        import transformers
    except ImportError as error:
        raise MissingDependencyError(
            f"The PyTorch runtime needs torch, transformers and accelerate: {error}.",
            hint=_INSTALL,
        ) from error
    return torch, transformers


def _no_cuda(torch: ModuleType) -> tuple[str, str | None]:
    if torch.version.cuda is None:
        return (
            f"this build of PyTorch ({torch.__version__}) has no CUDA",
            "Install a CUDA build: https://pytorch.org/get-started/locally",
        )
    return "PyTorch finds no CUDA device or no driver that fits", "Look at: nvidia-smi"
