#!/usr/bin/env bash
# Stage 3: GRPO with verifiable rewards from the warm-up model.  Usage: bash 4_grpo.sh [overrides]
set -euo pipefail
source "$(dirname "$0")/../common.sh"

train_grpo grpo "${RECIPE}_grpo" "$OUT/cold_start/hf" "$@"
