#!/usr/bin/python3
"""Exports wav2vec 2.0 with a CTC head to ONNX, or makes a small one to test with.

    python3 models/export/wav2vec2_ctc.py --tiny-random OUT
    python3 models/export/wav2vec2_ctc.py --checkpoint DIR --out OUT

facebook/wav2vec2-base-960h itself needs no export: `livedub models pull wav2vec2-base-960h` fetches it as ONNX. --checkpoint
is for others of the same architecture: a directory with config.json, pytorch_model.bin and vocab.json as Hugging Face has
them (feat_extract_norm "group", do_stable_layer_norm false).

--tiny-random writes, for the tests,

    model.onnx      random weights, input_values[1, T] -> logits[1, T/320, 32]
    vocab.json      the letters of facebook/wav2vec2-base-960h
    reference.json  a sound, a text, the frame-by-frame alignment that NumPy finds by the rules of CTC

The alignment is Viterbi's over the text's letters with blanks between them, as torchaudio.functional.forced_align computes
it; `|` stands between words. Needs numpy and torch.
"""

import argparse
import json
import os
import shutil

import numpy as np
import torch
from torch import nn
from torch.nn import functional

LETTERS = "<pad> <s> </s> <unk> | E T A O N I H S R D L U M W C F G Y P B V K ' X J Q Z".split(" ")
KERNELS = [10, 3, 3, 3, 3, 2, 2]
STRIDES = [5, 2, 2, 2, 2, 2, 2]
TEXT = "HELLO ALL SEE THE CATTLE"


class ConvLayer(nn.Module):
    def __init__(self, before, after, kernel, stride, first):
        super().__init__()
        self.conv = nn.Conv1d(before, after, kernel, stride, bias=False)
        self.layer_norm = nn.GroupNorm(after, after) if first else None

    def forward(self, x):
        x = self.conv(x)
        return functional.gelu(self.layer_norm(x) if self.layer_norm is not None else x)


