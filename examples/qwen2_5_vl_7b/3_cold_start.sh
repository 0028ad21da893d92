#!/usr/bin/env bash
# Stage 2: DPO + SFT cold start of the base model on self-distilled pairs.  Usage: bash 3_cold_start.sh [overrides]
set -euo pipefail
source "$(dirname "$0")/../common.sh"

specs watch --show --stall "$STALL" --log "$OUT/cold_start/log.txt" -- \
    torchrun --standalone --nproc_per_node "$N_GPUS" -m specs_verl.cold_start \
    +specs="${RECIPE}_cold_start" \
    model.path="$MODEL" \
    data.train_files="$OUT/pairs/pairs.parquet" \
    trainer.seed="$SEED" \
    trainer.default_local_dir="$OUT/cold_start" "$@"
