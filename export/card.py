"""The model card in the artifact: what it is, how good and how fast, how to run it."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from runtimes.escaping import escape_markdown
from runtimes.registry import get_runtime, get_task

__all__ = ["render_card"]


def render_card(
    *,
    name: str,
    task: str,
    labels: Sequence[str],
    summary: str,
    table: str,
    runtimes: Sequence[str],
    lineage: Sequence[Mapping[str, Any]],
    metric: Mapping[str, Any] | None,
    data: str,
    example: str,
) -> str:
    """Markdown with YAML front matter in the Hugging Face hub's format.

    Args:
        name: Name of the original model.
        task: Its task.
        labels: Class names.
        summary: One sentence with the result.
        table: The benchmark table in Markdown.
        runtimes: Those that the artifact has files for, at least one.
        lineage: What was done, a mapping with `stage` for each step.
        metric: `{"name", "value"}` on the reported split, for `model-index`; None leaves it out.
        data: What the metric was measured on.
        example: An input in Python, see `export.examples`.
    """
    known = [get_runtime(name) for name in runtimes]
    first, *others = (runtime.REQUIREMENT for runtime in known)
    instead = f"    # or {' or '.join(others)} instead" if others else ""
    front: dict[str, Any] = {
        "library_name": "edgepress",
        "pipeline_tag": get_task(task).SPEC.hub_tag or task,
        "tags": ["edgepress", *(runtime.FORMATS[0] for runtime in known), "int8"],
    }
    if metric is not None:
        result = {
            "task": {"type": task},
            "dataset": {"name": data, "type": data},
            "metrics": [{"type": metric["name"], "value": round(float(metric["value"]), 2)}],
        }
        front["model-index"] = [{"name": f"{name}-edgepress", "results": [result]}]
    steps = "\n".join(_step(step) for step in lineage) or "- none"
    return f"""---
{yaml.safe_dump(front, sort_keys=False, allow_unicode=True).strip()}
---

# {escape_markdown(name)}, compressed

{escape_markdown(summary)}

{f"Labels: {', '.join(map(escape_markdown, labels))}." if labels else ""}

## Run it

    pip install numpy tokenizers "{first}"{instead}
    pip install --no-deps edgepress-*.whl    # `make dist` in the repository of edgepress builds it

```python
from edgepress import load

classify = load("artifact")
classify({example})
```

Neither PyTorch nor Transformers is needed. Every file is checked against its SHA-256 in
`manifest.json` when the artifact is loaded.

## Benchmark

{table.strip()}

## What was done

{steps}
"""


def _step(step: Mapping[str, Any]) -> str:
    details = ", ".join(f"{key} {value}" for key, value in step.items() if key != "stage")
    return f"- **{escape_markdown(str(step.get('stage', '?')))}**: {escape_markdown(details)}"
