"""Opens a model the way of transformers' pipelines, or sentence-transformers.

`python pipelines.py LIBRARY FOLDER TASK SETTINGS < inputs.json > answers.json`. OpenVINO may be
given settings, as JSON.
"""

import json
import sys
from importlib.util import find_spec
from typing import Any

CLASSES = {
    "text-classification": "SequenceClassification",
    "token-classification": "TokenClassification",
    "question-answering": "QuestionAnswering",
    "sentence-embedding": "FeatureExtraction",
}

SETTINGS: dict[str, str] = {}


def open_model(library: str, folder: str, task: str) -> Any:
    """The model of a library that has the usual classes."""
    more = {"ov_config": SETTINGS} if library == "optimum-intel" else {}
    if library == "optimum-onnx":
        import optimum.onnxruntime as module

        prefix = "ORTModelFor"
    elif library == "optimum-intel":
        import optimum.intel as module

        prefix = "OVModelFor"
    else:
        import transformers as module

        prefix = "AutoModelFor"
    if library == "transformers" and task == "sentence-embedding":
        return module.AutoModel.from_pretrained(folder)
    return getattr(module, prefix + CLASSES[task]).from_pretrained(folder, **more)


def embed(library: str, folder: str, texts: list[str]) -> list[list[float]]:
    """Vectors: by sentence-transformers where it is installed, or the mean of the tokens'."""
    if library == "transformers" and find_spec("sentence_transformers"):
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(folder, device="cpu").encode(texts, batch_size=1).tolist()
    import torch
    from transformers import AutoTokenizer

    model = open_model(library, folder, "sentence-embedding")
    tokenizer, found = AutoTokenizer.from_pretrained(folder), []
    for text in texts:
        with torch.inference_mode():
            hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state
        found.append(torch.as_tensor(hidden)[0].mean(0).tolist())
    return found


def answer(library: str, folder: str, task: str, inputs: list[Any]) -> list[Any]:
    from transformers import AutoTokenizer, pipeline

    tokenizer = AutoTokenizer.from_pretrained(folder)
    if task == "question-answering":
        return answer_spans(library, folder, tokenizer, inputs)
    ask = pipeline(task, model=open_model(library, folder, task), tokenizer=tokenizer)
    if task == "text-classification":
        return [each["label"] for each in ask(inputs)]
    return [
        [[each["word"], each["entity"]] for each in tokens]
        for tokens in ask(inputs, ignore_labels=[])
    ]


def answer_spans(library: str, folder: str, tokenizer: Any, inputs: list[Any]) -> list[str]:
    """transformers 5 has no pipeline for it any more: from the model's starts and ends.

    That of transformers 4 would add up the twelve likeliest spans by the words that they touch. So
    asked, one in twenty of its answers is another than the likeliest span, whatever the model.
    """
    from transformers import pipeline

    model = open_model(library, folder, "question-answering")
    try:
        ask = pipeline("question-answering", model=model, tokenizer=tokenizer)
    except KeyError:
        return [best_span(model, tokenizer, *each) for each in inputs]
    return [
        ask(question=question, context=context, align_to_words=False)["answer"]
        for question, context in inputs
    ]


def best_span(model: Any, tokenizer: Any, question: str, context: str) -> str:
    import torch

    batch = tokenizer(
        question, context, return_tensors="pt", return_offsets_mapping=True, truncation=True
    )
    offsets = batch.pop("offset_mapping")[0].tolist()
    inside = torch.tensor([part == 1 for part in batch.sequence_ids(0)])
    with torch.inference_mode():
        output = model(**batch)
    sides = [
        logits[0].masked_fill(~inside, -1e4).softmax(-1)
        for logits in (output.start_logits, output.end_logits)
    ]
    scores = (sides[0][:, None] * sides[1][None]).triu().tril(14)
    start, end = divmod(int(scores.argmax()), len(offsets))
    return context[offsets[start][0] : offsets[end][1]]


if __name__ == "__main__":
    library, folder, task = sys.argv[1:4]
    SETTINGS.update(json.loads(sys.argv[4]))
    inputs = json.load(sys.stdin)
    if task == "sentence-embedding":
        found: list[Any] = embed(library, folder, inputs)
    else:
        found = answer(library, folder, task, inputs)
    json.dump(found, sys.stdout)
