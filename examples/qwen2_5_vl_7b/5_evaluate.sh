#!/usr/bin/env bash
# Accuracy, format and pass@8 of base, zero, warm-up and final model; the Generalization Factor over the steps of the
# cold start; the report page.
# Usage: bash 5_evaluate.sh [evaluation.samples=64 ...]
set -euo pipefail
source "$(dirname "$0")/../common.sh"

stage evaluation "$@"
stage gf "$@"
stage report "$@"
