"""Data preparation: every data set becomes parquet in verl's row schema (see README, "Data").

    data_prep.nano      the built-in nano world: drawn images, questions, and a tiny Qwen2.5-VL trained on them

Nothing is imported here, so that importing one data set never pays for another.
"""
