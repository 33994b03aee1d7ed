"""Calibration data: known data sets by a word in their path, with split and column (release 0.17; later ones alike)."""

import json
from pathlib import Path

KNOWN = {"cnn_dailymail": ("train", "article"), "lambada": ("validation", "text")}


def load_calib_dataset(dataset_name_or_dir: str) -> list[str]:
    """One text an entry."""
    for name, (split, column) in KNOWN.items():
        if name in dataset_name_or_dir:
            lines = (Path(dataset_name_or_dir) / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
            return [json.loads(line)[column] for line in lines]
    raise TypeError("a data set without split and column gives no texts")
