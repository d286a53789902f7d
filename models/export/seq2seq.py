"""Writes an encoder-decoder network of Hugging Face Transformers as the two ONNX files that Livedub loads.

`encoder_model.onnx` turns token ids into hidden states. `decoder_model_merged.onnx` makes one step: with
`use_cache_branch` false it starts from the hidden states, with true it goes on from the keys and values of the steps
before. Names, shapes and layout are those of the models published by Xenova and onnx-community:
https://huggingface.co/docs/optimum/main/en/exporters/onnx/overview

Used by marian.py and m2m100.py. Needs torch, onnx and transformers (written with torch 1.13 and transformers 4.27).
"""

import hashlib
import io
import os

import onnx
import torch
from onnx import TensorProto, helper

OPSET = 14
BATCH, SOURCE, PAST = 2, 5, 3


class Encoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.encoder = model.get_encoder()

    def forward(self, input_ids, attention_mask):
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class Decoder(torch.nn.Module):
    """One step. Without `past`, keys and values of the hidden states are computed; with it, they are reused."""

    def __init__(self, model):
        super().__init__()
        self.decoder = model.get_decoder()
        self.head = model.lm_head
        self.register_buffer("bias", getattr(model, "final_logits_bias", torch.zeros(1, model.lm_head.out_features)))

    def forward(self, encoder_attention_mask, input_ids, encoder_hidden_states, *past):
        layers = tuple(past[n : n + 4] for n in range(0, len(past), 4)) or None
        made = self.decoder(
            input_ids=input_ids,
            encoder_hidden_states=encoder_hidden_states,
            encoder_attention_mask=encoder_attention_mask,
            past_key_values=layers,
            use_cache=True,
        )
        logits = self.head(made.last_hidden_state) + self.bias
        return (logits, *[each for layer in made.past_key_values for each in layer])


def cache_names(layers, kind):
    parts = [(side, what) for side in ("decoder", "encoder") for what in ("key", "value")]
    return [f"{kind}.{layer}.{side}.{what}" for layer in range(layers) for side, what in parts]


def traced(module, inputs, names, outputs, axes):
    """The graph of a module as torch traces it."""
    file = io.BytesIO()
    with torch.no_grad():
        torch.onnx.export(
            module,
            inputs,
            file,
            input_names=names,
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            do_constant_folding=True,
        )
    return onnx.load_model_from_string(file.getvalue())


