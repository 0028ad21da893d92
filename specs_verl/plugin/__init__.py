"""What stock verl loads through the entry-point group `verl.plugins`. Importing this package registers nothing.

entry.py        what verl imports in every process: it registers the parts below, and nothing else
recipes.py      the `+specs=NAME` recipes on Hydra's search path
late_patch.py   run a function on a module right after it is imported
fixes.py        bugs of verl, mended while the installed verl has them
freeze.py       the vision-tower freeze that verl's configuration promises; freeze_switch.py asks for it
loopback.py     a run on one machine listens on 127.0.0.1 only
rollout_worker.py  verl's rollout worker, which does once per prompt what siblings share; prepared.py is its memory
rails.py        alarms and sample tables while an RL run goes on; vision_tokens.py forbids image tokens in rollouts
reward_log.py   the reward manager `specs`, and the rewards of training rollouts in the log
"""
