"""The model card in the artifact: what it is, what it is for, how good and fast, how to run it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from export.examples import example, mask_token
from export.origin import Origin
from runtimes.artifact import read_manifest
from runtimes.errors import ModelError
from runtimes.escaping import dump_json, escape_markdown
from runtimes.manifest import Manifest
from runtimes.pooling import read_pooling
from runtimes.registry import get_runtime, get_task, runtime_title

__all__ = ["Measured", "in_words", "render_card"]

_SNIPPETS = "snippets"
_MOST_LABELS, _FIRST_LABELS = 20, 5  # that are listed, and that stand for more than those


@dataclass(frozen=True)
class Measured:
    """What was measured, for the card.

    Attributes:
        title: What the model does, in a line.
        summary: What was gained and lost, in sentences.
        table: The benchmark table in Markdown.
        data: Name of the data.
        data_id: Their id on the Hugging Face hub; None of files.
        metric: `{"name", "value", "low", "high", "n"}` on the reported split, points; None leaves
            the front matter's figures out.
        labelled: Whether people labelled the texts; where not, the metric is agreement with the
            original.
        differing: How many of how many texts it answers otherwise than the original; None: unknown.
    """

    title: str
    summary: str
    table: str
    data: str
    data_id: str | None = None
    metric: Mapping[str, Any] | None = None
    labelled: bool = True
    differing: tuple[int, int] | None = None


def render_card(folder: Path, origin: Origin, measured: Measured) -> str:
    """Return the card, with front matter as the Hugging Face hub reads it.

    Args:
        folder: The artifact.
        origin: What it was made from.
        measured: Its figures.

    Raises:
        ArtifactError: The folder is no artifact.
    """
    manifest = read_manifest(folder)
    template = _environment().get_template("card.md.j2")
    return str(
        template.render(
            front=_yaml(_front_matter(manifest, origin, measured)),
            title=measured.title,
            summary=measured.summary,
            described=_described(manifest, origin),
            use=_use(measured),
            limits=_limits(manifest, measured),
            snippets=_snippets(folder, manifest),
            table=measured.table.strip(),
            made_from=_made_from(origin, manifest),
            steps=[in_words(step) for step in manifest.lineage],
            unknown=_unknown(origin),
        )
    )


def in_words(step: Mapping[str, Any]) -> str:
    """Return a sentence for a step of an artifact's lineage.

    What its stage did not say is told by its plain values; lists are for programs.
    """
    if isinstance(said := step.get("in_words"), str):
        return said
    known = (int, float, str)
    facts = [f"{k} {v}" for k, v in step.items() if k != "stage" and isinstance(v, known)]
    return ": ".join(part for part in (str(step.get("stage", "?")), ", ".join(facts)) if part) + "."


def _front_matter(manifest: Manifest, origin: Origin, measured: Measured) -> dict[str, Any]:
    runtimes = _runtimes(manifest)
    precisions = sorted({model.precision for model in manifest.models} - {"auto"})
    front: dict[str, Any] = {}
    if origin.license is not None:
        front["license"] = origin.license
        front |= {
            key: value
            for key in ("license_name", "license_link")
            if (value := getattr(origin, key)) is not None
        }
    if origin.languages:
        front["language"] = list(origin.languages)
    if origin.hub_id is not None:
        front |= {"base_model": origin.hub_id, "base_model_relation": "quantized"}
    elif origin.base_models:  # what it was made from is on no hub; that was fine-tuned from these
        front |= {"base_model": list(origin.base_models), "base_model_relation": "finetune"}
    datasets = [*origin.datasets, *([measured.data_id] if measured.data_id else [])]
    if datasets:
        front["datasets"] = list(dict.fromkeys(datasets))
    if measured.metric is not None:
        front["metrics"] = [measured.metric["name"]]
    front |= {
        "library_name": "edgepress",
        "pipeline_tag": get_task(manifest.task).SPEC.hub_tag or manifest.task,
        "tags": ["edgepress", *(get_runtime(name).FORMATS[0] for name in runtimes), *precisions],
    }
    if measured.metric is not None:
        front["model-index"] = [_index(manifest, origin, measured, measured.metric)]
    return front


def _index(
    manifest: Manifest, origin: Origin, measured: Measured, metric: Mapping[str, Any]
) -> dict[str, Any]:
    value, low, high = (round(float(metric[key]), 2) for key in ("value", "low", "high"))
    name, n = str(metric["name"]), int(metric["n"])
    with_it = "" if measured.labelled else " with the original model, no labels"
    result = {
        "task": {"type": get_task(manifest.task).SPEC.hub_tag or manifest.task},
        "dataset": {"type": measured.data_id or measured.data, "name": measured.data},
        "metrics": [
            {
                "type": name,
                "value": value,
                "name": f"{name}{with_it}, 95% interval {low:g} to {high:g} on {n:,} examples",
                "args": {"interval": 0.95, "low": low, "high": high, "n": n},
            }
        ],
    }
    return {"name": f"{origin.name}-edgepress", "results": [result]}


def _described(manifest: Manifest, origin: Origin) -> str:
    precisions = " and ".join(sorted({model.precision.upper() for model in manifest.models}))
    what = get_task(manifest.task).SPEC.model
    files = " and ".join(runtime_title(name) for name in _runtimes(manifest))
    said = f"This is {what} in {precisions}, made from {origin.name}, with files for {files}."
    if len(manifest.labels) > _MOST_LABELS:
        first = ", ".join(manifest.labels[:_FIRST_LABELS])
        return f"{said} It has {len(manifest.labels)} labels, such as {first}: see `config.json`."
    return f"{said} Labels: {', '.join(manifest.labels)}." if manifest.labels else said


def _use(measured: Measured) -> str:
    unlabelled = (
        " Nobody labelled these texts: what was measured is how often it answers as the original "
        "does, not how often either is right."
    )
    return (
        "It stands in for the original where that is too slow or too large, on inputs of the kind "
        f"that it was measured on ({measured.data}). It was not measured on other kinds or in "
        "other languages; there it may lose more than the figures say. It has the original's "
        "biases, and is no better suited to what the original should not be used for."
        f"{'' if measured.labelled else unlabelled}"
    )


def _limits(manifest: Manifest, measured: Measured) -> list[str]:
    spec, most = get_task(manifest.task).SPEC, manifest.max_length
    if spec.windows:
        longest = (
            f"A window has {most} tokens, question included. edgepress reads longer contexts in "
            "windows that overlap; other libraries may cut them off."
        )
    else:
        cut = "the end of the longer text is" if manifest.pairs else "the rest is"
        longest = (
            f"The longest input has {most} tokens, special ones included. Of longer ones {cut} cut "
            "off and not read; `ask.truncated(texts)` says of which."
        )
    limits = [longest]
    if measured.differing is not None:
        few, of = measured.differing
        limits.append(
            f"On {few:,} of {of:,} {'examples' if measured.labelled else 'texts'} it answers "
            "otherwise than the original, for better or for worse."
        )
    needed = " or ".join(get_runtime(name).REQUIREMENT for name in _runtimes(manifest))
    limits.append(f"It needs {needed}. Speed was measured on one machine: measure it on yours.")
    limits.append(
        "Checksums find damage. They do not prove who made the artifact: for that it can be signed."
    )
    return limits


def _made_from(origin: Origin, manifest: Manifest) -> str:
    where = f" ({origin.hub_id} on the Hugging Face hub)" if origin.hub_id else ""
    end = ":" if manifest.lineage else "."
    return f"edgepress made it from {origin.name}{where}, which was fine-tuned before{end}"


def _unknown(origin: Origin) -> list[str]:
    """Say what the front matter lacks, as the original does not say it."""
    found = []
    if origin.license is None:
        found.append(
            f"License: {origin.name} states none. Whoever publishes this has to find out, and add "
            "`license:` to the front matter."
        )
    if origin.hub_id is None and not origin.base_models:
        found.append(f"Base model: {origin.name} is no model of the hub, and names none.")
    if not origin.languages:
        found.append(f"Language: {origin.name} states none.")
    return found


def _snippets(folder: Path, manifest: Manifest) -> str:
    """Return what asks the artifact, in each library that can."""
    spec, runtimes = get_task(manifest.task).SPEC, _runtimes(manifest)
    name = f"{_SNIPPETS}/{manifest.task.replace('-', '_')}.md.j2"
    template = _environment().select_template([name, f"{_SNIPPETS}/base.md.j2"])
    has_onnx = any(model.path == "onnx/model.onnx" for model in manifest.models)
    suffix = spec.model_suffix or "ForFeatureExtraction"
    try:
        pooling = read_pooling(folder)
    except ModelError:
        pooling = None
    return str(
        template.render(
            requirements=[get_runtime(runtime).REQUIREMENT for runtime in runtimes],
            example=example(folder),
            mask=mask_token(folder),
            max_length=manifest.max_length,
            problem_type=manifest.problem_type,
            pairs=manifest.pairs,
            has_onnx=has_onnx,
            optimum_class=f"{'ORT' if has_onnx else 'OV'}Model{suffix}",
            pooling=pooling,
        )
    )


def _runtimes(manifest: Manifest) -> list[str]:
    return list(dict.fromkeys(model.runtime for model in manifest.models))


def _yaml(front: Mapping[str, Any]) -> str:
    import yaml

    written = yaml.safe_dump(dict(front), sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{written.strip()}\n---"


@cache
def _environment() -> Any:
    """Return jinja2 with the card's templates, which are Markdown and code."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    def arguments(value: Any) -> str:
        return ", ".join(map(repr, value)) if isinstance(value, tuple) else repr(value)

    def pair(value: Any) -> str:
        if isinstance(value, tuple):
            return repr(dict(zip(("text", "text_pair"), value, strict=True)))
        return repr(value)

    environment = Environment(
        loader=PackageLoader(__name__.rpartition(".")[0], "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "md": escape_markdown,
        "py": repr,
        "args": arguments,
        "pair": pair,
        "js": dump_json,
    }
    return environment
