#!/usr/bin/env python3
"""LR-ASD: makes the ONNX of the published checkpoint, and writes what the tests compare with.

  lr_asd.py REPOSITORY CHECKPOINT OUT.onnx
      Exports the network of a clone of https://github.com/Junhua-Liao/LR-ASD with the weights of CHECKPOINT
      (weight/pretrain_AVA.model): mfcc[1,4T,13], faces[1,T,112,112] (0 … 255) -> logits[T,2].

  lr_asd.py --fixture REPOSITORY CHECKPOINT OUT.json
      Writes the features of a signal made of integer arithmetic, by NumPy from python_speech_features' definition, and
      what the network says of them and of faces made the same way.

Needs PyTorch and NumPy; `--fixture` nothing more.
"""
import json
import sys

import numpy as np
import torch
from torch import nn


class Network(nn.Module):
    def __init__(self, repository, checkpoint):
        super().__init__()
        sys.path.insert(0, repository)
        from model.Model import ASD_Model

        self.model = ASD_Model()
        self.last = nn.Linear(128, 2)
        weights = torch.load(checkpoint, map_location="cpu")
        part = lambda name: {k[len(name) :]: v for k, v in weights.items() if k.startswith(name)}
        self.model.load_state_dict(part("model."))
        self.last.load_state_dict(part("lossAV.FC."))
        # The same pooling over three dimensions instead of four: onnxruntime refuses the original's.
        for name in ("pool1", "pool2"):
            setattr(self.model.audioEncoder, name, nn.MaxPool2d((1, 3), (1, 2), (0, 1)))
        self.eval()

    def forward(self, mfcc, faces):
        heard = self.model.forward_audio_frontend(mfcc)
        seen = self.model.forward_visual_frontend(faces)
        return self.last(self.model.forward_audio_visual_backend(heard, seen))


def export(repository, checkpoint, out):
    network = Network(repository, checkpoint)
    torch.onnx.export(
        network,
        (torch.randn(1, 100, 13), torch.rand(1, 25, 112, 112) * 255),
        out,
        input_names=["mfcc", "faces"],
        output_names=["logits"],
        dynamic_axes={"mfcc": {1: "T4"}, "faces": {1: "T"}, "logits": {0: "T"}},
        opset_version=14,
    )


def drawn(count):
    """A signal that any language can make again to the bit: two rising saw-tooths and noise, 16 bit."""
    seed, out = 7, np.empty(count)
    for i in range(count):
        seed = (seed * 1664525 + 1013904223) % 2**32
        out[i] = (i * (50 + i // 64)) % 16384 - 8192 + (seed >> 20) - 2048
    return out


def mfcc(signal, count):
    """python_speech_features.mfcc(signal, 16000, numcep=13), followed by windows of silence up to `count` rows."""
    raised = np.append(signal[0], signal[1:] - 0.97 * signal[:-1])
    padded = np.append(raised, np.zeros(max(0, (count - 1) * 160 + 400 - len(raised))))
    frames = np.stack([padded[n * 160 : n * 160 + 400] for n in range(count)])
    power = np.abs(np.fft.rfft(frames, 512)) ** 2 / 512
    energy = power.sum(1)
    points = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 28)
    bins = np.floor(513 * 700 * (10 ** (points / 2595) - 1) / 16000)
    bank = np.zeros((26, 257))
    for j in range(26):
        left, top, right = bins[j : j + 3].astype(int)
        bank[j, left:top] = (np.arange(left, top) - left) / (top - left)
        bank[j, top:right] = (right - np.arange(top, right)) / (right - top)
    levels = power @ bank.T
    eps = np.finfo(float).eps
    levels, energy = np.log(np.where(levels == 0, eps, levels)), np.log(np.where(energy == 0, eps, energy))
    k, n = np.arange(13)[:, None], np.arange(26)[None, :]
    cosines = np.sqrt(np.where(k == 0, 1, 2) / 26) * np.cos(np.pi * k * (n + 0.5) / 26)
    rows = levels @ cosines.T * (1 + 11 * np.sin(np.pi * np.arange(13) / 22))
    rows[:, 0] = energy
    return rows


def fixture(repository, checkpoint, out):
    pictures = 8
    # The last picture hears nothing at all.
    rows = mfcc(np.append(drawn(640 * (pictures - 1)), np.zeros(640)), 4 * pictures)
    t, y, x = np.meshgrid(np.arange(pictures), np.arange(112), np.arange(112), indexing="ij")
    faces = (x * 7 + y * 13 + t * 29 + x * y // 5) % 256
    with torch.no_grad():
        network = Network(repository, checkpoint)
        logits = network(torch.FloatTensor(rows)[None], torch.FloatTensor(faces)[None]).numpy()
    tidy = lambda rows: [[float(f"{each:.7g}") for each in row] for row in rows]
    with open(out, "w") as file:
        json.dump({"mfcc": tidy(rows), "logits": tidy(logits)}, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] == "--fixture":
        fixture(*sys.argv[2:])
    elif len(sys.argv) == 4:
        export(*sys.argv[1:])
    else:
        sys.exit(__doc__)
