#!/usr/bin/env bash
# Metis-RISE: GRPO from the base, routing by pass rate, SFT on own answers and then on the expert's, evaluation.
# Usage: TEACHER=http://127.0.0.1:8000/v1#MODEL bash run.sh [grpo.steps=100 ...]
#   TEACHER   the expert: a chat endpoint and the name of its model, or a checkpoint; NANO=1 trains one of its own
set -euo pipefail
PIPELINE=rise
OUT="${OUT:-runs/rise}"
source "$(dirname "$0")/../common.sh"
setting teacher.checkpoint "${TEACHER:-}"

specs run "$PIPELINE" --out "$OUT" --seed "$SEED" "${SETTINGS[@]}" "$@"
