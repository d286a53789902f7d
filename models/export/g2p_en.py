#!/usr/bin/python3
"""Makes the two ONNX files of g2p_en, which pronounces English words that are in no dictionary.

    python3 models/export/g2p_en.py --out DIR [--checkpoint checkpoint20.npz]

The weights are those of https://github.com/Kyubyong/g2p (Apache-2.0), file g2p_en/checkpoint20.npz; without --checkpoint
they are fetched from there. Needs numpy and onnx. Writes

    g2p_encoder.onnx        graphemes[1, T] int64 -> h[1, 256]
    g2p_decoder_step.onnx   token[1] int64, h_in[1, 256] -> logits[1, 74], h_out[1, 256]
"""

import argparse
import hashlib
import io
import os
import urllib.request

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

URL = "https://raw.githubusercontent.com/Kyubyong/g2p/c6439c274c42b9724a7fee1dc07ca6a4c68a0538/g2p_en/checkpoint20.npz"
SHA256 = "b8af35e4596d8dd5836dfd3fe9b2ba4f97b9c311efe8879544cbcfcbd566d8c6"
SIZE = 256


def gated(weights, prefix):
    """A GRU's weights in ONNX's order of gates (update, reset, new); the checkpoint has reset, update, new."""

    def ordered(name):
        reset, update, new = np.split(weights[prefix + name], 3)
        return np.concatenate([update, reset, new])

    bias = np.concatenate([ordered("_b_ih"), ordered("_b_hh")])
    return [
        numpy_helper.from_array(ordered("_w_ih")[None].astype(np.float32), "w"),
        numpy_helper.from_array(ordered("_w_hh")[None].astype(np.float32), "r"),
        numpy_helper.from_array(bias[None].astype(np.float32), "b"),
        numpy_helper.from_array(weights[prefix + "_emb"].astype(np.float32), "emb"),
        numpy_helper.from_array(np.array([0], np.int64), "zero"),
    ]


def gru(inputs):
    return helper.make_node("GRU", inputs, ["", "last"], hidden_size=SIZE, linear_before_reset=1)


def save(path, nodes, inputs, outputs, constants):
    graph = helper.make_graph(
        nodes,
        "g2p",
        [helper.make_tensor_value_info(*port) for port in inputs],
        [helper.make_tensor_value_info(*port) for port in outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)


def export(weights, out):
    os.makedirs(out, exist_ok=True)
    save(
        os.path.join(out, "g2p_encoder.onnx"),
        [
            helper.make_node("Gather", ["emb", "graphemes"], ["read"]),
            helper.make_node("Transpose", ["read"], ["steps"], perm=[1, 0, 2]),
            gru(["steps", "w", "r", "b"]),
            helper.make_node("Squeeze", ["last", "zero"], ["h"]),
        ],
        [("graphemes", TensorProto.INT64, [1, "T"])],
        [("h", TensorProto.FLOAT, [1, SIZE])],
        gated(weights, "enc"),
    )
    sounds = weights["fc_w"].shape[0]
    save(
        os.path.join(out, "g2p_decoder_step.onnx"),
        [
            helper.make_node("Gather", ["emb", "token"], ["read"]),
            helper.make_node("Unsqueeze", ["read", "zero"], ["step"]),
            helper.make_node("Unsqueeze", ["h_in", "zero"], ["before"]),
            gru(["step", "w", "r", "b", "", "before"]),
            helper.make_node("Squeeze", ["last", "zero"], ["h_out"]),
            helper.make_node("Gemm", ["h_out", "fc_w", "fc_b"], ["logits"], transB=1),
        ],
        [("token", TensorProto.INT64, [1]), ("h_in", TensorProto.FLOAT, [1, SIZE])],
        [("logits", TensorProto.FLOAT, [1, sounds]), ("h_out", TensorProto.FLOAT, [1, SIZE])],
        gated(weights, "dec")
        + [numpy_helper.from_array(weights[name].astype(np.float32), name) for name in ("fc_w", "fc_b")],
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="directory to write to")
    parser.add_argument("--checkpoint", help="checkpoint20.npz, if it is there already")
    options = parser.parse_args()
    if options.checkpoint:
        with open(options.checkpoint, "rb") as file:
            data = file.read()
    else:
        with urllib.request.urlopen(URL) as answer:
            data = answer.read()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise SystemExit("these are not the published weights: their SHA-256 is another")
    export(np.load(io.BytesIO(data)), options.out)


if __name__ == "__main__":
    main()
