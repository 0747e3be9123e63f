"""JoeyNMT's recurrent model as its configuration names it; imports nothing of it."""


def architecture(hidden, input_feeding, dropout):
    """A bidirectional encoder and a decoder with additive attention, a layer each."""
    side = {"rnn_type": "lstm", "hidden_size": hidden, "num_layers": 1, "dropout": dropout}
    embeddings = {"embedding_dim": hidden, "scale": False, "dropout": dropout}
    return {
        "initializer": "xavier_uniform",
        "bias_initializer": "zeros",
        "init_rnn_orthogonal": True,
        "lstm_forget_gate": 1.0,
        "encoder": {
            "type": "recurrent", **side, "bidirectional": True, "embeddings": embeddings,
        },
        "decoder": {
            "type": "recurrent", **side, "embeddings": embeddings, "attention": "bahdanau",
            "hidden_dropout": dropout, "init_hidden": "bridge", "input_feeding": input_feeding,
        },
    }  # fmt: skip
