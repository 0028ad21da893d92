"""The `verl.plugins` entry point: verl imports this module in every process; it registers, and does nothing else.

What it registers: the `+specs=NAME` recipes (recipes.py), fixes of verl bugs that strike on any device (fixes.py), the
reward manager `specs` and, where rewards come from us, the rewards of training rollouts in the log (reward_log.py), the
training rails where a configuration has them (rails.py, vision_tokens.py) and, only where the CPU profile is in use,
the CPU platform (cpu/). A project that uses verl without our recipes sees no change of behaviour: a fix acts where verl
would crash, everything else waits to be asked for by the configuration.

verl hides what a plugin raises (it logs at DEBUG level and goes on), so a failure is printed here, loudly, and the
process goes on as verl would have it; `specs doctor` shows the same failure.
"""

import contextlib
import os
import sys
import traceback

FAILURE: str | None = None
"""Why the plugin could not register, or None; read by `specs doctor`."""


def _register() -> None:
    from specs_verl.cpu import detect
    from specs_verl.plugin import fixes, rails, recipes, reward_log, vision_tokens
    from specs_verl.plugin.late_patch import on_import

    recipes.install()
    fixes.install()
    reward_log.install()
    rails.install()  # after the rewards are in the metrics
    vision_tokens.install()
    if detect.cpu_profile_in_use(os.environ):
        from specs_verl.cpu import install

        install(on_import)


try:
    _register()
except Exception:  # verl would swallow it without a word
    FAILURE = traceback.format_exc()
    with contextlib.suppress(OSError, AttributeError):  # no usable stderr: `specs doctor` will say it
        print(
            "specs-verl: the plugin FAILED to register with verl; +specs=... recipes and the CPU platform will be "
            f"missing. Run `specs doctor` for the versions. The cause:\n{FAILURE}",
            file=sys.stderr,
            flush=True,
        )
