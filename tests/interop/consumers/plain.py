"""Opens an artifact with a runtime, and with tokenizers or transformers' Auto classes for the rest.

`python plain.py LIBRARY FOLDER TASK [SETTINGS] < inputs.json > answers.json`. The library
"transformers" is that and onnxruntime. OpenVINO may be given settings, as JSON.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[dict[str, Any]], dict[str, Any]]


def open_onnxruntime(folder: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")
    takes = [each.name for each in session.get_inputs()]
    gives = [each.name for each in session.get_outputs()]

    def run(inputs: dict[str, Any]) -> dict[str, Any]:
        found = session.run(None, {name: inputs[name] for name in takes})
        return dict(zip(gives, found, strict=True))

    return run


def open_openvino(folder: Path, settings: dict[str, str]) -> Run:
    import openvino

    model = openvino.compile_model(folder / "openvino_model.xml", "CPU", settings)
    takes = [port.any_name for port in model.inputs]

    def run(inputs: dict[str, Any]) -> dict[str, Any]:
        found = model({name: inputs[name] for name in takes})
        return {port.any_name: np.array(value) for port, value in found.items()}

    return run


def best_span(output: dict[str, Any], encoding: Any, context: str) -> str:
    """The likeliest span of at most 15 tokens of the context."""
    inside = np.array([part == 1 for part in encoding.sequence_ids])
    sides = []
    for name in ("start_logits", "end_logits"):
        weights = np.exp(output[name][0] - output[name][0].max()) * inside
        sides.append(weights / weights.sum())
    scores = np.tril(np.triu(np.outer(*sides)), 14)
    start, end = np.unravel_index(scores.argmax(), scores.shape)
    return context[encoding.offsets[start][0] : encoding.offsets[end][1]]


def read(library: str, folder: Path) -> tuple[Callable[..., Any], dict[int, str]]:
    """What encodes texts, and the labels' names."""
    if library == "transformers":
        from transformers import AutoConfig, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        names = AutoConfig.from_pretrained(folder).id2label
        return lambda *texts: tokenizer(*texts, truncation=True).encodings[0], names
    from tokenizers import Tokenizer

    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    described = json.loads((folder / "config.json").read_text())["id2label"]
    return plain.encode, {int(index): name for index, name in described.items()}


def answer(run: Run, library: str, folder: Path, task: str, inputs: list[Any]) -> list[Any]:
    encode, names = read(library, folder)
    found: list[Any] = []
    for each in inputs:
        encoding = encode(*([each] if isinstance(each, str) else each))
        rows = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        output = run({name: np.array([row], dtype=np.int64) for name, row in rows.items()})
        if task == "text-classification":
            found.append(names[int(output["logits"][0].argmax())])
        elif task == "token-classification":
            found.append(
                [
                    [token, names[int(logits.argmax())]]
                    for token, logits, special in zip(
                        encoding.tokens,
                        output["logits"][0],
                        encoding.special_tokens_mask,
                        strict=True,
                    )
                    if not special
                ]
            )
        elif task == "question-answering":
            found.append(best_span(output, encoding, each[1]))
        else:
            found.append(output["sentence_embedding"][0].tolist())
    return found


if __name__ == "__main__":
    library, place, task, settings = sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]
    opened = (
        open_openvino(place, json.loads(settings))
        if library == "openvino"
        else open_onnxruntime(place)
    )
    json.dump(answer(opened, library, place, task, json.load(sys.stdin)), sys.stdout)
