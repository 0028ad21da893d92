# Settings and helpers of the recipe scripts; every setting can be given in the environment. Sourced, not run.
#
#   NANO=1          the same scripts on the built-in nano world: two CPU cores, minutes
#   MODEL           base model: hub name or Hugging Face directory
#   TRAIN_FILES     prompts of GRPO and distillation, parquet in verl's schema (one file)
#   TEST_FILES      held-out prompts as in training
#   OOD_FILES       prompts that ask for other output formats (optional; for the Generalization Factor)
#   N_GPUS, NNODES  GPUs per node and nodes; for more than one node start Ray first and run the scripts on its head
#   OUT             folder of the run
#   SEED            training seed
#   STALL           seconds without a sign of life after which a stage is given up

export OUT SEED
SEED="${SEED:-0}"
NNODES="${NNODES:-1}"
STALL="${STALL:-1800}"

if [[ "${NANO:-0}" == 1 ]]; then
    RECIPE=nano
    OUT="${OUT:-runs/nano_scripts}"
    N_GPUS="${N_GPUS:-1}"
    DATA="$OUT/data"
    MODEL="${MODEL:-$(python -c 'from data_prep.nano import base_checkpoint; print(base_checkpoint())')}"
    [[ -f "$DATA/ood.parquet" ]] || specs data nano --out "$DATA" --train "${N_TRAIN:-4096}" --test "${N_TEST:-1000}"
    OOD_FILES="${OOD_FILES:-$DATA/ood.parquet}"
    MAX_PROMPT=96
    MAX_RESPONSE=80
    PAIR_SAMPLES="${PAIR_SAMPLES:-4}"
    FORMAT_CHECK=(--format-check data_prep.nano.formats:complies)
else
    RECIPE=qwen2_5_vl_7b
    OUT="${OUT:-runs/qwen2_5_vl_7b}"
    N_GPUS="${N_GPUS:-8}"
    DATA="${DATA:-data}"
    MODEL="${MODEL:-Qwen/Qwen2.5-VL-7B-Instruct}"
    OOD_FILES="${OOD_FILES:-}"
    MAX_PROMPT=4096
    MAX_RESPONSE=10240
    PAIR_SAMPLES="${PAIR_SAMPLES:-8}"
    FORMAT_CHECK=(${FORMAT_CHECK:+--format-check "$FORMAT_CHECK"})
fi
TRAIN_FILES="${TRAIN_FILES:-$DATA/train.parquet}"
TEST_FILES="${TEST_FILES:-$DATA/test.parquet}"

# The newest Hugging Face checkpoint of a verl run.
newest_hf() {
    local tracker="$1/latest_checkpointed_iteration.txt"
    [[ -f "$tracker" ]] || { echo "There is no checkpoint in $1: run the stage before this one first." >&2; return 2; }
    echo "$1/global_step_$(<"$tracker")/actor/huggingface"
}

# GRPO with stock verl, under watch: train_grpo STAGE RECIPE MODEL [overrides]
train_grpo() {
    local stage="$1" recipe="$2" model="$3"
    shift 3
    mkdir -p "$OUT/$stage/metrics"
    # verl empties its metrics file at every start, so each attempt gets its own.
    export VERL_FILE_LOGGER_PATH="$OUT/$stage/metrics/attempt_$(date +%Y%m%d_%H%M%S).jsonl"
    specs watch --show --stall "$STALL" --log "$OUT/$stage/log.txt" -- \
        python -m verl.trainer.main_ppo \
        +specs="$recipe" \
        actor_rollout_ref.model.path="$model" \
        data.train_files="$TRAIN_FILES" \
        data.val_files="$TEST_FILES" \
        data.seed="$SEED" \
        actor_rollout_ref.rollout.seed="$SEED" \
        trainer.n_gpus_per_node="$N_GPUS" \
        trainer.nnodes="$NNODES" \
        trainer.default_local_dir="$OUT/$stage/checkpoints" \
        trainer.rollout_data_dir="$OUT/$stage/rollouts" \
        hydra.run.dir="$OUT/$stage/hydra" "$@"
}
