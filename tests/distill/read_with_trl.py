"""Run in a process of its own by test_export.py: TRL loads and prepares an exported set as its DPO trainer does.

python read_with_trl.py EXPORTED.parquet CACHE_DIR OUT.pt
"""

import sys

import datasets
import torch
import trl
from trl.trainer.dpo_trainer import DataCollatorForVisionPreference

from data_prep.nano.model import build_model

path, cache, out = sys.argv[1:]
loaded = datasets.load_dataset("parquet", data_files=path, cache_dir=cache)["train"]
model, processor = build_model(seed=0)
batch = DataCollatorForVisionPreference(processor)([loaded[index] for index in range(len(loaded))])

settings = trl.DPOConfig(
    output_dir=cache + "/trainer",
    per_device_train_batch_size=4,
    max_steps=1,
    use_cpu=True,
    bf16=False,
    report_to=[],
    save_strategy="no",
    gradient_checkpointing=False,
    logging_steps=1,
)
same, _ = build_model(seed=0)
trainer = trl.DPOTrainer(model=model, ref_model=same, args=settings, train_dataset=loaded, processing_class=processor)
trainer.train()
losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
torch.save({"batch": dict(batch), "losses": losses, "version": trl.__version__}, out)
