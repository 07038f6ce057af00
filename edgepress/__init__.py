"""edgepress by its own name: four packages under one, beside whatever else is called as they are.

    from edgepress import Recipe, compress, load

    result = compress("my-model", data="my-data", recipe=Recipe.preset("fast"), out="out")
    classify = load("out/artifact")

Public are the names of `compress.__all__`, `load` of `runtimes`, and the packages `benchmarks`,
`export` and `runtimes`. Of a package anything can be imported: `from edgepress.runtimes.errors
import ArtifactError`, and of the fourth likewise: `from edgepress.compress.errors import ...`.
The attribute `edgepress.compress` is always the function.

Usually `edgepress.runtimes.errors` is `runtimes.errors`, the same module. Where one of the four
names means another module, such as a project's own `export.py` or `benchmarks/`, none of the four
is taken: they are loaded as `edgepress.compress`, ... alone, and find each other there. Which of
the two it is, is settled when the first of them is imported.

Names are loaded when they are first used.
"""

import signal
import sys

# As a command (Python calls it "-m" until it has found `__main__`): until it has handlers of its
# own, Ctrl-C ends it as it does any program, where Python would print what it was importing.
if (
    (sys.argv[:1] == ["-m"] and __name__ in sys.orig_argv)
    or "".join(sys.argv[:1]).rpartition("/")[2] in ("edgepress", "compress")
) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import builtins
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import benchmarks as benchmarks
    import export as export
    import runtimes as runtimes
    from compress import (
        ArtifactError,
        Benchmark,
        BudgetError,
        DataError,
        EdgepressError,
        ModelError,
        Recipe,
        Result,
        TrainingSettings,
        UsageError,
        benchmark,
        compress,
        distill,
        export_artifact,
        import_encoder,
        measure_latency_table,
        pretrain,
        prune_heads,
        prune_to_latency,
        quantization_plan,
        register,
        train,
        tune,
    )
    from runtimes import load

__all__ = [
    "ArtifactError",
    "Benchmark",
    "BudgetError",
    "DataError",
    "EdgepressError",
    "ModelError",
    "Recipe",
    "Result",
    "TrainingSettings",
    "UsageError",
    "benchmark",
    "benchmarks",
    "compress",
    "distill",
    "export",
    "export_artifact",
    "import_encoder",
    "load",
    "measure_latency_table",
    "pretrain",
    "prune_heads",
    "prune_to_latency",
    "quantization_plan",
    "register",
    "runtimes",
    "train",
    "tune",
]

_PACKAGES = ("benchmarks", "compress", "export", "runtimes")
_PREFIX = f"{__name__}."
_ROOT = Path(__file__).parents[1]  # where the four lie


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _PACKAGES:
        return import_module(_PREFIX + name)
    home = "runtimes" if name == "load" else "compress"
    return getattr(import_module(_PREFIX + home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Face(ModuleType):
    """Keeps `compress` the function: importing `edgepress.compress` would set the package."""

    @property
    def compress(self) -> Any:
        return __getattr__("compress").compress

    @compress.setter
    def compress(self, _: ModuleType) -> None:
        pass


class _Finder(MetaPathFinder):
    """Finds the four packages, and what is in them, under `edgepress`."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        name = fullname.removeprefix(_PREFIX)
        if name == fullname or name.partition(".")[0] not in _PACKAGES:
            return None
        if not _taken():
            return ModuleSpec(fullname, _SameModule())
        spec = PathFinder.find_spec(fullname, path if "." in name else [str(_ROOT)])
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _OwnModule(spec.loader.name, spec.loader.path)
        return spec


class _SameModule(Loader):
    """Loads a module under its short name."""

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = import_module(module.__name__.removeprefix(_PREFIX))


class _OwnModule(SourceFileLoader):
    """Loads a module to which the four names mean the packages under `edgepress`."""

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = _builtins()  # the statement `import` calls what is there
        super().exec_module(module)


@cache
def _builtins() -> dict[str, Any]:
    return {**vars(builtins), "__import__": _import}


def _import(
    name: str,
    globals: Any = None,  # noqa: A002 - these are called so
    locals: Any = None,  # noqa: A002
    fromlist: Any = (),
    level: int = 0,
) -> Any:
    """Do what the statement `import` does; see `__import__`."""
    first = name.partition(".")[0]
    if level or first not in _PACKAGES:
        return __import__(name, globals, locals, fromlist, level)
    found = __import__(_PREFIX + name, globals, locals, fromlist)
    return found if fromlist else sys.modules[_PREFIX + first]


@cache
def _taken() -> bool:
    """Whether one of the four names means another module; if not, they mean ours from now on."""
    homes = {name: _ROOT / name / "__init__.py" for name in _PACKAGES}
    for name, home in homes.items():
        module = sys.modules.get(name)
        spec = find_spec(name) if module is None else getattr(module, "__spec__", None)
        if spec is None and module is None:
            continue
        origin = spec and spec.origin
        if not origin or Path(origin).resolve() != home.resolve():
            return True
    for name, home in homes.items():
        if home.exists():
            import_module(name)
    return False


sys.modules[__name__].__class__ = _Face
sys.meta_path.insert(0, _Finder())
