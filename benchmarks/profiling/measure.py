"""Measures a device with a kit's probes: which setting is fastest, and what sizes cost in it."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.disturbance import Watch
from benchmarks.environment import describe_environment
from benchmarks.profiling.exact import sums_are_exact
from benchmarks.profiling.kit import Kit, ProbeSet
from benchmarks.profiling.peaks import measured_peaks
from benchmarks.profiling.profile import DeviceProfile, KitFacts, Raced, Timed
from benchmarks.profiling.timing import Deadline, Probe, Texts, time_probes
from benchmarks.roofline import Peaks
from runtimes.cores import usable_cores
from runtimes.errors import (
    EdgepressError,
    MissingDependencyError,
    ModelError,
    ProfileError,
    UsageError,
)
from runtimes.fingerprint import describe_device, device_key
from runtimes.registry import get_runtime, runtime_title
from runtimes.tokenization import Tokenizer
from runtimes.tuning import install_hint

__all__ = ["TABLE_SECONDS", "measure_profile"]

TABLE_SECONDS = 75.0
"""Seconds that suffice for a latency table to keep."""

_RACE_SHARE = 0.5  # of a table's seconds
_TOKENIZED = 5  # times that the kit's texts are tokenized

Say = Callable[[str], None]


def measure_profile(
    kit: Kit,
    *,
    seconds: float = TABLE_SECONDS,
    threads: int | None = None,
    runtimes: Sequence[str] | None = None,
    scratch: Path | None = None,
    say: Say = lambda _: None,
) -> DeviceProfile:
    """Measure this device.

    First all runtimes that are installed, their schemes and counts of threads take turns on a few
    probes. Then all probes are timed in the fastest setting of each runtime.

    Args:
        kit: From a workstation.
        seconds: Time for each runtime's table; the race takes half of it.
        threads: The only count of threads to try; None: 1, 2, 4 ... and all usable cores.
        runtimes: Those to measure; None is all that are installed.
        scratch: Existing folder for what is unpacked; None is the system's for temporary files.
        say: Told what is done.

    Raises:
        MissingDependencyError: No runtime of the kit is installed.
        ProfileError: The kit is damaged, or none of its probes can be run.
        UsageError: More threads are asked for than there are cores, or there is no room.
    """
    cores = usable_cores()
    if threads is not None and threads > cores:
        raise UsageError(
            f"--threads {threads}: this process may use {cores}", hint=f"try: --threads {cores}"
        )
    counts = (threads,) if threads else (*(n for n in (1, 2, 4, 8, 16, 32) if n < cores), cores)
    sets = _usable(kit, runtimes)
    texts = Texts(kit.lengths, kit.words, kit.types)
    environment = describe_environment()  # before anything runs: the load is the device's own
    with tempfile.TemporaryDirectory(prefix="edgepress-profile-", dir=scratch) as made:
        folder = Path(made)
        kit.unpack("exact.onnx", folder)
        names = dict.fromkeys(each.runtime for each in sets)
        exact = {each: sums_are_exact(folder / "exact.onnx", each) for each in names}
        race, race_doubt = _race(kit, sets, texts, counts, folder, seconds * _RACE_SHARE, say)
        tables = []
        for name in dict.fromkeys(each.runtime for each in race if not each.error):
            say(f"{runtime_title(name)}: measuring what sizes cost, {seconds:.0f} s")
            fastest = next(each for each in race if each.runtime == name)
            tables.append(_table(kit, sets, texts, fastest, folder, seconds))
        say("measuring the processor")
        peaks = _peaks(kit, folder, {table.threads for table in tables})
        tokenize_ms = _tokenize_ms(kit, folder)
    return DeviceProfile(
        device=describe_device(),
        device_key=device_key(),
        environment=environment,
        kit=KitFacts.of(kit),
        exact=exact,
        peaks=peaks,
        tokenize_ms=tokenize_ms,
        race=tuple(race),
        race_doubt=race_doubt,
        tables=tuple(tables),
        created=datetime.now(timezone.utc).isoformat(timespec="minutes"),
    )


def _usable(kit: Kit, wanted: Sequence[str] | None) -> list[ProbeSet]:
    """Return the probes for runtimes that are installed, on the CPU."""
    there = tuple(dict.fromkeys(each.runtime for each in kit.sets))
    for name in wanted or ():
        if name not in there:
            raise UsageError(
                f"--runtime {name}: the kit has no probes for it",
                hint=f"there are: {', '.join(there)}",
            )
    reasons, found = list[str](), set[str]()
    for name in wanted or there:
        device = next(each for each in get_runtime(name).devices() if each.device == "cpu")
        if device.available:
            found.add(name)
        else:
            reasons.append(device.detail)
    if not found:
        raise MissingDependencyError(
            f"no runtime of the kit can be used here: {' '.join(reasons)}",
            hint=install_hint(wanted or there),
        )
    return [each for each in kit.sets if each.runtime in found]


def _race(
    kit: Kit,
    sets: Sequence[ProbeSet],
    texts: Texts,
    counts: Sequence[int],
    folder: Path,
    seconds: float,
    say: Say,
) -> tuple[list[Raced], str]:
    """Return settings, the fastest first, and why their order is in doubt."""
    say(f"comparing runtimes, schemes and threads, {seconds:.0f} s")
    _unpack(kit, (each.folder(shape) for each in sets for shape in kit.race), folder)
    failed: list[Raced] = []
    running: list[tuple[ProbeSet, int]] = []
    for each in sets:
        fault = _fault(_probe(each, kit.race[0], folder, counts[0]), texts)
        if fault:
            failed.append(Raced(each.runtime, each.scheme, each.precision, counts[0], (), fault))
        else:
            running += [(each, count) for count in counts]
    if not running:
        raise ProfileError(
            f"none of the kit's probes can be run here: {failed[0].error}",
            hint="update the runtime, or edgepress on both machines",
        )
    probes = [_probe(each, shape, folder, n) for each, n in running for shape in kit.race]
    watch = Watch(threads=max(counts))
    found = time_probes(probes, texts, watch, Deadline(seconds, lambda _: None, watch))
    ms = found.ms.reshape(len(running), len(kit.race))
    raced = [
        Raced(each.runtime, each.scheme, each.precision, n, tuple(np.round(own, 5).tolist()))
        for (each, n), own in zip(running, ms, strict=True)
    ]
    return [*sorted(raced, key=lambda one: one.pace), *failed], found.doubt


def _fault(probe: Probe, texts: Texts) -> str:
    """Say why a probe cannot be timed here; "" where it answers.

    What answers nothing is fast: OpenVINO without AVX2 gives arrays of no elements, and no error.
    """
    rng, length = np.random.default_rng(0), int(np.median(texts.lengths))
    try:
        session = get_runtime(probe.runtime).open_model(
            probe.path, threads=probe.threads, precision=probe.precision
        )
        try:
            answers = [next(iter(session.run(texts.draw(length, rng)).values())) for _ in "12"]
        finally:
            session.close()
    except EdgepressError as error:
        return error.message[:500]
    except Exception as error:  # noqa: BLE001 - whatever a library raises, others may do
        return f"{type(error).__name__}: {error}"[:500]
    if not all(one.size and np.isfinite(one).all() for one in answers):
        return "it opens, and answers with no number"
    return "its answers to two texts are the same" if np.array_equal(answers[0], answers[1]) else ""


def _table(
    kit: Kit,
    sets: Sequence[ProbeSet],
    texts: Texts,
    fastest: Raced,
    folder: Path,
    seconds: float,
) -> Timed:
    """Time all probes of a runtime in its fastest setting.

    Of schemes that there are no probes of all sizes of, the runtime's first scheme is timed.
    """
    whole = [
        each
        for each in sets
        if each.runtime == fastest.runtime and len(each.shapes) == len(kit.shapes)
    ]
    own = [each for each in whole if each.scheme == fastest.scheme] or whole
    if not own:
        raise ProfileError(
            f"the kit has no probes of all sizes for {fastest.runtime}",
            hint="make it again: edgepress profile kit MODEL --data DATA --out kit",
        )
    _unpack(kit, (own[0].folder(shape) for shape in own[0].shapes), folder)
    probes = [_probe(own[0], shape, folder, fastest.threads) for shape in own[0].shapes]
    watch = Watch(threads=fastest.threads)
    times = time_probes(probes, texts, watch, Deadline(seconds, lambda _: None, watch))
    shutil.rmtree(folder / "probes" / own[0].name)  # a small disk holds one set at a time
    return Timed(
        runtime=fastest.runtime,
        scheme=own[0].scheme,
        threads=fastest.threads,
        ms=tuple(np.round(times.ms, 5).tolist()),
        doubt=times.doubt,
        watched=times.watched,
        rounds=times.rounds,
    )


def _probe(each: ProbeSet, shape: int, folder: Path, threads: int) -> Probe:
    model = each.model(get_runtime(each.runtime).DISTRIBUTIONS)
    return Probe(folder / each.folder(shape) / model, each.runtime, each.precision, threads)


def _unpack(kit: Kit, prefixes: Iterable[str], folder: Path) -> None:
    """Unpack what is not there yet.

    Raises:
        UsageError: There is no room for it.
    """
    missing = [f"{prefix}/" for prefix in prefixes if not (folder / prefix).exists()]
    needed, free = sum(map(kit.bytes_of, missing)), shutil.disk_usage(folder).free
    if needed > 0.9 * free:
        raise UsageError(
            f"the probes need {needed / 1e6:.0f} MB in {folder.parent}, where {free / 1e6:.0f} MB "
            "are free",
            hint="name a folder with more room: --scratch FOLDER",
        )
    for prefix in missing:
        kit.unpack(prefix, folder)


def _peaks(kit: Kit, folder: Path, counts: Iterable[int]) -> tuple[Peaks, ...]:
    """Measure the peaks; none where ONNX Runtime, through which they are measured, is absent."""
    products = {path.stem: path.read_bytes() for path in kit.unpack("products/", folder)}
    try:
        return tuple(measured_peaks(products, count) for count in sorted(counts))
    except MissingDependencyError:
        return ()


def _tokenize_ms(kit: Kit, folder: Path) -> float:
    """Return the median milliseconds of tokenizing one of the kit's texts."""
    kit.unpack("tokenizer/", folder)
    kit.unpack("texts.json", folder)
    try:
        tokenizer = Tokenizer.from_folder(folder / "tokenizer")
        texts: Any = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
        timings = []
        for text in [text for text in texts for _ in range(_TOKENIZED)]:
            start = time.perf_counter()
            tokenizer.encode([text])
            timings.append(time.perf_counter() - start)
    except (ModelError, OSError, ValueError) as error:
        raise ProfileError(f"the kit's tokenizer cannot be used: {error}") from error
    return round(1000.0 * float(np.median(timings)), 5)
