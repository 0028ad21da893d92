#!/usr/bin/env bash
# Evaluation of base, zero, warm-up and final model: accuracy, format, pass@8, Generalization Factor, report page.
# Usage: bash 5_evaluate.sh      (N_SAMPLES responses per held-out prompt, default 8)
set -euo pipefail
source "$(dirname "$0")/../common.sh"

zero="$(newest_hf "$OUT/zero/checkpoints")"
final="$(newest_hf "$OUT/grpo/checkpoints")"
evaluation="$OUT/evaluation"

sample() { # sample NAME CHECKPOINT SET FILE N
    python -m specs_verl.sampling --model "$2" --data "$4" --out "$evaluation/$1/samples/$3" --n "$5" --temperature 1.0 \
        --max-prompt-tokens "$MAX_PROMPT" --max-tokens "$MAX_RESPONSE" --seed "$SEED"
}

evaluate() { # evaluate NAME CHECKPOINT
    local sets=(--set "test=$evaluation/$1/samples/test:$TEST_FILES")
    sample "$1" "$2" test "$TEST_FILES" "${N_SAMPLES:-8}"
    if [[ -n "$OOD_FILES" ]]; then
        sample "$1" "$2" ood "$OOD_FILES" 1
        sets+=(--set "ood@ood=$evaluation/$1/samples/ood:$OOD_FILES")
    fi
    specs evaluate --model "$1" --out "$evaluation/$1" --seed "$SEED" "${sets[@]}" "${FORMAT_CHECK[@]}"
}

evaluate base "$MODEL"
evaluate zero "$zero"
evaluate warm-up "$OUT/cold_start/hf"
evaluate final "$final"

specs gf --base "$evaluation/base" "$evaluation/warm-up" "$evaluation/final"
specs report "$evaluation"/{base,zero,warm-up,final} --out "$OUT/report.html" --title "Metis-SPECS, $RECIPE" \
    --grpo zero="$(ls "$OUT"/zero/metrics/*.jsonl | paste -sd,)" --grpo-rollouts zero="$OUT/zero/rollouts" \
    --grpo final="$(ls "$OUT"/grpo/metrics/*.jsonl | paste -sd,)" --grpo-rollouts final="$OUT/grpo/rollouts" \
    --cold-start warm-up="$OUT/cold_start/metrics.jsonl"
