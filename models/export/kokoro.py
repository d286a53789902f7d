#!/usr/bin/python3
"""Makes a stand-in for Kokoro to test with.

    python3 models/export/kokoro.py --tiny-random OUT

The real network needs no export: sherpa-onnx's makers publish it (`livedub models pull kokoro-multi-lang-v1.0`). This is not
its architecture; it has its ports and metadata, and makes sound that tells which phonemes, which voice and which speed it was
given: 240 samples for every token, a row of a table, added to the first number of the voice's style and divided by the speed.
It shows that text, voice and speed arrive, and not that Kokoro sounds like anything.

    model.onnx      tokens [1, N], style [1, 4], speed [1] -> audio [240 N]
    voices.bin      a style for each of 53 voices and each length of up to 64 tokens
    tokens.txt      phonemes
    reference.json  a sentence, its phonemes as `espeak-ng` prints them, and the tables

Needs numpy, onnx and the program espeak-ng.
"""

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx_file import describe

SYMBOLS = [*"$;:,.!?() ", *"abcdefhijklmnopqrstuvwxyz", *"æçðøŋœɐɑɒɔəɚɛɜɡɪɫɲɹɾʁʃʊʌʒʔˈˌːθβχᵻ"]
HOP, LENGTHS, WIDTH, VOICES, RATE = 240, 64, 4, 53, 24_000
TEXT = "This is a test."


def network(table):
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["rows"]),
        helper.make_node("Slice", ["style", "zero", "one"], ["first"]),
        helper.make_node("Add", ["rows", "first"], ["voiced"]),
        helper.make_node("Div", ["voiced", "speed"], ["paced"]),
        helper.make_node("Reshape", ["paced", "flat"], ["audio"]),
    ]
    ports = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "N"]),
        helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, WIDTH]),
        helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
    ]
    constants = {"table": table, "zero": np.array([0, 0]), "one": np.array([1, 1]), "flat": np.array([-1])}
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    audio = helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["T"])
    graph = helper.make_graph(nodes, "stand-in", ports, [audio], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny-random", type=Path, metavar="OUT", required=True, help="directory to write to")
    out = parser.parse_args().tiny_random
    out.mkdir(parents=True, exist_ok=True)
    tones = 200 + 40 * np.arange(len(SYMBOLS))[:, None]
    table = (0.2 * np.sin(2 * np.pi * tones * np.arange(HOP) / RATE)).astype(np.float32)
    styles = np.zeros((VOICES, LENGTHS, 1, WIDTH), np.float32)
    styles[..., 0] = 0.001 * np.arange(VOICES)[:, None, None] + 0.0001 * np.arange(LENGTHS)[:, None]
    onnx.save(network(table), str(out / "model.onnx"))
    describe(out / "model.onnx", {
        "model_type": "kokoro", "language": "multi-lang", "has_espeak": 1, "sample_rate": RATE, "version": 2,
        "voice": "en-us", "style_dim": (LENGTHS, 1, WIDTH), "n_speakers": VOICES, "speaker_names": "stand-in",
    })
    (out / "voices.bin").write_bytes(styles.tobytes())
    (out / "tokens.txt").write_text("".join(f"{symbol} {n}\n" for n, symbol in enumerate(SYMBOLS)), encoding="utf-8")
    said = subprocess.run(["espeak-ng", "-q", "-v", "en-us", "--ipa", TEXT], check=True, capture_output=True, text=True)
    ipa = said.stdout.strip() + "."
    # The padding, the phonemes, a blank behind a full stop, the padding.
    ids = [0, *(SYMBOLS.index(each) for each in ipa), SYMBOLS.index(" "), 0]
    reference = {"text": TEXT, "ipa": ipa, "ids": ids, "hop": HOP, "rate": RATE}
    (out / "reference.json").write_text(json.dumps(reference, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
