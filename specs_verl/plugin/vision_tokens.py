"""Special tokens that stand for images are forbidden in rollouts, where the configuration asks (rails).

An image token in a response makes the next forward pass fail: the model counts image tokens, and there is no image for
it. vLLM gets a bias for these tokens with every request, so any agent loop of verl's is covered.
"""

from specs_verl.plugin.late_patch import on_import

FORBIDDEN = -100.0
"""The lowest bias that vLLM takes: e^-100 of the probability is left."""


def install() -> None:
    on_import("verl.experimental.agent_loop.agent_loop", forbid_vision_tokens)


def forbid_vision_tokens(module) -> None:
    """Wrap verl's agent loop worker: vLLM never samples a token that stands for (a part of) an image or a video."""
    worker = module.AgentLoopWorker
    run_agent_loop = worker._run_agent_loop

    async def without_vision_tokens(self, sampling_params, *args, **kwargs):
        if bias := _bias_of(self):
            given = sampling_params.get("logit_bias") or {}
            sampling_params = {**sampling_params, "logit_bias": {**bias, **given}}
        return await run_agent_loop(self, sampling_params, *args, **kwargs)

    worker._run_agent_loop = without_vision_tokens


def _bias_of(worker) -> dict[int, float]:
    """Token id -> bias, found once per worker."""
    if not hasattr(worker, "_specs_bias"):
        from data_prep.markers import vision_token_ids
        from specs_verl.rails.settings import Settings

        settings = Settings.of(worker.config)
        wanted = settings is not None and settings.forbid_vision_tokens
        ids = vision_token_ids(worker.tokenizer) if wanted and worker.rollout_config.name == "vllm" else ()
        worker._specs_bias = dict.fromkeys(sorted(ids), FORBIDDEN)
    return worker._specs_bias
