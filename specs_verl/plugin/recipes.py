"""The `+specs=NAME` recipes: where they are, which exist, and how Hydra finds them from any directory.

    names()      -> ["nano_grpo", "qwen2_5_vl_7b_grpo", ...]
    install()    adds pkg://specs_verl.config to Hydra's search path, for stock verl's own entry points

Hydra offers a `hydra_plugins` namespace package for this, but an editable install hides it; registering with Hydra's
plugin manager works for editable and wheel installs alike.
"""

import sys
from importlib import resources

from specs_verl.plugin.late_patch import on_import

SEARCH_PATH = "pkg://specs_verl.config"
GROUP = "specs"


def names() -> list[str]:
    """Names of all recipes, sorted."""
    folder = resources.files("specs_verl") / "config" / GROUP
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def unknown_recipe(arguments: list[str]) -> str | None:
    """What to tell a user whose command line asks for a recipe that does not exist, or None.

    A command line that brings config directories of its own is left to Hydra: the recipe may be in there.
    """
    if any(
        argument.startswith(("--config-dir", "-cd", "hydra.searchpath", "+hydra.searchpath")) for argument in arguments
    ):
        return None
    known = names()
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key.lstrip("+") == GROUP and value not in known:
            return f"There is no recipe {GROUP}={value}. Known recipes: {', '.join(known)}."
    return None


def install() -> None:
    """Put the recipes on Hydra's search path as soon as Hydra's plugin manager starts (not in processes without it)."""
    on_import("hydra.core.plugins", _register_with_hydra)


def _register_with_hydra(module) -> None:
    initialize = module.Plugins._initialize

    def initialize_and_register(self) -> None:
        initialize(self)
        self.register(_search_path_plugin())

    module.Plugins._initialize = initialize_and_register


def _search_path_plugin() -> type:
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class SpecsSearchPath(SearchPathPlugin):
        def manipulate_search_path(self, search_path) -> None:
            problem = unknown_recipe(sys.argv[1:])
            if problem:
                print(problem, file=sys.stderr)
                raise SystemExit(2)
            search_path.append("specs-verl", SEARCH_PATH)

    return SpecsSearchPath
