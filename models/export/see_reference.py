"""Networks with the ports of 2d106det, SFace and ArcFace and random weights, and what they say of a grey picture.

    /usr/bin/python3 models/export/see_reference.py test/fixtures/see

Each takes the mean of a channel and multiplies the three with a matrix, so that order, scale and offset of the
channels show in its answer. Needs onnx and numpy.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# R'G'B' of Y' 100, Cb 108, Cr 150 by BT.601 in full range.
COLOUR = np.array([100 + 1.402 * 22, 100 - 0.344136 * -20 - 0.714136 * 22, 100 + 1.772 * -20])


def network(file, name, size, output, count, weights, bias):
    nodes = [
        helper.make_node("GlobalAveragePool", [name], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], [output]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, count])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 6
    onnx.save(model, str(file))


def random(rng, count, reach):
    return rng.normal(0, reach, (3, count)).astype(np.float32), rng.uniform(-0.8, 0.8, count).astype(np.float32)


def main(folder):
    rng = np.random.default_rng(5)
    expected = {}
    for card, name, file, size, output, count, scale, offset in [
        ("2d106det", "data", "2d106det.onnx", 192, "fc1", 212, 1, 0),
        ("sface", "data", "face_recognition_sface_2021dec.onnx", 112, "fc1", 128, 1, 0),
        ("arcface", "input.1", "w600k_r50.onnx", 112, "683", 512, 1 / 127.5, -1),
    ]:
        weights, bias = random(rng, count, 0.1 if card == "arcface" else 0.001)
        (folder / card).mkdir(parents=True, exist_ok=True)
        network(folder / card / file, name, size, output, count, weights, bias)
        said = (COLOUR * scale + offset) @ weights + bias
        if card != "2d106det":
            said = said / np.linalg.norm(said)
        expected[card] = [round(float(x), 5) for x in said]
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


main(pathlib.Path(sys.argv[1]))
