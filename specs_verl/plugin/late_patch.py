"""Run a function on a module right after it is imported, or at once when it already is.

    on_import("verl.utils.distributed", use_gloo)

verl loads plugins while it is itself half imported, in every process. Patching lazily keeps the plugin cheap (nothing
is imported for the patch's sake) and in time (the patch is in place before anybody can say `from module import name`).
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Patched = Any
"""A module of somebody else's, whose functions and classes are read and replaced by name."""

Patch = Callable[[Patched], None]


class _Finder(importlib.abc.MetaPathFinder):
    """Finds what the other finders find, and makes the loader call the patches when it has run the module."""

    def __init__(self) -> None:
        self.patches: dict[str, list[Patch]] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self.patches:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self else None
            if spec is not None:
                break
        else:
            return None
        loader: Any = spec.loader
        run_module = loader.exec_module

        def run_and_patch(module: ModuleType) -> None:
            run_module(module)
            for patch in self.patches.pop(name, []):
                patch(module)

        loader.exec_module = run_and_patch
        return spec


_FINDER = _Finder()


def on_import(module_name: str, patch: Patch) -> None:
    """Call ``patch(module)`` once: now if the module is loaded, otherwise when it has been."""
    module = sys.modules.get(module_name)
    if module is not None and not getattr(module.__spec__, "_initializing", False):
        patch(module)
        return
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    _FINDER.patches.setdefault(module_name, []).append(patch)
