#!/usr/bin/env python3
"""Writes what voice activity detectors and their front-ends must give, for test/fixtures/.

Each command runs somebody else's implementation, or one in NumPy or PyTorch that shares no code with ours, over one
recording and writes numbers as JSON. The tests compare the TypeScript with those numbers.

  fbank         Kaldi filter banks of a signal made of integer arithmetic, in NumPy (double precision).
                With --against, also checks NumPy against torchaudio's compliance/kaldi.py, given as a file.
  silero        Silero's own TorchScript model from its repository (github.com/snakers4/silero-vad).
  silero-onnx   The 16 kHz network of a Silero ONNX file, computed by PyTorch from the weights in the file alone.
  ten           TEN-VAD's own library from its repository (github.com/TEN-framework/ten-vad). It needs libc++.
  fsmn          FSMN-VAD: front-end in NumPy, network by the TorchScript file of github.com/lovemefan/fsmn-vad.

Needs NumPy; silero, silero-onnx and fsmn need PyTorch; silero-onnx needs onnx. Recordings are 16 kHz mono WAV, 16 bit.
"""
import argparse
import ctypes
import importlib.util
import json
import math
import os
import sys
import wave

import numpy as np


def read(path, count=None):
    with wave.open(path) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2), path
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)[:count]


def write(path, **content):
    def tidy(value):
        if isinstance(value, np.ndarray):
            return [tidy(each) for each in value]
        return float(f"{value:.7g}") if isinstance(value, (float, np.floating)) else value

    with open(path, "w") as file:
        json.dump({key: tidy(value) for key, value in content.items()}, file, separators=(",", ":"))
        file.write("\n")