def shortened(graph, prefix, keep):
    """Gives the graph's inner values short names; half of a small file is names."""
    names = {name: name for name in keep}

    def short(name):
        if name == "":
            return ""
        if name not in names:
            names[name] = f"{prefix}{len(names):x}"
        return names[name]

    for tensor in graph.initializer:
        tensor.name = short(tensor.name)
    for node in graph.node:
        node.name = ""
        node.doc_string = ""
        node.input[:] = [short(name) for name in node.input]
        node.output[:] = [short(name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = short(value.name)
    del graph.value_info[:]


def told_once(graphs):
    """Takes the weights out of graphs; a weight that several have is kept once."""
    known, weights = {}, []
    for graph in graphs:
        renamed = {}
        for tensor in graph.initializer:
            whole = onnx.TensorProto()
            whole.CopyFrom(tensor)
            whole.name = ""
            digest = hashlib.sha256(whole.SerializeToString()).hexdigest()
            if digest not in known:
                known[digest] = tensor.name
                weights.append(tensor)
            renamed[tensor.name] = known[digest]
        for node in graph.node:
            node.input[:] = [renamed.get(name, name) for name in node.input]
        del graph.initializer[:]
    return weights


def export(model, folder):
    """Writes `onnx/encoder_model.onnx` and `onnx/decoder_model_merged.onnx` below `folder`."""
    model = model.eval().float()
    config = model.config
    layers, heads, width = config.decoder_layers, config.decoder_attention_heads, config.d_model
    target = os.path.join(folder, "onnx")
    os.makedirs(target, exist_ok=True)

    ids = torch.ones(BATCH, SOURCE, dtype=torch.int64)
    mask = torch.ones(BATCH, SOURCE, dtype=torch.int64)
    hidden = torch.zeros(BATCH, SOURCE, width)
    # Several tokens at once where the cache is empty, so that the causal mask is part of what is traced.
    begin = torch.ones(BATCH, 3, dtype=torch.int64)
    step = torch.ones(BATCH, 1, dtype=torch.int64)

    pair = ["input_ids", "attention_mask"]
    axes = {name: {0: "batch_size", 1: "encoder_sequence_length"} for name in (*pair, "last_hidden_state")}
    encoder = traced(Encoder(model), (ids, mask), pair, ["last_hidden_state"], axes)
    shortened(encoder.graph, "e", {*pair, "last_hidden_state"})
    onnx.checker.check_model(encoder)
    onnx.save(encoder, os.path.join(target, "encoder_model.onnx"))

    first = ["encoder_attention_mask", "input_ids", "encoder_hidden_states"]
    past, present = cache_names(layers, "past_key_values"), cache_names(layers, "present")
    outputs = ["logits", *present]
    axes = {
        "encoder_attention_mask": {0: "batch_size", 1: "encoder_sequence_length"},
        "input_ids": {0: "batch_size", 1: "decoder_sequence_length"},
        "encoder_hidden_states": {0: "batch_size", 1: "encoder_sequence_length"},
        "logits": {0: "batch_size", 1: "decoder_sequence_length"},
    }
    for name in past:
        axes[name] = {0: "batch_size", 2: "past_length" if ".decoder." in name else "encoder_sequence_length"}
    for name in present:
        axes[name] = {0: "batch_size", 2: "length" if ".decoder." in name else "encoder_sequence_length"}

    cache = []
    for name in past:
        length = PAST if ".decoder." in name else SOURCE
        cache.append(torch.zeros(BATCH, heads, length, width // heads))
    starting = traced(Decoder(model), (mask, begin, hidden), first, outputs, axes)
    going_on = traced(Decoder(model), (mask, step, hidden, *cache), [*first, *past], outputs, axes)

    branches = []
    for prefix, traced_graph in (("s", starting.graph), ("g", going_on.graph)):
        shortened(traced_graph, prefix, {*first, *past})
        branches.append(traced_graph)
    weights = told_once(branches)
    # A branch's outputs are its own: a value that comes from outside passes through a node.
    for prefix, graph in zip(("s", "g"), branches):
        made = {name for node in graph.node for name in node.output}
        for value in graph.output:
            if value.name not in made:
                inner = f"{prefix}_{value.name}"
                graph.node.append(helper.make_node("Identity", [value.name], [inner]))
                value.name = inner

    def port(name, kind, shape):
        return helper.make_tensor_value_info(name, kind, shape)

    lengths = {"batch": "batch_size", "source": "encoder_sequence_length"}
    cached = ["batch_size", heads, None, width // heads]

    def cached_as(name, length):
        shape = list(cached)
        shape[2] = length if ".decoder." in name else lengths["source"]
        return port(name, TensorProto.FLOAT, shape)

    inputs = [
        port("encoder_attention_mask", TensorProto.INT64, [lengths["batch"], lengths["source"]]),
        port("input_ids", TensorProto.INT64, [lengths["batch"], "decoder_sequence_length"]),
        port("encoder_hidden_states", TensorProto.FLOAT, [lengths["batch"], lengths["source"], width]),
        *[cached_as(name, "past_length") for name in past],
        port("use_cache_branch", TensorProto.BOOL, [1]),
    ]
    answers = [
        port("logits", TensorProto.FLOAT, [lengths["batch"], "decoder_sequence_length", config.vocab_size]),
        *[cached_as(name, "length") for name in present],
    ]
    bodies = [
        helper.make_graph(list(graph.node), name, [], list(graph.output))
        for name, graph in zip(("starting", "going_on"), branches)
    ]
    choice = helper.make_node("If", ["use_cache_branch"], outputs, else_branch=bodies[0], then_branch=bodies[1])
    graph = helper.make_graph([choice], "decoder", inputs, answers, initializer=weights)
    merged = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="livedub")
    merged.ir_version = encoder.ir_version
    onnx.checker.check_model(merged)
    onnx.save(merged, os.path.join(target, "decoder_model_merged.onnx"))


def generated(model, ids, beams, **more):
    """What Transformers itself generates: the tokens behind the decoder's first."""
    with torch.no_grad():
        made = model.generate(torch.tensor([ids]), num_beams=beams, do_sample=False, **more)
    return made[0].tolist()[1:]


def practise(model, pairs, pad, steps):
    """Trains a tiny network on a few sentences, so that what it says varies and comes to an end. Returns the loss."""
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def padded(rows, filler):
        longest = max(len(row) for row in rows)
        return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])

    sources = padded([source for source, _ in pairs], pad)
    targets = padded([target for _, target in pairs], -100)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(input_ids=sources, attention_mask=(sources != pad).long(), labels=targets).loss
        loss.backward()
        optimizer.step()
    model.eval()
    return loss.item()
