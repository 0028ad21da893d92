#!/usr/bin/env bash
# Stage 1b: self-distilled preference pairs: chosen from zero, rejected from the base model, both right, form differs.
# Usage: bash 2_distill.sh [pairs.recipe=no_judge ...]
set -euo pipefail
source "$(dirname "$0")/../common.sh"

stage pairs "$@"
