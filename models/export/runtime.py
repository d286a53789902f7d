#!/usr/bin/python3
"""Writes the tiny networks that the runtime's tests run (test/fixtures/runtime).

They have no weights worth the name. Each is the smallest network that has one property of real ones:

  elements.onnx   an input and an output of every element that models.tensor knows: what comes out is what came in,
                  except that booleans are inverted and floats doubled
  busy.onnx       computes for as long as it is asked to: `rounds` passes over `x` inside the runtime, where no
                  JavaScript can stop it
  scale.onnx      y = 2 x in float32, with an N by 3 input; scale_fp16.onnx beside it is the same in float16
  picky.onnx      looks items up in a table of four rows, as an embedding does, and fails to compute when one of them is
                  not in it
  memory.onnx     a recurrent step whose state has its items along the second axis: y = x + state, new state = y

Run it with Debian's python3-onnx 1.12 or newer:

  python3 models/export/runtime.py --tiny-random test/fixtures/runtime
"""

import argparse
import pathlib

import onnx
from onnx import TensorProto as T
from onnx import helper


def value(name, element, shape):
    return helper.make_tensor_value_info(name, element, shape)


def save(path, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="livedub")
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def elements(path):
    kinds = {"floats": T.FLOAT, "halves": T.FLOAT16, "longs": T.INT64, "ints": T.INT32, "bytes": T.UINT8, "flags": T.BOOL}
    nodes, inputs, outputs = [], [], []
    for name, element in kinds.items():
        inputs.append(value(name, element, ["N"]))
        outputs.append(value(f"{name}_out", element, ["N"]))
        if name in ("floats", "halves"):
            nodes.append(helper.make_node("Add", [name, name], [f"{name}_out"]))
        else:
            nodes.append(helper.make_node("Not" if name == "flags" else "Identity", [name], [f"{name}_out"]))
    save(path, nodes, inputs, outputs)


def busy(path):
    body = helper.make_graph(
        [
            helper.make_node("Sin", ["carried"], ["turned"]),
            helper.make_node("Identity", ["going"], ["goes"]),
        ],
        "pass",
        [value("n", T.INT64, []), value("going", T.BOOL, []), value("carried", T.FLOAT, [4096])],
        [value("goes", T.BOOL, []), value("turned", T.FLOAT, [4096])],
    )
    yes = helper.make_tensor("yes", T.BOOL, [], [True])
    nodes = [helper.make_node("Loop", ["rounds", "yes", "x"], ["y"], body=body)]
    save(path, nodes, [value("rounds", T.INT64, []), value("x", T.FLOAT, [4096])], [value("y", T.FLOAT, [4096])], [yes])


def scale(path, element):
    two = helper.make_tensor("two", element, [1], [2.0])
    save(
        path,
        [helper.make_node("Mul", ["x", "two"], ["y"])],
        [value("x", element, ["N", 3])],
        [value("y", element, ["N", 3])],
        [two],
    )


def picky(path):
    table = helper.make_tensor("table", T.FLOAT, [4, 2], [0, 1, 2, 3, 4, 5, 6, 7])
    nodes = [helper.make_node("Gather", ["table", "ids"], ["rows"], axis=0)]
    save(path, nodes, [value("ids", T.INT64, ["N"])], [value("rows", T.FLOAT, ["N", 2])], [table])


def memory(path):
    nodes = [
        helper.make_node("Unsqueeze", ["x", "first"], ["x1"]),
        helper.make_node("Add", ["x1", "state"], ["stateN"]),
        helper.make_node("Squeeze", ["stateN", "first"], ["y"]),
    ]
    first = helper.make_tensor("first", T.INT64, [1], [0])
    save(
        path,
        nodes,
        [value("x", T.FLOAT, ["N", 2]), value("state", T.FLOAT, [1, "N", 2])],
        [value("y", T.FLOAT, ["N", 2]), value("stateN", T.FLOAT, [1, "N", 2])],
        [first],
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny-random", metavar="OUT", type=pathlib.Path, required=True, help="folder to write to")
    out = parser.parse_args().tiny_random
    out.mkdir(parents=True, exist_ok=True)
    elements(out / "elements.onnx")
    busy(out / "busy.onnx")
    scale(out / "scale.onnx", T.FLOAT)
    scale(out / "scale_fp16.onnx", T.FLOAT16)
    picky(out / "picky.onnx")
    memory(out / "memory.onnx")


if __name__ == "__main__":
    main()
