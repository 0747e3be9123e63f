"""The real data of the shipped jobs, obtained on the user's machine and never committed."""

from . import chatterbot, cmudict, debian_descriptions, home_assistant
from .common import Dataset, DataUnavailable

__all__ = ["DATASETS", "DataUnavailable", "Dataset"]

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        chatterbot.DATASET,
        cmudict.DATASET,
        debian_descriptions.DATASET,
        home_assistant.DATASET,
    )
}
