#!/usr/bin/env bash
# Stage 2: DPO + SFT cold start of the base model on self-distilled pairs.
# Usage: bash 3_cold_start.sh ['cold_start.overrides=[loss.sft_weight=0.5]' ...]
set -euo pipefail
source "$(dirname "$0")/../common.sh"

stage cold_start "$@"
