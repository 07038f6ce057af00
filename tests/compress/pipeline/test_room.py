"""The room that a run takes is known before it begins."""

import pytest

from compress.config.recipe import load_recipe
from compress.pipeline.room import Sizes, estimate_room

DEMO = ["speedups=[1.5, 2.5]", "beyond=false", "quantize.alternatives=false"]
TINY = ["stages=[distill, prune, quantize]", "speedups=[]", "quantize.alternatives=false"]


# What `du` says of finished runs: of MiniLM-L6, the demo, and a model of these tests.
@pytest.mark.parametrize(
    ("sizes", "overrides", "measured"),
    [
        (Sizes(22_715_000, 30_522 * 384, 6, 711_649), [], 1_235_467_000),
        (Sizes(3_758_000, 2_000 * 256, 4, 42_623), DEMO, 122_089_517),
        (Sizes(30_506, 26 * 32, 3, 3_237), [*TINY, "benchmark.baselines=[onnx-fp32]"], 2_486_847),
    ],
    ids=["minilm", "demo", "tiny"],
)
def test_the_estimate_is_right_to_half(sizes: Sizes, overrides: list[str], measured: int) -> None:
    kept = estimate_room(sizes, load_recipe(overrides=overrides)).kept_bytes
    assert measured / 1.5 < kept < measured * 1.5


def test_fewer_members_and_exports_take_less() -> None:
    sizes = Sizes(1_000_000, 100_000, 4, 1_000)
    whole, fewer, alone = (
        estimate_room(sizes, load_recipe(overrides=each)).kept_bytes
        for each in ([], ["speedups=[2]"], ["speedups=[2]", "benchmark.baselines=[]"])
    )
    assert whole > fewer > alone
