"""Run in a process of its own by test_dataset.py: verl changes much in one that imports it.

    python read_as_preferences.py PAIRS.parquet OUT.pt

Builds the data set through both of verl's loaders and collates it as verl's SFT trainer does.
"""

import sys

import torch
from omegaconf import OmegaConf
from verl.trainer.ppo.utils import create_rl_dataset
from verl.trainer.sft_trainer import create_sft_dataset
from verl.utils.dataset.dataset_utils import DatasetPadMode, SFTTensorCollator

from data_prep.nano.model import build_processor

pairs, out = sys.argv[1:]
processor = build_processor()
custom = {"path": "pkg://specs_verl.cold_start.preference_dataset", "name": "PreferenceDataset"}
config = OmegaConf.create(
    {
        "custom_cls": custom,
        "max_length": 512,
        "truncation": "error",
        "pad_mode": "no_padding",
        "cache_dir": out + ".cache",
    }
)
loaded = create_sft_dataset([pairs], config, processor.tokenizer, processor, max_samples=-1)
few = create_sft_dataset(pairs, config, processor.tokenizer, processor, max_samples=3)
again = create_rl_dataset([pairs], config, processor.tokenizer, processor, max_samples=-1)
batch = SFTTensorCollator(DatasetPadMode.NO_PADDING)([loaded[0], loaded[1], loaded[2]])
torch.save(
    {
        "items": [loaded[index] for index in range(len(loaded))],
        "from_the_other_loader": [again[index] for index in range(len(again))],
        "few": len(few),
        "collated_lengths": {
            key: [len(row) if row.dim() == 1 else row.shape[-1] for row in batch[key].unbind()]
            for key in batch
            if key.endswith(("input_ids", "loss_mask", "position_ids"))
        },
        "collated_grids": [images.data.get("image_grid_thw") for images in batch["multi_modal_inputs"]],
    },
    out,
)
