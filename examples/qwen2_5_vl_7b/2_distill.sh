#!/usr/bin/env bash
# Stage 1b: self-distilled preference pairs: chosen from zero, rejected from the base model, both right, form differs.
# Usage: bash 2_distill.sh [options of specs distill]
set -euo pipefail
source "$(dirname "$0")/../common.sh"

zero="$(newest_hf "$OUT/zero/checkpoints")"
specs distill \
    --prompts "$TRAIN_FILES" \
    --base "$MODEL" \
    --zero "$zero" \
    --out "$OUT/pairs" \
    --n "$PAIR_SAMPLES" \
    --temperature 1.0 \
    --max-prompt-tokens "$MAX_PROMPT" \
    --max-tokens "$MAX_RESPONSE" \
    --judge rule \
    --seed "$SEED" "$@"
