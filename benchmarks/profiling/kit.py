"""A kit: a folder of probes that a workstation writes and a device measures.

    kit/
      kit.json                       what is in it, and the SHA-256 of every file
      probes/RUNTIME-SCHEME/NUMBER/  a model of random weights, packed (.xz)
      products/  exact.onnx.xz       matrix products: for peaks, and to see whether sums saturate
      tokenizer/  texts.json         texts of random words, as long as the data's

Probes' weights repeat themselves, so that hundreds of models pack into some megabytes. What sizes
cost does not depend on the weights.
"""

import hashlib
import json
import lzma
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.typed import built
from runtimes.errors import ModelError, ProfileError
from runtimes.files import read_file
from runtimes.folders import write_text
from runtimes.json_files import read_json
from runtimes.registry import artifact_runtimes
from runtimes.versions import at_least, installed_version

__all__ = [
    "KIT_NAME",
    "Kit",
    "KitFile",
    "ProbeModel",
    "ProbeSet",
    "Shape",
    "Sizes",
    "checksum",
    "is_name",
    "numbers",
    "shapes_from",
]

KIT_NAME = "kit.json"
_FORMAT, _KIND = 1, "edgepress probe kit"
_PACKED = ".xz"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
_MOST_BYTES = 1 << 32  # of a file, unpacked
_MOST_SHAPES, _MOST_LAYERS, _LARGEST = 1000, 1000, 1_000_000
_AGAIN = "make it again: edgepress profile kit MODEL --data DATA --out kit"

Shape = tuple[tuple[int, int, int], ...]
"""A probe's layers: heads, head size, neurons."""

Sizes = Mapping[str, Any]
"""Fields of a model's configuration that latency depends on, but for its layers' sizes."""


@dataclass(frozen=True)
class KitFile:
    """A file of the kit.

    Attributes:
        sha256: Of its content, unpacked.
        bytes: Likewise.
    """

    sha256: str
    bytes: int


@dataclass(frozen=True)
class ProbeModel:
    """A model file of a probe.

    Attributes:
        path: In the probe's folder.
        needs: The least version of the runtime that answers it rightly; "" where any does.
    """

    path: str
    needs: str = ""


@dataclass(frozen=True)
class ProbeSet:
    """Probes for one runtime in one quantization scheme.

    Attributes:
        runtime: Name of the runtime.
        scheme: Of its export target's schemes.
        precision: What models are opened in.
        models: Of each probe's model files the one that is timed: the first that fits the version.
        shapes: Places of those of the kit's shapes that there are probes of, ascending.
    """

    runtime: str
    scheme: str
    precision: str
    models: tuple[ProbeModel, ...]
    shapes: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.runtime}-{self.scheme}"

    def folder(self, shape: int) -> str:
        """Return the folder of a probe, in the kit."""
        return f"probes/{self.name}/{shape:03d}"

    def model(self, distributions: Sequence[str]) -> str:
        """Return the path of the model file that fits what is installed of its runtime.

        Args:
            distributions: Packages that the runtime comes in.
        """
        version = next((v for name in distributions if (v := installed_version(name))), "")
        fits = [one.path for one in self.models if not one.needs or at_least(version, one.needs)]
        return fits[0] if fits else self.models[-1].path