class FeatureEncoder(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.conv_layers = nn.ModuleList(
            ConvLayer(1 if n == 0 else size, size, kernel, stride, n == 0)
            for n, (kernel, stride) in enumerate(zip(KERNELS, STRIDES))
        )

    def forward(self, x):
        for layer in self.conv_layers:
            x = layer(x)
        return x.transpose(1, 2)


class FeatureProjection(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.layer_norm = nn.LayerNorm(before)
        self.projection = nn.Linear(before, after)

    def forward(self, x):
        return self.projection(self.layer_norm(x))


class PositionalConv(nn.Module):
    def __init__(self, size, kernel, groups):
        super().__init__()
        self.conv = nn.utils.weight_norm(nn.Conv1d(size, size, kernel, padding=kernel // 2, groups=groups), dim=2)
        self.extra = 1 - kernel % 2

    def forward(self, x):
        y = self.conv(x.transpose(1, 2))
        return functional.gelu(y[:, :, : -self.extra] if self.extra else y).transpose(1, 2)


class Attention(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.heads, self.width = heads, size // heads
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(size, size) for _ in range(4))

    def forward(self, x):
        def split(y):
            return y.reshape(1, -1, self.heads, self.width).transpose(1, 2)

        q, k, v = split(self.q_proj(x)) * self.width**-0.5, split(self.k_proj(x)), split(self.v_proj(x))
        mixed = torch.softmax(q @ k.transpose(2, 3), -1) @ v
        return self.out_proj(mixed.transpose(1, 2).reshape(1, -1, self.heads * self.width))


class FeedForward(nn.Module):
    def __init__(self, size, wide):
        super().__init__()
        self.intermediate_dense = nn.Linear(size, wide)
        self.output_dense = nn.Linear(wide, size)

    def forward(self, x):
        return self.output_dense(functional.gelu(self.intermediate_dense(x)))


class EncoderLayer(nn.Module):
    def __init__(self, size, heads, wide):
        super().__init__()
        self.attention = Attention(size, heads)
        self.layer_norm = nn.LayerNorm(size)
        self.feed_forward = FeedForward(size, wide)
        self.final_layer_norm = nn.LayerNorm(size)

    def forward(self, x):
        x = self.layer_norm(x + self.attention(x))
        return self.final_layer_norm(x + self.feed_forward(x))


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        size = config["hidden_size"]
        self.pos_conv_embed = PositionalConv(
            size, config["num_conv_pos_embeddings"], config["num_conv_pos_embedding_groups"]
        )
        self.layer_norm = nn.LayerNorm(size)
        self.layers = nn.ModuleList(
            EncoderLayer(size, config["num_attention_heads"], config["intermediate_size"])
            for _ in range(config["num_hidden_layers"])
        )

    def forward(self, x):
        x = self.layer_norm(x + self.pos_conv_embed(x))
        for layer in self.layers:
            x = layer(x)
        return x


class Wav2Vec2(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.feature_extractor = FeatureEncoder(config["conv_dim"][0])
        self.feature_projection = FeatureProjection(config["conv_dim"][0], config["hidden_size"])
        self.encoder = Encoder(config)

    def forward(self, x):
        return self.encoder(self.feature_projection(self.feature_extractor(x)))


class Wav2Vec2ForCTC(nn.Module):
    """Modules are named as in Hugging Face's state dict."""

    def __init__(self, config):
        super().__init__()
        self.wav2vec2 = Wav2Vec2(config)
        self.lm_head = nn.Linear(config["hidden_size"], config["vocab_size"])

    def forward(self, input_values):
        return self.lm_head(self.wav2vec2(input_values[:, None]))


def save(network, path):
    torch.onnx.export(
        network,
        torch.zeros(1, 16000),
        path,
        input_names=["input_values"],
        output_names=["logits"],
        dynamic_axes={"input_values": {1: "samples"}, "logits": {1: "frames"}},
        opset_version=14,
    )


def sound(count):
    """A gliding tone and noise; the test makes the same by the same arithmetic."""
    seed = 1
    out = np.zeros(count)
    for n in range(count):
        seed = (seed * 16807) % 2147483647
        out[n] = 0.3 * np.sin(n * n * 4e-6) * np.sin(n * 1e-3) + 0.2 * (seed / 2147483647 - 0.5) + 0.05
    return out.astype(np.float32)


def align(scores, letters, blank):
    """The likeliest way through the letters: the column of each frame, and how many letters have come by then."""
    states = [blank]
    for letter in letters:
        states += [letter, blank]
    best = np.full(len(states), -np.inf)
    best[0], best[1] = scores[0, states[0]], scores[0, states[1]]
    back = np.zeros((len(scores), len(states)), int)
    for t in range(1, len(scores)):
        ways = np.full((3, len(states)), -np.inf)
        ways[0] = best
        ways[1, 1:] = best[:-1]
        for s in range(3, len(states), 2):
            if states[s] != states[s - 2]:
                ways[2, s] = best[s - 2]
        back[t] = ways.argmax(0)
        best = ways.max(0) + scores[t, states]
    state = len(states) - 1 if best[-1] > best[-2] else len(states) - 2
    path = []
    for t in range(len(scores) - 1, -1, -1):
        path.append(state)
        state -= back[t, state]
    path.reverse()
    return [states[s] for s in path], [s // 2 if s % 2 else -1 for s in path]


def tiny(out):
    os.makedirs(out, exist_ok=True)
    torch.manual_seed(3)
    config = {
        "conv_dim": [12],
        "hidden_size": 24,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "vocab_size": 32,
    }
    network = Wav2Vec2ForCTC(config).eval()
    with torch.no_grad():
        # Random letters, but not all as likely.
        network.lm_head.weight.mul_(12)
        for layer in network.wav2vec2.feature_extractor.conv_layers:
            layer.conv.weight.mul_(3)
    pcm = sound(32000)
    heard = (pcm - pcm.mean()) / np.sqrt(pcm.astype(np.float64).var() + 1e-7)
    with torch.no_grad():
        # No letter shall be the likeliest all the time.
        network.lm_head.bias.sub_(network(torch.tensor(heard[None], dtype=torch.float32))[0].mean(0))
    save(network, os.path.join(out, "model.onnx"))
    vocabulary = {letter: n for n, letter in enumerate(LETTERS)}
    with open(os.path.join(out, "vocab.json"), "w") as file:
        json.dump(vocabulary, file)

    with torch.no_grad():
        logits = network(torch.tensor(heard[None], dtype=torch.float32))[0]
    scores = torch.log_softmax(logits.double(), -1).numpy()
    letters = [vocabulary[letter] for letter in TEXT.replace(" ", "|")]
    columns, which = align(scores, letters, vocabulary["<pad>"])
    words, at = [], 0
    for word in TEXT.split(" "):
        inside = [t for t, letter in enumerate(which) if at <= letter < at + len(word)]
        words.append([inside[0], inside[-1] + 1])
        at += len(word) + 1
    reference = {
        "text": TEXT,
        "samples": len(pcm),
        "columns": columns,
        "words": words,
        "first": [round(float(x), 5) for x in scores[0]],
    }
    with open(os.path.join(out, "reference.json"), "w") as file:
        json.dump(reference, file)


def export(checkpoint, out):
    with open(os.path.join(checkpoint, "config.json")) as file:
        config = json.load(file)
    if config.get("do_stable_layer_norm") or config.get("feat_extract_norm") != "group":
        raise SystemExit("this is another architecture: do_stable_layer_norm must be false, feat_extract_norm group")
    network = Wav2Vec2ForCTC(config).eval()
    weights = torch.load(os.path.join(checkpoint, "pytorch_model.bin"), map_location="cpu")
    weights.pop("wav2vec2.masked_spec_embed", None)
    network.load_state_dict(weights)
    os.makedirs(os.path.join(out, "onnx"), exist_ok=True)
    save(network, os.path.join(out, "onnx", "model.onnx"))
    shutil.copy(os.path.join(checkpoint, "vocab.json"), out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny-random", metavar="OUT", help="directory for the small network")
    parser.add_argument("--checkpoint", metavar="DIR", help="directory with a published network")
    parser.add_argument("--out", metavar="OUT", help="directory for the exported network")
    options = parser.parse_args()
    if options.tiny_random:
        tiny(options.tiny_random)
    elif options.checkpoint and options.out:
        export(options.checkpoint, options.out)
    else:
        parser.error("say --tiny-random OUT, or --checkpoint DIR and --out OUT")


if __name__ == "__main__":
    main()
