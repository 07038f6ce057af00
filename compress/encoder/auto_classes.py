"""Makes transformers' Auto classes know the lean encoder, without loading transformers for it.

`import compress` must stay light, and `AutoModel….from_pretrained` must work after it, whichever
of the two libraries is imported first. So registration waits for transformers: the moments at
which its `configuration_auto` and `modeling_auto` have been imported are the first at which
anybody could ask an Auto class for a model, and right then we add ours.
"""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["install", "register"]

_CONFIGS = "transformers.models.auto.configuration_auto"
_MODELS = "transformers.models.auto.modeling_auto"


def register() -> None:
    """Register the lean encoder with transformers' Auto classes now (loads torch).

    Only needed where the automatic registration of `import compress` is not wanted or was
    undone; harmless when repeated.
    """
    _register_config()
    _register_models()


def install() -> None:
    """Register as soon as transformers' Auto classes exist; at once if they already do."""
    actions: dict[str, Callable[[], None]] = {}
    for name, action in ((_CONFIGS, _register_config), (_MODELS, _register_models)):
        if name in sys.modules:
            action()
        else:
            actions[name] = action
    if actions and not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport(actions))


def _register_config() -> None:
    from transformers.models.auto.configuration_auto import AutoConfig

    from compress.encoder.config import LeanEncoderConfig

    AutoConfig.register(LeanEncoderConfig.model_type, LeanEncoderConfig, exist_ok=True)


def _register_models() -> None:
    if importlib.util.find_spec("torch") is None:
        return  # transformers without torch can still tokenize; there is no model to offer it
    from transformers.models.auto import modeling_auto

    from compress.encoder.config import LeanEncoderConfig
    from compress.encoder.heads.registry import model_of_task, tasks
    from compress.encoder.modules import LeanEncoderModel
    from runtimes.registry import get_task

    modeling_auto.AutoModel.register(LeanEncoderConfig, LeanEncoderModel, exist_ok=True)
    for task in tasks():
        spec = get_task(task).SPEC
        if spec.model_suffix:
            auto_class = getattr(modeling_auto, spec.auto_class)
            auto_class.register(LeanEncoderConfig, model_of_task(task), exist_ok=True)


class _AfterImport(MetaPathFinder):
    """Runs an action right after a module has been imported, once."""

    def __init__(self, actions: dict[str, Callable[[], None]]) -> None:
        self._actions = actions

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._actions:
            return None
        action = self._actions.pop(fullname)
        spec = None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(fullname, path, target)):
                break
        if spec is not None and spec.loader is not None:
            _run_after(spec.loader, action)
        if not self._actions and self in sys.meta_path:
            sys.meta_path.remove(self)
        return spec


def _run_after(loader: Loader, action: Callable[[], None]) -> None:
    """Let `loader` call `action` once it has executed its module."""
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        action()

    loader.exec_module = exec_module  # type: ignore[method-assign]
