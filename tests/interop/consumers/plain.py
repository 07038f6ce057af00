"""Opens an artifact with a runtime, and with tokenizers or transformers' Auto classes for the rest.

`python plain.py LIBRARY FOLDER TASK SETTINGS [SIDE] < inputs.json > answers.json`. The library
"transformers" is that and onnxruntime. OpenVINO may be given settings, as JSON. Texts are asked one
by one, or where a side is given in batches of eight that are padded there: "left" or "right".
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[dict[str, Any]], dict[str, Any]]
_BATCH = 8


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


def read(library: str, folder: Path) -> tuple[Callable[..., Any], dict[int, str], int]:
    """What encodes texts, the labels' names, and the token that pads."""
    if library == "transformers":
        from transformers import AutoConfig, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        configuration = AutoConfig.from_pretrained(folder)
        return (
            lambda *texts: tokenizer(*texts, truncation=True).encodings[0],
            configuration.id2label,
            configuration.pad_token_id,
        )
    from tokenizers import Tokenizer

    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    described = json.loads((folder / "config.json").read_text())
    names = {int(index): name for index, name in described["id2label"].items()}
    return plain.encode, names, described["pad_token_id"]


def outputs(
    run: Run, encodings: list[Any], side: str, padding: int, *, of_tokens: bool
) -> Iterator[dict[str, Any]]:
    """What the model says of each text: of its own tokens where it says something of each."""
    step = _BATCH if side else 1
    for start in range(0, len(encodings), step):
        group = encodings[start : start + step]
        longest = max(len(each.ids) for each in group)
        places = [
            slice(longest - len(each.ids), longest) if side == "left" else slice(len(each.ids))
            for each in group
        ]
        batch = {"attention_mask": np.zeros((len(group), longest), dtype=np.int64)}
        batch["input_ids"] = np.full_like(batch["attention_mask"], padding)
        batch["token_type_ids"] = np.zeros_like(batch["attention_mask"])
        for row, (each, place) in enumerate(zip(group, places, strict=True)):
            batch["input_ids"][row, place] = each.ids
            batch["attention_mask"][row, place] = 1
            batch["token_type_ids"][row, place] = each.type_ids
        found = run(batch)
        for row, place in enumerate(places):
            yield {
                name: values[row : row + 1, place] if of_tokens else values[row : row + 1]
                for name, values in found.items()
            }


def answer(
    run: Run, library: str, folder: Path, task: str, inputs: list[Any], side: str
) -> list[Any]:
    encode, names, padding = read(library, folder)
    encodings = [encode(*([each] if isinstance(each, str) else each)) for each in inputs]
    found: list[Any] = []
    of_tokens = task in ("token-classification", "question-answering")
    said = outputs(run, encodings, side, padding, of_tokens=of_tokens)
    for each, encoding, output in zip(inputs, encodings, said, strict=True):
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
    library, place, task, settings, *side = sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]
    opened = (
        open_openvino(place, json.loads(settings))
        if library == "openvino"
        else open_onnxruntime(place)
    )
    found = answer(opened, library, place, task, json.load(sys.stdin), "".join(side))
    json.dump(found, sys.stdout)
