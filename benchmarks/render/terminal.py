"""The report as a table in the terminal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from benchmarks.render.figures import (
    MISSING,
    accuracy_points,
    describe_cpu,
    drop_points,
    megabytes,
    milliseconds,
    ratio,
    runtime_name,
    summary,
    whole,
)
from benchmarks.report import Report, Row

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["build_table", "print_report"]

_RECOMMENDED, _REFERENCE = "★", "="


@dataclass(frozen=True)
class _Column:
    """One column: its two-line header, its cell, and how early it is given up for want of room."""

    header: str
    cell: Callable[[Row], str]
    keep: int  # columns with the highest numbers go first when the terminal is narrow
    justify: Literal["left", "right"] = "right"


def _joined(parts: tuple[str, str]) -> str:
    return f"{parts[0]} {parts[1]}".rstrip()


_COLUMNS = (
    _Column("runtime", runtime_name, 1, "left"),
    _Column("\nprec.", lambda row: row.precision or MISSING, 2, "left"),
    _Column("p50\nms", lambda row: milliseconds(row.end_to_end_ms and row.end_to_end_ms.p50), 0),
    _Column("p99\nms", lambda row: milliseconds(row.end_to_end_ms and row.end_to_end_ms.p99), 6),
    _Column("model\nms", lambda row: milliseconds(row.model_ms and row.model_ms.p50), 8),
    _Column("speed-up\n", lambda row: ratio(row.speedup)[0], 0),
    _Column("95%\ninterval", lambda row: ratio(row.speedup)[1], 4),
    _Column("acc.\n%", accuracy_points, 0),
    _Column("drop\npoints", lambda row: drop_points(row.drop)[0], 0),
    _Column("95%\ninterval", lambda row: drop_points(row.drop)[1], 3),
    _Column("size\nMB", lambda row: megabytes(row.size_bytes), 5),
    _Column("mem.\nMB", lambda row: megabytes(row.rss_bytes), 7),
    _Column("load\nms", lambda row: whole(row.load_ms), 9),
    _Column("batch\n/s", lambda row: whole(row.throughput_per_s), 10),
)
