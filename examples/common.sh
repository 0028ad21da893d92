# Settings of the recipe scripts; every one can be given in the environment. Sourced, not run.
#
#   NANO=1          the same scripts on the built-in nano world: two CPU cores, minutes; N_TRAIN, N_TEST rows of its data
#   PIPELINE        the pipeline (default: specs)
#   WORLD           a name from specs_verl/config/pipelines/worlds (default: gpu; qwen2_5_vl_3b for 3B on one GPU)
#   DATA            folder of train.parquet and test.parquet (default: data)
#   MODEL           base model: a name from specs_verl/config/specs/model, a hub name or a directory
#   MODEL_LIKE      for a hub name or a directory: the model whose settings it takes (default: qwen2_5_vl_7b)
#   HARDWARE        a name from specs_verl/config/specs/hardware (default: 8x80g)
#   TRAIN_FILES     prompts of GRPO and distillation, parquet in verl's schema (one file)
#   TEST_FILES      held-out prompts as in training
#   OOD_FILES       prompts that ask for other output formats (optional; for the Generalization Factor)
#   FORMAT_CHECK    module:function that checks those formats
#   N_GPUS, NNODES  GPUs per node and nodes (default: those of the hardware); for more than one node start Ray first and run the scripts on its head
#   PAIR_SAMPLES    responses per prompt and model, of which pairs are made
#   N_SAMPLES       responses per held-out prompt
#   OUT             folder of the run
#   SEED            training seed
#   STALL           seconds without a sign of life after which a stage is given up
#
# Every script runs one stage of the pipeline $PIPELINE (specs_verl/config/pipelines), as `specs run` would. Arguments
# are settings of that pipeline (zero.steps=100), --dry-run prints the command, --redo STAGE begins a stage of the script
# anew, with those that need it.

PIPELINE="${PIPELINE:-specs}"
SEED="${SEED:-0}"
export OUT SEED

SETTINGS=()
setting() { # setting KEY VALUE: passed on where there is a value
    [[ -z "$2" ]] || SETTINGS+=("$1=$2")
}

if [[ "${NANO:-0}" == 1 ]]; then
    OUT="${OUT:-runs/nano_scripts}"
    setting world nano
    setting data.train "${N_TRAIN:-}"
    setting data.test "${N_TEST:-}"
else
    OUT="${OUT:-runs/qwen2_5_vl_7b}"
    DATA="${DATA:-data}"
    setting world "${WORLD:-gpu}"
    setting hardware "${HARDWARE:-}"
    setting model_like "${MODEL_LIKE:-}"
    setting data.train "${TRAIN_FILES:-$DATA/train.parquet}"
    setting data.test "${TEST_FILES:-$DATA/test.parquet}"
    setting data.ood "${OOD_FILES:-}"
    setting evaluation.format_check "${FORMAT_CHECK:-}"
fi
setting model "${MODEL:-}"
setting gpus "${N_GPUS:-}"
setting nodes "${NNODES:-}"
setting stall_s "${STALL:-}"
setting pairs.samples "${PAIR_SAMPLES:-}"
setting evaluation.samples "${N_SAMPLES:-}"

# stage NAME [settings and options of specs run]
stage() {
    local name="$1" arguments=()
    shift
    while (($#)); do
        # --redo deletes all that needs its stage: once, when that stage is run, not again for the later ones
        if [[ "$1" == --redo && $# -ge 2 ]]; then
            [[ "$2" != "$name" ]] || arguments+=(--redo "$name")
            shift 2
        else
            arguments+=("$1")
            shift
        fi
    done
    specs run "$PIPELINE" --out "$OUT" --seed "$SEED" --only "$name" "${SETTINGS[@]}" "${arguments[@]}"
}
