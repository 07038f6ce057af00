"""Finds rows of a report that are too close in speed to be ranked, and what would settle it."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Report, Row
from benchmarks.stats import Interval, paired_ratio_interval

__all__ = ["CloseRows", "close_rows"]

# Half the width of a 95% interval of a median, in standard deviations of one value, for one value:
# 1.96 times sqrt(pi / 2), the median's standard error against the mean's.
_HALF_WIDTH = 1.96 * math.sqrt(math.pi / 2)
_MOST_ROUNDS = 1000


@dataclass(frozen=True)
class CloseRows:
    """Two neighbours in the order of speed whose order is not certain.

    Attributes:
        faster: The row with the lower median.
        slower: The other one.
        ratio: How many times as long the slower one takes, by rounds; 1 lies within its interval.
        rounds: How many rounds would probably tell them apart; None where a thousand would not.
    """

    faster: Row
    slower: Row
    ratio: Interval
    rounds: int | None


def close_rows(report: Report) -> list[CloseRows]:
    """Return neighbours in the order of end-to-end medians that this report cannot rank.

    Args:
        report: With raw samples; rows without, or in doubt, are not looked at.
    """
    timed = [
        row
        for row in report.rows
        if row.end_to_end_ms and row.id in report.samples and not row.doubt
    ]
    timed.sort(key=lambda row: row.end_to_end_ms.p50 if row.end_to_end_ms else math.inf)
    found = []
    for faster, slower in pairwise(timed):
        own, other = report.paired_medians(faster.id, slower.id)
        if len(own) < 2:
            continue
        ratio = paired_ratio_interval(other, own)
        if ratio.low <= 1.0 <= ratio.high:
            found.append(CloseRows(faster, slower, ratio, _rounds_to_tell(np.log(other / own))))
    return found


def _rounds_to_tell(log_ratios: NDArray[np.float64]) -> int | None:
    """Return the rounds after which the interval would leave 1 out, if the ratio is as it seems."""
    distance = abs(float(np.median(log_ratios)))
    if distance == 0:
        return None
    rounds = math.ceil((_HALF_WIDTH * float(log_ratios.std(ddof=1)) / distance) ** 2)
    return max(rounds, len(log_ratios) + 1) if rounds <= _MOST_ROUNDS else None
