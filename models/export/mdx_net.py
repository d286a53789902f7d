#!/usr/bin/python3
"""Makes an MDX-Net to test with, and what separating with it must give.

    python3 models/export/mdx_net.py --tiny-random OUT

The real networks need no export: they are published as ONNX (`livedub models pull mdx-voc-ft`). This writes

    mdx.onnx        a small network of random weights with the ports of the real ones: input and output [1, 4, F, T]
    reference.json  its shape, how a mix is made, and the voices that NumPy's Fourier transform finds in it

The reference hears as Ultimate Vocal Remover does (python-audio-separator, mdx_separator.py: run_model; PyTorch's stft and
istft with center=True, reflection and a periodic Hann window; the three lowest bins zero), and joins stretches as
models/clean/mdx-net.ts says: the stride before the last of each stretch, a hop of it faded over from the stretch before.
Needs numpy and torch.
"""

import argparse
import json
import os

import numpy as np
import torch

FFT, HOP, BINS, FRAMES = 240, 64, 100, 64
STRIDE = 24 * HOP
COMPENSATE = 1.05
LENGTH = HOP * (FRAMES - 1)


class Tiny(torch.nn.Module):
    """Two convolutions, a layer over frequency as the real networks have, and a mean over time so that edges matter."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(4, 8, 3, padding=1)
        self.across = torch.nn.Linear(BINS, BINS, bias=False)
        self.last = torch.nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x):
        y = torch.relu(self.first(x))
        y = y + self.across(y.transpose(2, 3)).transpose(2, 3)
        y = y + 3 * y.mean(3, keepdim=True)
        return x * torch.sigmoid(self.last(y))


def mix(count):
    """Tones and noise; the test makes the same by the same arithmetic."""
    seed = 1
    out = np.zeros(count)
    for n in range(count):
        seed = (seed * 16807) % 2147483647
        out[n] = 0.3 * np.sin(n * 0.05) + 0.2 * np.sin(n * n * 2e-6) + 0.1 * (seed / 2147483647 - 0.5)
    return out.astype(np.float32)


WINDOW = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)


def stft(pcm):
    padded = np.pad(pcm.astype(np.float64), FFT // 2, mode="reflect")
    return np.stack([np.fft.rfft(padded[t * HOP : t * HOP + FFT] * WINDOW) for t in range(FRAMES)], axis=1)


def istft(spectrum):
    total, weight = np.zeros(LENGTH + FFT), np.zeros(LENGTH + FFT)
    for t in range(FRAMES):
        total[t * HOP : t * HOP + FFT] += np.fft.irfft(spectrum[:, t], FFT) * WINDOW
        weight[t * HOP : t * HOP + FFT] += WINDOW**2
    inner = slice(FFT // 2, FFT // 2 + LENGTH)
    return total[inner] / np.maximum(weight[inner], 1e-11)


def run(network, pcm):
    spectrum = stft(pcm)[:BINS]
    spectrum[:3] = 0
    ear = np.stack([spectrum.real, spectrum.imag])
    with torch.no_grad():
        made = network(torch.tensor(np.concatenate([ear, ear])[None], dtype=torch.float32))[0].numpy()
    ears = []
    for n in (0, 2):
        whole = np.zeros((FFT // 2 + 1, FRAMES), complex)
        whole[:BINS] = made[n] + 1j * made[n + 1]
        ears.append(istft(whole))
    check = torch.istft(
        torch.tensor(whole), FFT, HOP, window=torch.tensor(WINDOW), center=True, length=LENGTH
    ).numpy()
    assert np.abs(check - ears[1])[FFT // 2 : -FFT // 2].max() < 1e-9, "NumPy and PyTorch disagree"
    return (ears[0] + ears[1]) / 2


def separate(network, pcm):
    """As a stream: silence before the sound, and after it."""
    strides = -(-len(pcm) // STRIDE)
    padded = np.concatenate([np.zeros(LENGTH), pcm, np.zeros(2 * STRIDE)])
    out, before = [], None
    for n in range(strides + 1):
        end = LENGTH + (n + 1) * STRIDE
        voices = COMPENSATE * run(network, padded[end - LENGTH : end].astype(np.float32))
        part = voices[LENGTH - 2 * STRIDE : LENGTH - STRIDE].copy()
        if before is not None:
            share = (np.arange(HOP) + 0.5) / HOP
            part[:HOP] = share * part[:HOP] + (1 - share) * before
        before = voices[LENGTH - STRIDE : LENGTH - STRIDE + HOP]
        out.append(part)
    return np.concatenate(out[1:])[: len(pcm)]


def tiny(out):
    os.makedirs(out, exist_ok=True)
    torch.manual_seed(1)
    network = Tiny().eval()
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(3)
    torch.onnx.export(
        network,
        torch.zeros(1, 4, BINS, FRAMES),
        os.path.join(out, "mdx.onnx"),
        input_names=["input"],
        output_names=["output"],
        opset_version=13,
    )
    count = 8000
    voices = separate(network, mix(count))
    shape = {"fft": FFT, "hop": HOP, "bins": BINS, "frames": FRAMES, "stride": STRIDE, "compensate": COMPENSATE}
    # Every seventh sample tells as much as all of them.
    reference = {"shape": shape, "count": count, "every": 7, "voices": [round(float(x), 6) for x in voices[::7]]}
    with open(os.path.join(out, "reference.json"), "w") as file:
        json.dump(reference, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny-random", metavar="OUT", required=True, help="directory to write to")
    tiny(parser.parse_args().tiny_random)


if __name__ == "__main__":
    main()
