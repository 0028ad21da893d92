#!/usr/bin/env bash
# Evaluation of base, zero, warm-up and final model: accuracy, format, pass@8, Generalization Factor, report page.
# Usage: bash 5_evaluate.sh [evaluation.samples=64 ...]
set -euo pipefail
source "$(dirname "$0")/../common.sh"

stage evaluation "$@"
stage report "$@"
specs gf --base "$OUT/evaluation/base" "$OUT/evaluation/warm-up" "$OUT/evaluation/final"