@dataclass(frozen=True)
class Kit:
    """A kit, as `kit.json` describes it.

    Attributes:
        folder: Where it is.
        created_by: Version of the tool that wrote it.
        model: Name of the model that it is for.
        sizes: What probes share with that model.
        lengths: Tokens of the texts that are timed.
        words: Rows of the probes' word tables.
        types: Whether probes take token types.
        shapes: Sizes of all probes; the first are of full size, in several depths.
        race: Places of the shapes that runtimes, schemes and threads are compared by.
        sets: Probes by runtime and scheme.
        files: By path.
        digest: SHA-256 of all of the above.
    """

    folder: Path
    created_by: str
    model: str
    sizes: Sizes
    lengths: tuple[int, ...]
    words: int
    types: bool
    shapes: tuple[Shape, ...]
    race: tuple[int, ...]
    sets: tuple[ProbeSet, ...]
    files: Mapping[str, KitFile] = field(repr=False)
    digest: str = ""

    @classmethod
    def read(cls, folder: Path) -> "Kit":
        """Read the description; the files are looked at when they are unpacked.

        Raises:
            ProfileError: There is no kit, it is damaged, or of another version.
        """
        path = folder / KIT_NAME
        try:
            values = read_json(path)
        except ModelError as error:
            raise ProfileError(f"the kit cannot be read: {error.message}", hint=_AGAIN) from error
        if values.get("kind") != _KIND:
            raise ProfileError(f"{folder} is no kit of probes: it has no {KIT_NAME}", hint=_AGAIN)
        if values.get("format") != _FORMAT:
            raise ProfileError(
                f"{path} has format {values.get('format')!r:.20}; this edgepress reads {_FORMAT}",
                hint=_AGAIN,
            )
        if values.pop("digest", None) != (digest := checksum(values)):
            raise ProfileError(f"{path} is damaged: its checksum does not fit it", hint=_AGAIN)
        try:
            return cls._from_json(folder, values, digest)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProfileError(f"{path} is damaged: {error!s:.200}", hint=_AGAIN) from error

    @classmethod
    def _from_json(cls, folder: Path, values: Mapping[str, Any], digest: str) -> "Kit":
        shapes = shapes_from(values["shapes"])
        kit = built(
            cls,
            {
                **values,
                "folder": folder,
                "lengths": numbers(values["lengths"], least=1, most=_LARGEST),
                "shapes": shapes,
                "race": numbers(values["race"], least=0, most=len(shapes) - 1),
                "sets": tuple(_set(each, len(shapes)) for each in values["sets"]),
                "files": {name: built(KitFile, of) for name, of in values["files"].items()},
                "digest": digest,
            },
        )
        for name, file in kit.files.items():
            if not is_name(name) or not 0 <= file.bytes <= _MOST_BYTES:
                raise ValueError(f"no file can be {name!r:.60}")
        if not kit.sets or not 1 <= kit.words <= _LARGEST:
            raise ValueError("it holds no probes")
        return kit

    def write(self) -> str:
        """Write the description; returns its digest."""
        values = {name: value for name, value in asdict(self).items() if name != "folder"}
        values = {"kind": _KIND, "format": _FORMAT, **values}
        del values["digest"]
        values = json.loads(json.dumps(values))
        digest = checksum(values)
        write_text(self.folder / KIT_NAME, json.dumps({**values, "digest": digest}) + "\n")
        return digest

    def unpack(self, prefix: str, target: Path) -> list[Path]:
        """Unpack the files whose paths begin with `prefix` below `target`, under the same paths.

        Raises:
            ProfileError: One is missing, or is not what the kit says.
            OSError: They cannot be written.
        """
        written = []
        for name, file in self.files.items():
            if not name.startswith(prefix):
                continue
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._content(name, file))
            written.append(path)
        return written

    def bytes_of(self, prefix: str) -> int:
        """Return the bytes that `unpack` writes."""
        return sum(file.bytes for name, file in self.files.items() if name.startswith(prefix))

    def _content(self, name: str, file: KitFile) -> bytes:
        path = self.folder / f"{name}{_PACKED}"
        try:
            packed = read_file(path, _MOST_BYTES)
            content = lzma.LZMADecompressor().decompress(packed, max_length=file.bytes + 1)
        except (OSError, ValueError, lzma.LZMAError, EOFError) as error:
            raise ProfileError(f"{path} cannot be read: {error!s:.200}", hint=_AGAIN) from error
        if len(content) != file.bytes or hashlib.sha256(content).hexdigest() != file.sha256:
            raise ProfileError(
                f"{path} is damaged: its content is not what {KIT_NAME} says", hint=_AGAIN
            )
        return content

    @staticmethod
    def pack(folder: Path, name: str, content: bytes) -> KitFile:
        """Write a file into a kit, packed.

        Args:
            folder: The kit's.
            name: Path of the file there.
            content: What is in it.
        """
        path = folder / f"{name}{_PACKED}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lzma.compress(content, preset=1))
        return KitFile(hashlib.sha256(content).hexdigest(), len(content))


def checksum(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON values."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def is_name(text: str) -> bool:
    """Return whether a relative path is plain: no way up, nothing hidden, no other separators."""
    return len(text) <= 300 and _NAME.fullmatch(text) is not None


def numbers(values: Any, *, least: int, most: int) -> tuple[int, ...]:
    """Return a list of whole numbers.

    Raises:
        ValueError: It is none, it is empty, or one is out of bounds.
    """
    if not isinstance(values, list) or not 0 < len(values) <= 100_000:
        raise ValueError("a list of numbers is missing")
    if not all(type(value) is int and least <= value <= most for value in values):
        raise ValueError(f"a number is not within {least} to {most}")
    return tuple(values)


def shapes_from(values: Any) -> tuple[Shape, ...]:
    """Return shapes as JSON holds them.

    Raises:
        ValueError: They are none.
    """
    if not isinstance(values, list) or not 0 < len(values) <= _MOST_SHAPES:
        raise ValueError("the probes' sizes are missing")
    found = []
    for shape in values:
        if not isinstance(shape, list) or not 0 < len(shape) <= _MOST_LAYERS:
            raise ValueError("a probe has no layers")
        layers = [numbers(layer, least=0, most=_LARGEST) for layer in shape]
        if any(len(layer) != 3 for layer in layers):
            raise ValueError("a layer has three sizes")
        found.append(tuple((layer[0], layer[1], layer[2]) for layer in layers))
    return tuple(found)


def _set(values: Mapping[str, Any], shapes: int) -> ProbeSet:
    models = tuple(built(ProbeModel, each) for each in values["models"])
    places = numbers(values["shapes"], least=0, most=shapes - 1)
    found = built(ProbeSet, {**values, "models": models, "shapes": places})
    plain = all(is_name(one.path) for one in models) and is_name(found.scheme)
    if not models or not plain or found.runtime not in artifact_runtimes():
        raise ValueError(f"no runtime {found.runtime!r:.40} or no model for it")
    return found
