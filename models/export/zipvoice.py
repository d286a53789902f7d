#!/usr/bin/python3
"""Makes a stand-in for ZipVoice to test with.

    python3 models/export/zipvoice.py --tiny-random OUT

The real networks need no export: their makers publish them (`livedub models pull zipvoice-distill-int8`). These are not their
architecture; they have their ports, and make a tone that tells what they were given:

    text_encoder_int8.onnx  8 frames of speech for every token of the text, and one for every token of the prompt's
    fm_decoder_int8.onnx    flows from noise to the mean of the prompt's features, however many steps it is given
    vocos_24khz.onnx        a tone of 468.75 Hz as loud as the features' mean
    tokens.txt              phonemes

It shows that text, the voice's sound and what is said in it arrive, and not that ZipVoice sounds like anybody. Needs numpy
and onnx.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx_file import describe

BANDS, BINS, BIN = 100, 513, 20
SYMBOLS = [*"_^$ !'(),-.:;?", *"abcdefghijklmnopqrstuvwxyz", *"æçðøħŋœɐɑɒɔəɚɛɜɡɪɫɲɹɾʁʃʊʌʒʔˈˌːθβχᵻ"]
FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def save(file, nodes, inputs, outputs, constants):
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    ports = [helper.make_tensor_value_info(name, kind, None) for name, kind in inputs.items()]
    made = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    made_of = [helper.make_node(kind, list(eats), list(makes), **more) for kind, eats, makes, more in nodes]
    model = helper.make_model(
        helper.make_graph(made_of, "stand-in", ports, made, weights), opset_imports=[helper.make_opsetid("", 13)]
    )
    model.ir_version = 8
    onnx.save(model, str(file))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny-random", type=Path, metavar="OUT", required=True, help="directory to write to")
    out = parser.parse_args().tiny_random
    out.mkdir(parents=True, exist_ok=True)
    one, last = {"one": np.array([1]), "flat": np.array([-1])}, np.array([BANDS])
    save(
        out / "text_encoder_int8.onnx",
        [
            ("Shape", ["tokens"], ["a"], {}), ("Gather", ["a", "one"], ["count"], {}),
            ("Shape", ["prompt_tokens"], ["b"], {}), ("Gather", ["b", "one"], ["said"], {}),
            ("Reshape", ["prompt_features_len", "flat"], ["prompt"], {}),
            ("Mul", ["count", "eight"], ["long"], {}), ("Add", ["long", "said"], ["speech"], {}),
            ("Add", ["speech", "prompt"], ["frames"], {}), ("Concat", ["one", "frames", "last"], ["shape"], {"axis": 0}),
            ("Reshape", ["speed", "flat"], ["pace"], {}), ("Mul", ["pace", "nothing"], ["zero"], {}),
            ("Expand", ["zero", "shape"], ["text_condition"], {}),
        ],
        {"tokens": INT, "prompt_tokens": INT, "prompt_features_len": INT, "speed": FLOAT}, ["text_condition"],
        {**one, "last": last, "eight": np.array([8]), "nothing": np.float32([0])},
    )
    save(
        out / "fm_decoder_int8.onnx",
        [
            ("ReduceMean", ["speech_condition"], ["mean"], {"axes": [1, 2], "keepdims": 1}),
            ("Sub", ["mean", "x"], ["way"], {}), ("Reshape", ["t", "flat"], ["now"], {}), ("Sub", ["end", "now"], ["left"], {}),
            ("Div", ["way", "left"], ["straight"], {}),
            ("Mul", ["text_condition", "nothing"], ["ignored"], {}), ("Reshape", ["guidance_scale", "flat"], ["scale"], {}),
            ("Mul", ["scale", "nothing"], ["too"], {}), ("Add", ["straight", "ignored"], ["w"], {}), ("Add", ["w", "too"], ["v"], {}),
        ],
        {name: FLOAT for name in ("t", "x", "text_condition", "speech_condition", "guidance_scale")}, ["v"],
        {"flat": np.array([-1]), "end": np.float32([1]), "nothing": np.float32([0])},
    )
    describe(out / "fm_decoder_int8.onnx", {"version": 1, "feat_dim": BANDS, "sample_rate": 24_000})
    tone, level = np.zeros((1, BINS, 1), np.float32), np.ones((1, BINS, 1), np.float32)
    tone[0, BIN] = 30
    save(
        out / "vocos_24khz.onnx",
        [
            ("ReduceMean", ["mels"], ["mean"], {"axes": [1], "keepdims": 1}), ("Exp", ["mean"], ["loud"], {}),
            ("Mul", ["loud", "tone"], ["mag"], {}), ("Mul", ["loud", "nothing"], ["zero"], {}),
            ("Mul", ["zero", "level"], ["y"], {}), ("Add", ["y", "level"], ["x"], {}),
        ],
        {"mels": FLOAT}, ["mag", "x", "y"], {"tone": tone, "level": level, "nothing": np.float32([0])},
    )
    describe(out / "vocos_24khz.onnx", {
        "model_type": "vocos", "n_fft": 1024, "hop_length": 256, "win_length": 1024, "center": 1, "window_type": "hann",
    })
    (out / "tokens.txt").write_text("".join(f"{symbol}\t{n}\n" for n, symbol in enumerate(SYMBOLS)), encoding="utf-8")


if __name__ == "__main__":
    main()
