#!/usr/bin/env python3
"""Writes what DeepFilterNet's signal processing must give around its networks, for test/fixtures/deepfilternet/.

NumPy alone, double precision, whole signals at once, after libDF (github.com/Rikorose/DeepFilterNet, libDF/src/lib.rs)
and DeepFilterNet/df/multiframe.py: the widths of the ERB bands, the two kinds of features, and a signal put together
again from gains and filters that are drawn, not learnt. The signal, the gains and the filters are made of integers, so
that any language can make them again.

Usage: deepfilternet_reference.py OUT.json
"""
import argparse
import json

import numpy as np

RATE, SIZE, HOP, BANDS, BINS, ORDER, KEPT = 48000, 960, 480, 32, 96, 5, 0.99


def drawn(count):
    seed, out = 7, np.empty(count)
    for i in range(count):
        seed = (seed * 1664525 + 1013904223) % 2**32
        saw = (i * (50 + i // 64)) % 16384 - 8192
        out[i] = (saw + (seed >> 20) - 2048) / 32768
    return out


def widths(fewest=2):
    to_erb = lambda f: 9.265 * np.log1p(f / (24.7 * 9.265))
    to_hertz = lambda n: 24.7 * 9.265 * np.expm1(n / 9.265)
    edges = np.round(to_hertz(np.arange(1, BANDS + 1) * to_erb(RATE / 2) / BANDS) / (RATE / SIZE)).astype(int)
    out, before, over = [], 0, 0
    for edge in edges:
        count = edge - before - over
        over = max(0, fewest - count)
        out.append(int(max(count, fewest)))
        before = edge
    out[-1] += 1
    out[-1] -= max(0, sum(out) - (SIZE // 2 + 1))
    return out


def running(values, first):
    """Values and their exponential means, frame by frame."""
    means, state = np.empty_like(values), np.array(first)
    for n, value in enumerate(values):
        state = value * (1 - KEPT) + state * KEPT
        means[n] = state
    return means


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    args = parser.parse_args()

    count = 25
    signal = drawn(count * HOP)
    n = np.arange(SIZE)
    window = np.sin(np.pi / 2 * np.sin(np.pi * (n + 0.5) / SIZE) ** 2)
    padded = np.concatenate([np.zeros(HOP), signal])
    frames = np.stack([padded[t * HOP :][:SIZE] for t in range(count)])
    spectra = np.fft.rfft(frames * window) / SIZE

    bands = widths()
    starts = np.concatenate([[0], np.cumsum(bands)[:-1]])
    power = np.add.reduceat(np.abs(spectra) ** 2, starts, axis=1) / bands
    levels = 10 * np.log10(power + 1e-10)
    erb = (levels - running(levels, np.linspace(-60, -90, BANDS))) / 40
    low = spectra[:, :BINS]
    spec = low / np.sqrt(running(np.abs(low), np.linspace(0.001, 0.0001, BINS)))

    t, b = np.arange(count)[:, None], np.arange(BANDS)
    gains = ((t * 31 + b * 17) % 100) / 100
    t, k, o, c = np.ogrid[:count, :BINS, :ORDER, :2]
    weights = ((t * 7 + k * 13 + o * 5 + c * 3) % 41 - 20) / 40
    weights = weights[..., 0] + 1j * weights[..., 1]
    # What is found out about frame t when frame t has come is done to frame t - 2, out of frames t - 4 … t.
    before = np.concatenate([np.zeros((4, SIZE // 2 + 1)), spectra])
    out = before[2 : 2 + count] * np.repeat(gains, bands, axis=1)
    out[:, :BINS] = sum(before[o : o + count, :BINS] * weights[:, :, o] for o in range(ORDER))
    pieces = np.fft.irfft(out * SIZE) * window
    filtered = pieces[:, :HOP] + np.concatenate([np.zeros((1, HOP)), pieces[:-1, HOP:]])

    shown = [0, 1, 5, count - 1]
    rounded = lambda x: np.asarray(x).round(7).tolist()
    with open(args.out, "w") as file:
        content = dict(
            frames=count, widths=bands, shown=shown, erb=rounded(erb[shown]),
            real=rounded(spec[shown, ::6].real), imaginary=rounded(spec[shown, ::6].imag),
            filtered=rounded(filtered[:, 5::96]),
        )
        json.dump(content, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
