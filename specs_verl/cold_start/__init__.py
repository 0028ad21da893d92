r"""Stage 2: DPO + SFT cold start of a vision-language model on preference pairs, on verl's FSDP engine; with `loss=sft`
the supervised stage of Metis-RISE and of RL with Cold Start, on conversations.

    python -m specs_verl.cold_start +specs=NAME \
        model.path=DIR data.train_files=pairs.parquet trainer.default_local_dir=OUT

What happens, in order:

    table.py        rows of the parquet files and their images
    pairs.py, conversations.py   what the columns mean, checked
    encode.py       rows -> token ids, exactly as at rollout time
    schedule.py     which rows make up which step: epochs, stages
    order.py        their order within an epoch, and which process works on which of them
    layout.py       index arithmetic of a row [prompt | chosen | rejected | ...]
    packing.py      pairs -> one packed row of tensors
    attention*.py   attention in which the branches of a row do not see each other: SDPA, flash-attn, FlexAttention
    last_layer.py   the last decoder layer on response rows only
    vision.py, tower_attention.py   the frozen vision tower
    feature_cache.py  its features, in memory and on disk
    engine.py       verl's FSDP engine, taught to run such rows
    loss.py         losses as pure functions of log-probabilities
    reference.py, reference_pass.py   log-probabilities of the initial policy, computed once and cached
    start.py        where a run starts, and what it finds of an earlier one
    checkpoint.py   resumable checkpoints and Hugging Face export, both atomic
    step_sums.py    what a step reports, correct for any number of processes
    voice.py        what a process says when it has to end
    trainer.py      the loop
    on_ray.py       the same loop in Ray actors

Not here: making the pairs (specs_verl.distill) and measuring the result (specs_verl.measure).
"""
