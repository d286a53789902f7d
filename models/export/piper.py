#!/usr/bin/python3
"""Makes Piper voices ready for sherpa-onnx, and one to test with.

    python3 models/export/piper.py --voice en_US-lessac-medium.onnx OUT

takes a voice as https://huggingface.co/rhasspy/piper-voices publishes it (`NAME.onnx` and `NAME.onnx.json` beside it) and
writes what `synthesizer:piper` loads with its setting `model`: `NAME.onnx` with the facts that sherpa-onnx asks for in its
metadata, and `tokens.txt`. Voices of `livedub models list` are published that way and need no export.

    python3 models/export/piper.py --tiny-random OUT --source PIPER/src/python

writes a voice of random weights, of the exact architecture, by the code that Piper trains with (a checkout of
https://github.com/rhasspy/piper):

    tiny.onnx.gz    two speakers; steps and layers as in a 'medium' voice, its layers narrow
    tokens.txt      its phonemes
    reference.json  a sentence, its phonemes and their numbers, and how many samples each speaker makes of them
    reference.s16   those samples, one speaker after the other, as PyTorch computes them without noise

The phonemes of the reference are those the program `espeak-ng` prints. Needs torch and onnx; `espeak-ng` for the second.
"""

import argparse
import json
import subprocess
import sys
import types
from pathlib import Path

from onnx_file import compress, describe, shrink

# What a voice's configuration calls them: padding, beginning, end.
PAD, BEGIN, END = "_", "^", "$"
SYMBOLS = [PAD, BEGIN, END, *" !'(),-.:;?", *"abcdefhijklmnopqrstuvwxyz", *"æçðøħŋœɐɑɒɔɕɖɗɘəɚɛɜɞɟɡɣɤɪɫɬɭɯɲɹɾʁʃʊʌʒʔˈˌːθβχᵻ"]
TEXT = "Hello world, this is a test."
RATE = 22_050


def facts_of(config):
    """What sherpa-onnx (offline-tts-vits-model.cc) asks a Piper voice."""
    return {
        "model_type": "vits",
        "comment": "piper",
        "language": config["language"]["name_english"],
        "voice": config["espeak"]["voice"],
        "has_espeak": 1,
        "n_speakers": config["num_speakers"],
        "sample_rate": config["audio"]["sample_rate"],
    }


def write_tokens(file, numbers):
    file.write_text("".join(f"{symbol} {number}\n" for symbol, number in numbers.items()), encoding="utf-8")


def prepare(voice, out):
    config = json.loads(Path(f"{voice}.json").read_text(encoding="utf-8"))
    numbers = {symbol: ids[0] for symbol, ids in config["phoneme_id_map"].items() if symbol != "\n"}
    write_tokens(out / "tokens.txt", numbers)
    made = out / voice.name
    made.write_bytes(voice.read_bytes())
    describe(made, facts_of(config))


def phonemes(text):
    """A line of IPA for each clause, with the mark it ended with, as Piper puts them together."""
    said = subprocess.run(["espeak-ng", "-q", "-v", "en-us", "--ipa", text], check=True, capture_output=True, text=True)
    clauses = [line.strip() for line in said.stdout.splitlines() if line.strip()]
    marks = [each for each in text if each in ",.:;?!"]
    assert len(clauses) == len(marks), (clauses, marks)
    return " ".join(clause + mark for clause, mark in zip(clauses, marks))


