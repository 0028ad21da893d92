#!/usr/bin/env bash
# Stage 3: GRPO with verifiable rewards from the warm-up model.
# Usage: bash 4_grpo.sh [grpo.steps=800 ...]
set -euo pipefail
source "$(dirname "$0")/../common.sh"

stage grpo "$@"
