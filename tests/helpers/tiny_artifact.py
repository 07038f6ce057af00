"""An artifact of a few kilobytes, built in process: its logits are the mean of token vectors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from runtimes.artifact import Manifest, ModelEntry, write_artifact

LABELS = ("sad", "fine", "glad")
WORDS = ("a", "film", "gorgeous", "dull", "witty", "not", "##ly", ",", ".")
VOCABULARY = {w: i for i, w in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS))}


def make_tokenizer() -> Tokenizer:
    """A BERT-like tokenizer of 13 tokens."""
    tokenizer = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def make_vectors() -> np.ndarray:
    """(V, C) float32: what each token says of each class."""
    return np.random.default_rng(0).normal(size=(len(VOCABULARY), len(LABELS))).astype(np.float32)


def save_onnx(path: Path, vectors: np.ndarray, *, padded: bool = True) -> Path:
    """Write the classifier as an ONNX file."""
    from onnx import TensorProto, helper, numpy_helper, save

    table = numpy_helper.from_array(vectors, "table")
    last = numpy_helper.from_array(np.array([2], dtype=np.int64), "last")
    middle = numpy_helper.from_array(np.array([1], dtype=np.int64), "middle")
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["B", "T"])
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["B", "T"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", vectors.shape[1]])
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["vectors"])]
    if padded:
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["weights"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["weights", "last"], ["column"]),
            helper.make_node("Mul", ["vectors", "column"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "middle"], ["sum"], keepdims=0),
            helper.make_node("ReduceSum", ["column", "middle"], ["count"], keepdims=0),
            helper.make_node("Div", ["sum", "count"], ["logits"]),
        ]
    else:
        nodes += [helper.make_node("ReduceMean", ["vectors", "middle"], ["logits"], keepdims=0)]
    inputs = [ids, mask] if padded else [ids]
    graph = helper.make_graph(nodes, "tiny", inputs, [logits], [table, last, middle])
    opset = [helper.make_opsetid("", 18)]
    path.parent.mkdir(parents=True, exist_ok=True)
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    return path


def describe_tiny(labels: Sequence[str] = LABELS, *, pairs: bool = False) -> Manifest:
    """The manifest of an artifact with the one ONNX model."""
    return Manifest(
        task="text-classification",
        labels=tuple(labels),
        problem_type="single_label_classification",
        max_length=16,
        pad_token_id=0,
        type_ids=False,
        pairs=pairs,
        models=(ModelEntry("onnxruntime", "onnx", "onnx/model.onnx", "fp32"),),
    )


def write_tiny(target: Path, labels: Sequence[str] = LABELS, *, pairs: bool = False) -> Path:
    """Write a complete artifact for ONNX Runtime."""
    write_artifact(target, describe_tiny(labels, pairs=pairs), write_tiny_files)
    return target


def write_tiny_files(folder: Path) -> None:
    """Write what its manifest lists."""
    make_tokenizer().save(str(folder / "tokenizer.json"))
    save_onnx(folder / "onnx" / "model.onnx", make_vectors())
    (folder / "README.md").write_text("a card")
