"""JoeyNMT's training step on given batches; `benchmarks/training.py` runs it.

Its own model, loss and batches, and PyTorch's Adam, which its configuration builds; no
data loading, validation or logging is timed.
"""

import argparse
import time

import numpy as np
import torch
from joeynmt_model import batch_of, model_of, tell, used_mib


def batches_of(path):
    """The batches of a file."""
    with np.load(path) as arrays:
        for i in range(len(arrays.files) // 2):
            yield batch_of(arrays[f"source_{i}"], arrays[f"target_{i}"])


def main():
    """Trains, and prints CPU seconds, tokens and loss of each epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("batches")
    parser.add_argument("--vocabulary", type=int)
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--input-feeding", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rate", type=float)
    arguments = parser.parse_args()
    imported = used_mib()
    torch.manual_seed(1)
    model = model_of(arguments.vocabulary, arguments.hidden, bool(arguments.input_feeding))
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.rate, eps=1e-7)
    batches = list(batches_of(arguments.batches))
    epochs = []
    for _ in range(arguments.epochs):
        began, total, tokens = time.process_time(), 0.0, 0
        for batch in batches:
            # What TrainManager does for a batch.
            model.train()
            batch.sort_by_src_length()
            loss, _, _, correct = model(return_type="loss", **vars(batch))
            batch.normalize(loss, normalization="tokens").backward()
            total += loss.item()
            correct.item()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            tokens += batch.ntokens
        seconds = time.process_time() - began
        epochs.append({"cpu_seconds": seconds, "target_tokens": tokens, "loss": total / tokens})
    parameters = sum(p.numel() for p in model.parameters())
    tell(epochs=epochs, parameters=parameters, grown_mib=used_mib() - imported)


if __name__ == "__main__":
    main()