def drawn(count):
    """A signal that any language can make again to the bit: two rising saw-tooths and noise, in ±1."""
    seed, out = 7, np.empty(count)
    for i in range(count):
        seed = (seed * 1664525 + 1013904223) % 2**32
        saw = (i * (50 + i // 64)) % 16384 - 8192
        out[i] = (saw + (seed >> 20) - 2048) / 32768
    return out


def fbank(samples, bands=80, window="povey", snip=True, scale=32768, lowest=20.0, highest=0.0, length=400, shift=160):
    """Kaldi's compute-fbank-feats without dither, after feature-window.cc and mel-computations.cc."""
    x = np.asarray(samples, np.float64) * scale
    if snip:
        count = 0 if len(x) < length else 1 + (len(x) - length) // shift
        start = 0
    else:
        count, start = (len(x) + shift // 2) // shift, shift // 2 - length // 2
        x = np.concatenate([x[: -start][::-1], x, x[::-1]])
        start = 0
    frames = np.stack([x[start + n * shift :][:length] for n in range(count)])
    frames = frames - frames.mean(1, keepdims=True)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], 1)
    phase = 2 * np.pi * np.arange(length) / (length - 1)
    taper = {
        "povey": (0.5 - 0.5 * np.cos(phase)) ** 0.85,
        "hamming": 0.54 - 0.46 * np.cos(phase),
        "hanning": 0.5 - 0.5 * np.cos(phase),
    }[window]
    size = 1 << (length - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * taper, size)) ** 2
    mel = lambda hertz: 1127 * np.log(1 + hertz / 700)
    top = highest if highest > 0 else 8000 + highest
    edges = mel(lowest) + np.arange(bands + 2) * (mel(top) - mel(lowest)) / (bands + 1)
    bins = mel(np.arange(size // 2) * 16000 / size)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0, np.minimum(rise, fall))
    return np.log(np.maximum(power[:, :-1] @ weights.T, np.finfo(np.float32).eps))


BANKS = [
    dict(bands=80, window="povey", snip=True, scale=32768),
    dict(bands=80, window="hamming", snip=True, scale=32768),
    dict(bands=40, window="hanning", snip=False, scale=1),
    dict(bands=24, window="povey", snip=False, scale=32768, lowest=60.0, highest=-400.0),
]


def run_fbank(args):
    signal = drawn(2000)
    cases = []
    for options in BANKS:
        rows = fbank(signal, **options)
        if args.against:
            import torch

            spec = importlib.util.spec_from_file_location("kaldi", args.against)
            kaldi = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(kaldi)
            theirs = kaldi.fbank(
                torch.tensor(signal[None] * options["scale"], dtype=torch.float64).float(),
                num_mel_bins=options["bands"], window_type=options["window"], snip_edges=options["snip"],
                low_freq=options.get("lowest", 20.0), high_freq=options.get("highest", 0.0), dither=0.0,
            ).numpy()
            print(options, "largest difference to torchaudio", np.abs(theirs - rows).max(), file=sys.stderr)
        shown = rows[[0, 1, len(rows) // 2, -1]]
        cases.append(dict(options=options, count=len(rows), rows=shown.round(5).tolist()))
    write(args.out, samples=2000, first=drawn(8), cases=cases)


def run_silero(args):
    import torch

    torch.set_num_threads(1)
    model = torch.jit.load(os.path.join(args.repository, "src/silero_vad/data/silero_vad.jit"), map_location="cpu")
    model.eval()
    model.reset_states()
    x = torch.from_numpy(read(args.wav, args.samples).astype(np.float32) / 32768)
    with torch.no_grad():
        frames = [model(x[i : i + 512], 16000).item() for i in range(0, len(x) - 511, 512)]
    write(args.out, clip=args.name, frame=512, probabilities=np.array(frames))


def run_silero_onnx(args):
    import onnx
    import torch
    from onnx import numpy_helper

    model = onnx.load(args.model)
    (branch,) = [a.g for n in model.graph.node if n.op_type == "If" for a in n.attribute if a.name == "then_branch"]
    values = {}
    for node in branch.node:
        for attribute in node.attribute:
            if attribute.name == "value":
                values[node.output[0]] = numpy_helper.to_array(attribute.t)

    def weight(end):
        (found,) = [value for name, value in values.items() if name.endswith(end)]
        return torch.tensor(np.array(found))

    f = torch.nn.functional
    basis = weight("stft.forward_basis_buffer")
    convs = [[weight(f"encoder.{n}.reparam_conv.{part}") for part in ("weight", "bias")] for n in range(4)]
    cell = torch.nn.LSTMCell(128, 128)
    with torch.no_grad():
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(cell, part).copy_(weight(f"decoder.rnn.{part}"))
    last, bias = weight("decoder.decoder.2.weight"), weight("decoder.decoder.2.bias")
    x = torch.from_numpy(read(args.wav, args.samples).astype(np.float32) / 32768)
    x = torch.cat([torch.zeros(64), x])
    state, frames = None, []
    with torch.no_grad():
        for start in range(0, len(x) - 575, 512):
            y = f.pad(x[None, None, start : start + 576], (0, 64), mode="reflect")
            y = f.conv1d(y, basis, stride=128)
            y = torch.sqrt(y[:, :129] ** 2 + y[:, 129:] ** 2)
            for (kernel, shift), stride in zip(convs, (1, 2, 2, 1)):
                y = torch.relu(f.conv1d(y, kernel, shift, stride=stride, padding=1))
            state = cell(y[:, :, 0], state)
            y = torch.sigmoid(f.conv1d(torch.relu(state[0][:, :, None]), last, bias))
            frames.append(y.item())
    write(args.out, clip=args.name, frame=512, probabilities=np.array(frames))


def run_ten(args):
    library = ctypes.CDLL(os.path.join(args.repository, "lib/Linux/x64/libten_vad.so"))
    handle = ctypes.c_void_p()
    library.ten_vad_create.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t, ctypes.c_float]
    library.ten_vad_process.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t,
        ctypes.POINTER(ctypes.c_float), ctypes.POINTER(ctypes.c_int),
    ]
    assert library.ten_vad_create(ctypes.byref(handle), 256, 0.5) == 0
    x = read(args.wav, args.samples)
    frames = []
    for start in range(0, len(x) - 255, 256):
        frame = np.ascontiguousarray(x[start : start + 256])
        probability, flag = ctypes.c_float(), ctypes.c_int()
        assert library.ten_vad_process(handle, frame.ctypes.data, 256, probability, flag) == 0
        frames.append(probability.value)
    write(args.out, clip=args.name, frame=256, probabilities=np.array(frames))


def run_fsmn(args):
    import torch

    folder = os.path.join(args.repository, "fsmnvad/runtime/onnx/vad")
    rows = fbank(read(args.wav, args.samples) / 32768, window="hamming").astype(np.float32)
    padded = np.vstack([np.tile(rows[0], (2, 1)), rows, np.tile(rows[-1], (2, 1))])
    spliced = np.hstack([padded[n : n + len(rows)] for n in range(5)])
    numbers = []
    with open(os.path.join(folder, "onnx/am.mvn")) as file:
        for line in file:
            if line.startswith("<LearnRateCoef>"):
                numbers.append(np.array(line.split("[")[1].split("]")[0].split(), np.float32))
    features = (spliced + numbers[0]) * numbers[1]
    model = torch.jit.load(os.path.join(folder, "torchscripts/model.torchscripts"))
    caches = [torch.zeros(1, 128, 19, 1) for _ in range(4)]
    with torch.no_grad():
        scores, _ = model(torch.from_numpy(features[None]), *caches)
    write(args.out, clip=args.name, frame=160, features=features[[0, 1, 100, -1], ::16].astype(float).round(5),
          probabilities=1 - scores[0, :, 0].double().numpy())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    bank = commands.add_parser("fbank", help="Kaldi filter banks")
    bank.add_argument("out")
    bank.add_argument("--against", help="torchaudio/compliance/kaldi.py, to check this script itself")
    bank.set_defaults(run=run_fbank)
    for name, run, source in (
        ("silero", run_silero, "repository"),
        ("silero-onnx", run_silero_onnx, "model"),
        ("ten", run_ten, "repository"),
        ("fsmn", run_fsmn, "repository"),
    ):
        command = commands.add_parser(name)
        command.add_argument("wav")
        command.add_argument("out")
        command.add_argument(f"--{source}", required=True)
        command.add_argument("--name", required=True, help="what the recording is called in the fixture")
        command.add_argument("--samples", type=int, help="how much of it; all unless told")
        command.set_defaults(run=run)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