def tiny(source, out):
    sys.path.insert(0, str(source))
    # Used in training alone, and compiled.
    sys.modules["piper_train.vits.monotonic_align"] = types.ModuleType("monotonic_align")
    import torch
    from piper_train.vits.models import SynthesizerTrn

    torch.manual_seed(7)
    numbers = {symbol: n for n, symbol in enumerate(SYMBOLS)}
    network = SynthesizerTrn(
        n_vocab=len(SYMBOLS), spec_channels=9, segment_size=32,
        inter_channels=8, hidden_channels=8, filter_channels=16, n_heads=2, n_layers=2, kernel_size=3, p_dropout=0.1,
        resblock="2", resblock_kernel_sizes=(3, 5, 7), resblock_dilation_sizes=((1, 2), (2, 6), (3, 12)),
        upsample_rates=(8, 8, 4), upsample_initial_channel=16, upsample_kernel_sizes=(16, 16, 8),
        n_speakers=2, gin_channels=4, use_sdp=True,
    ).eval()
    with torch.no_grad():
        network.dec.remove_weight_norm()
        # As they are initialised some layers do nothing and others next to nothing.
        for name, weight in network.named_parameters():
            if name.startswith("dec.") and weight.dim() == 3:
                weight.normal_(0, (0.3 if "post" in name else 1) / (weight.shape[1] * weight.shape[2]) ** 0.5)
            elif name.startswith("dp.flows") and weight.dim() == 3 or ".post." in name:
                weight.normal_(0, 0.3)
            elif name.startswith("dp.flows.0."):
                weight.fill_(0.5)

    def infer(text, lengths, scales, sid):
        made, *_ = network.infer(
            text, lengths, sid=sid, noise_scale=scales[0], length_scale=scales[1], noise_scale_w=scales[2]
        )
        return made.unsqueeze(1)

    network.forward = infer
    example = torch.randint(0, len(SYMBOLS), (1, 50)), torch.tensor([50]), torch.tensor([0.667, 1, 0.8]), torch.tensor([0])
    torch.onnx.export(
        network, example, str(out / "tiny.onnx"), opset_version=15,
        input_names=["input", "input_lengths", "scales", "sid"], output_names=["output"],
        dynamic_axes={"input": {1: "phonemes"}, "output": {3: "time"}},
    )
    shrink(out / "tiny.onnx")
    describe(out / "tiny.onnx", facts_of({
        "language": {"name_english": "English"}, "espeak": {"voice": "en-us"}, "num_speakers": 2,
        "audio": {"sample_rate": RATE},
    }))
    compress(out / "tiny.onnx")
    write_tokens(out / "tokens.txt", numbers)

    ipa = phonemes(TEXT)
    ids = [numbers[BEGIN], numbers[PAD], *(n for each in ipa for n in (numbers[each], numbers[PAD])), numbers[END]]
    spoken = []
    with torch.no_grad():
        for sid in (0, 1):
            made = infer(torch.tensor([ids]), torch.tensor([len(ids)]), torch.tensor([0.0, 1, 0]), torch.tensor([sid]))
            spoken.append((made.flatten() * 32_767).round().to(torch.int16).numpy())
    (out / "reference.s16").write_bytes(b"".join(each.tobytes() for each in spoken))
    reference = {"text": TEXT, "ipa": ipa, "ids": ids, "rate": RATE, "samples": [len(each) for each in spoken]}
    (out / "reference.json").write_text(json.dumps(reference, ensure_ascii=False) + "\n", encoding="utf-8")
    print({**reference, "rms": [float((each.astype("f8") ** 2).mean() ** 0.5) for each in spoken]})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", help="directory to write to, with --voice")
    parser.add_argument("--voice", type=Path, help="a published voice, NAME.onnx")
    parser.add_argument("--tiny-random", type=Path, metavar="OUT", help="write a voice of random weights for tests")
    parser.add_argument("--source", type=Path, help="src/python of a checkout of Piper, with --tiny-random")
    args = parser.parse_args()
    out = args.tiny_random or args.out
    if out is None or (args.tiny_random and not args.source) or not (args.tiny_random or args.voice):
        parser.error("give --voice NAME.onnx OUT, or --tiny-random OUT --source PIPER/src/python")
    out.mkdir(parents=True, exist_ok=True)
    if args.tiny_random:
        tiny(args.source, out)
    else:
        prepare(args.voice, out)


if __name__ == "__main__":
    main()
