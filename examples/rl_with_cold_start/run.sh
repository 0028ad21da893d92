#!/usr/bin/env bash
# RL with Cold Start: a teacher's chains of thought in four patterns, SFT on them, GRPO with a KL term, evaluation.
# Usage: TEACHER=http://127.0.0.1:8000/v1#MODEL bash run.sh [grpo.steps=100 ...]
#   TEACHER   a chat endpoint and the name of its model, or a checkpoint; NANO=1 trains one of its own
set -euo pipefail
PIPELINE=rl_with_cold_start
OUT="${OUT:-runs/rl_with_cold_start}"
source "$(dirname "$0")/../common.sh"
setting teacher.checkpoint "${TEACHER:-}"

specs run "$PIPELINE" --out "$OUT" --seed "$SEED" "${SETTINGS[@]}" "$@"
