"""Imported by verl where a recipe names it as `actor_rollout_ref.model.external_lib`.

From then on verl honours `actor.freeze_vision_tower` in this process (freeze.py). Importing it is all there is to do.
"""

from specs_verl.plugin.freeze import install

install()
