"""Configuration files: specs/ (recipes, +specs=NAME), cold_start/ (the cold-start trainer), pipelines/ (specs run)."""
