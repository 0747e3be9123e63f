"""Batches of about equal cost: texts of about the same length together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# A batch costs what its longest text does, as many times as it has rows.
CHARACTERS = 16_384  # rows times the longest text, in a batch
ROWS = 1_024


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Cuts texts into batches of neighbours in length, the shortest first.

    Args:
      lengths: of the texts, in characters.

    Yields:
      The places of the texts of a batch; each place once.
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Sorted: this text is the longest.
        cost = (len(batch) + 1) * lengths[place]
        if batch and (cost > CHARACTERS or len(batch) == ROWS):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
