#!/usr/bin/env bash
# Stage 1a: short GRPO from the base model; "zero" will write the chosen answers.
# Usage: bash 1_zero.sh [zero.steps=100 ...]
set -euo pipefail
source "$(dirname "$0")/../common.sh"

stage data "$@"
stage zero "$@"
