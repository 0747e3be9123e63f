"""JoeyNMT's beam search on given sources; `benchmarks/decoding.py` runs it."""

import argparse
import time

import numpy as np
import torch
from joeynmt.search import search
from joeynmt_model import batch_of, model_of, tell


def main():
    """Decodes, and prints the CPU seconds of each pass over all sources."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sources")
    parser.add_argument("--vocabulary", type=int)
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--beam", type=int)
    parser.add_argument("--length", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--passes", type=int)
    arguments = parser.parse_args()
    torch.manual_seed(1)
    model = model_of(arguments.vocabulary, arguments.hidden, True).eval()
    ids = np.load(arguments.sources)
    seconds, lengths = [], []
    for _ in range(arguments.passes):
        began = time.process_time()
        for first in range(0, len(ids), arguments.batch):
            batch = batch_of(ids[first : first + arguments.batch])
            batch.sort_by_src_length()
            with torch.no_grad():
                found, _, _ = search(
                    model=model,
                    batch=batch,
                    max_output_length=arguments.length,
                    beam_size=arguments.beam,
                    beam_alpha=1.0,
                )
            lengths.append(found.shape[1])
        seconds.append(time.process_time() - began)
    tell(seconds=seconds, sources=len(ids), longest=max(lengths), shortest=min(lengths))


if __name__ == "__main__":
    main()
