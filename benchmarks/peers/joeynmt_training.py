"""JoeyNMT's training step on given batches; run by `benchmarks/training.py` in JoeyNMT's environment.

Its own model, loss and batches, and the optimizer that its configuration builds; no
data loading, validation or logging is timed.
"""

import argparse
import json
import logging
import resource
import time
from types import SimpleNamespace

import numpy as np
import torch

torch.set_num_threads(1)
torch.set_num_interop_threads(1)

from joeynmt.batch import Batch  # noqa: E402
from joeynmt.model import build_model  # noqa: E402
from joeynmt.vocabulary import Vocabulary  # noqa: E402

logging.disable(logging.INFO)
UNK, PAD, BOS, EOS = range(4)  # JoeyNMT's order
FROM_OURS = {0: PAD, 1: BOS, 2: EOS, 3: UNK}


def vocabulary(size):
    special = SimpleNamespace(
        unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>", sep_token=None,
        unk_id=UNK, pad_id=PAD, bos_id=BOS, eos_id=EOS, sep_id=None, lang_tags=[],
    )  # fmt: skip
    built = Vocabulary([], special)
    # As `add_tokens` would, which looks through the list for every token.
    for number in range(4, size):
        built._stoi[f"t{number}"] = number
        built._itos.append(f"t{number}")
    return built


def model_of(size, hidden, input_feeding):
    side = {"rnn_type": "lstm", "hidden_size": hidden, "num_layers": 1, "dropout": 0.0}
    embeddings = {"embedding_dim": hidden, "scale": False}
    model = build_model(
        {
            "initializer": "xavier_uniform",
            "bias_initializer": "zeros",
            "init_rnn_orthogonal": True,
            "lstm_forget_gate": 1.0,
            "encoder": {
                "type": "recurrent", **side, "bidirectional": True, "embeddings": embeddings,
            },
            "decoder": {
                "type": "recurrent", **side, "embeddings": embeddings, "attention": "bahdanau",
                "hidden_dropout": 0.0, "init_hidden": "bridge", "input_feeding": input_feeding,
            },
        },
        vocabulary(size),
        vocabulary(size),
    )  # fmt: skip
    model.loss_function = ("crossentropy", 0.0)
    return model


def joeys(ids):
    table = np.arange(ids.max() + 1)
    for ours, theirs in FROM_OURS.items():
        table[ours] = theirs
    return torch.from_numpy(table[ids])


def batches_of(path):
    with np.load(path) as arrays:
        count = len(arrays.files) // 2
        pairs = [(arrays[f"source_{i}"], arrays[f"target_{i}"]) for i in range(count)]
    for source, target in pairs:
        yield Batch(
            src=joeys(source),
            src_length=torch.from_numpy((source != 0).sum(1)),
            src_prompt_mask=None,
            trg=joeys(target),
            trg_prompt_mask=None,
            indices=torch.arange(len(source)),
            device=torch.device("cpu"),
            pad_index=PAD,
            eos_index=EOS,
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("batches")
    parser.add_argument("--vocabulary", type=int)
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--input-feeding", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rate", type=float)
    arguments = parser.parse_args()
    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
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
        epochs.append(
            {
                "cpu_seconds": time.process_time() - began,
                "target_tokens": int(tokens),
                "loss": total / tokens,
            }
        )
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - imported
    print(
        json.dumps(
            {
                "epochs": epochs,
                "parameters": sum(p.numel() for p in model.parameters()),
                "grown_mib": grown / 1024,
                "versions": {"torch": torch.__version__, "joeynmt": "2.3.0"},
            }
        )
    )


if __name__ == "__main__":
    main()
