"""The built-in verifiers, one file per family; each registers itself when reward_fns.registry first looks it up."""
