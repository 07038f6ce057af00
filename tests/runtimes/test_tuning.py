"""Tuning measures what is there, keeps the result by device, and `load` goes by it."""

import json
from pathlib import Path
from typing import Any

import pytest

from runtimes import load
from runtimes.__main__ import main as on_device
from runtimes.artifact import TUNING_NAME, read_manifest, verify, write_artifact
from runtimes.errors import ArtifactError, MissingDependencyError, UsageError
from runtimes.fingerprint import device_key
from runtimes.registry import get_runtime, runtime_names
from runtimes.tuning import Setting, candidates, read_tuning, tune

TEXTS = ["a gorgeous film", "not witty", "dull, dull film.", "a film", "gorgeous"]


class Opened:
    """Tells what the session of a predictor was opened with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[dict[str, Any]] = []
        module = get_runtime("onnxruntime")
        real = module.open_model

        def spy(path: Path, **arguments: Any) -> Any:
            self.calls.append(arguments)
            return real(path, **arguments)

        monkeypatch.setattr(module, "open_model", spy)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    return Opened(monkeypatch)


def test_every_setting_is_measured_and_the_fastest_is_kept(artifact: Path) -> None:
    shares: list[float] = []
    tuning = tune(artifact, TEXTS, open_with=load, seconds=5, progress=shares.append)
    assert {one.setting.options.get("spinning") for one in tuning.tried} == {None, False}
    assert len(tuning.tried) == len(candidates(read_manifest(artifact)))
    most = max(one.rounds for one in tuning.tried)
    finalists = [one for one in tuning.tried if one.rounds == most]
    times = [one.p50_ms or 0.0 for one in finalists]
    assert min(times) > 0
    # Of those that were measured to the end: who fell behind may have met a faster machine.
    assert tuning.best == finalists[times.index(min(times))].setting
    assert read_tuning(artifact) == tuning.best
    assert all(0 <= share <= 1 for share in shares)
    verify(artifact, read_manifest(artifact))  # it is still intact


def test_time_is_kept_to_but_everything_gets_a_turn(artifact: Path) -> None:
    tuning = tune(artifact, TEXTS, open_with=load, seconds=1e-6, save=False)
    assert {one.rounds for one in tuning.tried} == {1}
    assert not (artifact / TUNING_NAME).exists()


def test_load_goes_by_it_unless_told_otherwise(artifact: Path, opened: Opened) -> None:
    found = Setting("onnxruntime", "fp32", 1, {"spinning": False})
    entry = {"best": {**found.__dict__}}
    devices = {device_key(): entry, "another device": {"best": {"runtime": "abacus"}}}
    content = {"format": 1, "devices": devices}
    (artifact / TUNING_NAME).write_text(json.dumps(content))
    with load(artifact) as classify:
        classify("a film")
    with load(artifact, threads=2):
        pass
    with load(artifact, runtime="onnxruntime"):
        pass
    with load(artifact, options={"arena": False}):
        pass
    asked = [(call["threads"], call["options"]) for call in opened.calls]
    assert asked == [(1, {"spinning": False}), (2, None), (None, None), (None, {"arena": False})]


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", '{"format": 9, "devices": {}}', '{"format": 1, "devices": {"DEVICE": {}}}'],
)
def test_a_file_that_says_nothing_changes_nothing(artifact: Path, content: str) -> None:
    (artifact / TUNING_NAME).write_text(content.replace("DEVICE", device_key()))
    assert read_tuning(artifact) is None
    with load(artifact) as classify:
        assert classify("a film")


def test_a_setting_of_a_model_that_is_gone_is_not_used(artifact: Path, opened: Opened) -> None:
    best = {"runtime": "openvino", "precision": "int8", "threads": 7, "options": {}}
    content = {"format": 1, "devices": {device_key(): {"best": best}}}
    (artifact / TUNING_NAME).write_text(json.dumps(content))
    with load(artifact):
        pass
    assert [call["threads"] for call in opened.calls] == [None]


def test_at_the_first_load_on_request_and_only_then(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def measure(folder: Path, texts: Any, **options: Any) -> Any:
        measured.append(texts)
        return tune(folder, texts, seconds=1e-6, **options)

    monkeypatch.setattr("runtimes.loading.measure_settings", measure)
    for _ in range(2):
        with load(artifact, tune=TEXTS) as classify:
            classify("a film")
    assert measured == [TEXTS]


def test_where_it_cannot_be_kept_it_is_used_and_warned_of(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def measure(folder: Path, texts: Any, **options: Any) -> Any:
        measured.append(texts)
        return tune(folder, texts, seconds=1e-6, **options)

    def keep(*_: Any) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr("runtimes.loading.measure_settings", measure)
    monkeypatch.setattr("runtimes.loading.keep_tuning", keep)
    with (
        pytest.warns(RuntimeWarning, match=r"tuning.json cannot be written \(Read-only"),
        load(artifact, tune=TEXTS) as classify,
    ):
        assert classify("a film")
    assert measured == [TEXTS], "once, and for nothing else"
    with pytest.raises(UsageError, match="together with"):
        load(artifact, tune=TEXTS, threads=1)


def test_a_damaged_setting_is_not_used(artifact: Path, opened: Opened) -> None:
    sound = {"runtime": "onnxruntime", "precision": "fp32", "threads": 1, "options": {}}
    for change in ({"threads": 0}, {"threads": "2"}, {"options": {"speed": 9}}, {"runtime": "x"}):
        content = {"format": 1, "devices": {device_key(): {"best": {**sound, **change}}}}
        (artifact / TUNING_NAME).write_text(json.dumps(content))
        with load(artifact):
            pass
    assert [call["threads"] for call in opened.calls] == [None] * 4


def test_other_devices_stay_in_the_file(artifact: Path) -> None:
    others = {"another device": {"best": {"runtime": "abacus"}}}
    (artifact / TUNING_NAME).write_text(json.dumps({"format": 1, "devices": others}))
    tune(artifact, TEXTS, open_with=load, seconds=1e-6)
    devices = json.loads((artifact / TUNING_NAME).read_text())["devices"]
    assert devices.keys() == {"another device", device_key()}


def test_a_tuned_artifact_can_be_replaced(artifact: Path) -> None:
    manifest = read_manifest(artifact)
    files = {name: (artifact / name).read_bytes() for name in manifest.files}
    tune(artifact, TEXTS, open_with=load, seconds=1e-6)

    def populate(folder: Path) -> None:
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)

    write_artifact(artifact, manifest, populate)
    assert not (artifact / TUNING_NAME).exists()  # another model, other settings


def test_what_cannot_be_run_is_named(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = get_runtime("onnxruntime")
    real = module.open_model

    def refuse(path: Path, **arguments: Any) -> Any:
        if arguments["options"].get("arena") is False:
            raise ArtifactError("no memory of that kind")
        return real(path, **arguments)

    monkeypatch.setattr(module, "open_model", refuse)
    tuning = tune(artifact, TEXTS, open_with=load, seconds=1e-6)
    failed = [one for one in tuning.tried if one.error]
    assert {one.error for one in failed} == {"no memory of that kind"}
    assert all(one.p50_ms is None for one in failed)
    assert tuning.tried[-1] in failed
    assert tuning.best.options.get("arena") is not False
    monkeypatch.setattr(module, "TUNABLE", ({"arena": False},))
    with pytest.raises(ArtifactError, match="no memory of that kind"):
        tune(artifact, TEXTS, open_with=load)


def test_without_texts_or_runtimes_it_says_so(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="needs some texts"):
        tune(artifact, [], open_with=load)
    monkeypatch.setattr(get_runtime("onnxruntime"), "devices", list)
    with pytest.raises(MissingDependencyError, match="no runtime of the artifact"):
        tune(artifact, TEXTS, open_with=load)


def test_a_device_without_the_full_install_tunes_too(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\ufeff" + "\r\n\n".join(TEXTS), encoding="utf-8")
    assert on_device(["tune", str(artifact), str(texts)]) == 0
    told = capsys.readouterr().out.splitlines()
    best = read_tuning(artifact)
    assert best is not None
    assert " ms  ONNX Runtime fp32, threads " in told[0]
    assert told[0].endswith(", ".join(f"{name} {value}" for name, value in best.options.items()))
    assert on_device(["tune", str(artifact), str(texts), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["texts"] == len(TEXTS)
    assert on_device(["tune", str(artifact), str(tmp_path / "none.txt")]) == 1
    texts.write_bytes(b"caf\xe9")
    assert on_device(["tune", str(artifact), str(texts)]) == 1
    said = capsys.readouterr().err
    assert said.count("cannot be read") == 2
    assert on_device(["tune", str(tmp_path), str(texts)]) == 1
    assert "Not an artifact" in capsys.readouterr().err


@pytest.mark.parametrize("name", runtime_names())
def test_runtimes_refuse_options_that_they_do_not_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{name} has no option 'speed'"):
        get_runtime(name).open_model(tmp_path, precision="fp32", options={"speed": 9})
    assert get_runtime(name).TUNABLE[0] == {}
