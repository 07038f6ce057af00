"""`import compress` stays light, and the Auto classes know the lean encoder all the same."""

import subprocess
import sys
from pathlib import Path

import pytest

from compress.encoder.heads.text_classification import LeanEncoderForSequenceClassification

LIGHT = """
import sys, compress
assert compress.register
heavy = sorted({"torch", "transformers", "numpy"} & set(sys.modules))
assert not heavy, heavy
"""

# Each loads the checkpoint in argv[1] by way of an Auto class.
ORDERS = {
    "compress first": """
import sys, compress
from transformers import AutoModelForSequenceClassification
""",
    "transformers first": """
import sys
from transformers import AutoModelForSequenceClassification
import compress
""",
    "lean encoder before any Auto class": """
import sys
from compress.encoder.heads.text_classification import LeanEncoderForSequenceClassification
from compress.encoder.importers.registry import import_encoder
from transformers import AutoModelForSequenceClassification
""",
}
LOAD = """
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1])
assert type(model).__name__ == "LeanEncoderForSequenceClassification", type(model)
assert [layer["heads"] for layer in model.config.layers] == [4, 3, 1]
"""


def test_import_compress_loads_nothing_heavy() -> None:
    _run(LIGHT)


@pytest.mark.parametrize("order", ORDERS)
def test_auto_class_loads_a_lean_encoder(
    order: str, lean: LeanEncoderForSequenceClassification, tmp_path: Path
) -> None:
    lean.save_pretrained(tmp_path)
    _run(ORDERS[order] + LOAD, str(tmp_path))


def _run(program: str, *arguments: str) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
