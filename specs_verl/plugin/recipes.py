"""The `+specs=NAME` recipes: where they are, which exist, and how Hydra finds them from any directory.

    names()      -> ["nano_grpo", "qwen2_5_vl_7b_grpo", ...]
    install()    adds pkg://specs_verl.config to Hydra's search path, for stock verl's own entry points

Hydra offers a `hydra_plugins` namespace package for this, but an editable install hides it; registering with Hydra's
plugin manager works for editable and wheel installs alike.

A guest's manners: another project's Hydra application, which may have a group or a key `specs` of its own, is left
alone unless its command line asks for one of our recipes by name. A configuration of one's own that builds on a recipe
says so as in any Hydra project: `hydra.searchpath: [pkg://specs_verl.config]`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from specs_verl.plugin.late_patch import Patched, on_import

if TYPE_CHECKING:
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import ConfigSearchPath, SearchPathPlugin

SEARCH_PATH = "pkg://specs_verl.config"
GROUP = "specs"


def names() -> list[str]:
    """Names of all recipes, sorted."""
    folder = resources.files("specs_verl") / "config" / GROUP
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def asked_for(arguments: list[str]) -> list[str]:
    """Names of the recipes that a command line asks for; a sweep (`+specs=a,b`) asks for several."""
    wanted = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key.lstrip("+").partition("@")[0] == GROUP:
            wanted += value.split(",")
    return wanted


def unknown_recipe(arguments: list[str]) -> str | None:
    """What to tell a user whose command line asks for a recipe that does not exist, or None.

    A command line that brings config directories of its own is left to Hydra: the recipe may be in there.
    """
    if any(
        argument.startswith(("--config-dir", "-cd", "hydra.searchpath", "+hydra.searchpath")) for argument in arguments
    ):
        return None
    known = names()
    for value in asked_for(arguments):
        if value not in known:
            return f"There is no recipe {GROUP}={value}. Known recipes: {', '.join(known)}."
    return None


def is_verls(search_path: Iterable[str]) -> bool:
    """Whether Hydra's search path belongs to a program of verl's, or of ours: one of its entries lies in a package."""
    packages = ("verl", "specs_verl")
    specs = [spec for name in packages if (spec := find_spec(name)) is not None]
    folders = [Path(place).resolve() for spec in specs for place in spec.submodule_search_locations or ()]
    for entry in search_path:
        if entry.startswith("pkg://"):
            if re.split(r"[./]", entry.removeprefix("pkg://"))[0] in packages:
                return True
        elif any(Path(entry.removeprefix("file://")).resolve().is_relative_to(folder) for folder in folders):
            return True
    return False


def install() -> None:
    """Put the recipes on Hydra's search path as soon as Hydra's plugin manager starts (not in processes without it)."""
    on_import("hydra.core.plugins", _register_with_hydra)


def _register_with_hydra(module: Patched) -> None:
    initialize = module.Plugins._initialize

    def initialize_and_register(self: Plugins) -> None:
        initialize(self)
        self.register(_search_path_plugin())

    module.Plugins._initialize = initialize_and_register


def _search_path_plugin() -> type[SearchPathPlugin]:
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class SpecsSearchPath(SearchPathPlugin):
        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            arguments = sys.argv[1:]
            if is_verls(element.path for element in search_path.get_path() if element.path):
                problem = unknown_recipe(arguments)
                if problem:
                    print(problem, file=sys.stderr)
                    raise SystemExit(2)
            elif set(names()).isdisjoint(asked_for(arguments)):
                return
            search_path.append("specs-verl", SEARCH_PATH)

    return SpecsSearchPath
