"""JoeyNMT's recurrent model in a size, with random weights; used in its own environment."""

import json
import logging
import resource
from types import SimpleNamespace

import numpy as np
import torch
from joeynmt_architecture import architecture

torch.set_num_threads(1)
torch.set_num_interop_threads(1)

from joeynmt.batch import Batch  # noqa: E402
from joeynmt.model import build_model  # noqa: E402
from joeynmt.vocabulary import Vocabulary  # noqa: E402

logging.disable(logging.INFO)
UNK, PAD, BOS, EOS = range(4)  # JoeyNMT's order
FROM_OURS = {0: PAD, 1: BOS, 2: EOS, 3: UNK}


def vocabulary(size):
    """Of so many tokens, the special ones included."""
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
    """The model, without dropout."""
    model = build_model(
        architecture(hidden, input_feeding, 0.0), vocabulary(size), vocabulary(size)
    )
    model.loss_function = ("crossentropy", 0.0)
    return model


def joeys(ids):
    """Ids of ours as JoeyNMT has them."""
    table = np.arange(ids.max() + 1)
    for ours, theirs in FROM_OURS.items():
        table[ours] = theirs
    return torch.from_numpy(table[ids])


def batch_of(source, target=None):
    """A batch of padded ids, ours."""
    return Batch(
        src=joeys(source),
        src_length=torch.from_numpy((source != 0).sum(1)),
        src_prompt_mask=None,
        trg=None if target is None else joeys(target),
        trg_prompt_mask=None,
        indices=torch.arange(len(source)),
        device=torch.device("cpu"),
        pad_index=PAD,
        eos_index=EOS,
        is_train=target is not None,
    )


def used_mib():
    """The most memory that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def tell(**record):
    """Prints the record for whoever measures."""
    versions = {"torch": torch.__version__, "joeynmt": "2.3.0"}
    print(json.dumps({**record, "versions": versions}))
