"""ONNX files as sherpa-onnx wants them, and small."""

import gzip

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def describe(file, facts):
    """Puts `facts` in place of a model's metadata; a tuple becomes `1,2,3`."""
    model = onnx.load(str(file))
    del model.metadata_props[:]
    for key, value in facts.items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        model.metadata_props.add(key=key, value=text)
    onnx.save(model, str(file))


def shrink(file):
    """Gives tensors and nodes short names, and every constant once: in a network with narrow layers the rest is little."""
    model = onnx.load(str(file))
    kept = {port.name for port in [*model.graph.input, *model.graph.output]}
    short, first, again, nodes = {}, {}, {}, []

    def rename(name):
        return name if name in kept or name == "" else short.setdefault(name, f"{len(short):x}")

    for tensor in model.graph.initializer:
        tensor.name = rename(tensor.name)
    for node in model.graph.node:
        node.name = node.doc_string = ""
        node.input[:] = [again.get(rename(name), rename(name)) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
        if node.op_type == "Constant":
            content = node.attribute[0].SerializeToString()
            if content in first:
                again[node.output[0]] = first[content]
                continue
            first[content] = node.output[0]
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]
    onnx.save(model, str(file))


def rounded(weight):
    """Rounds weights, in place, so that `pack` can keep them in a byte each without changing them."""
    scale = weight.abs().max() / 127
    weight.copy_((weight / scale).round() * scale)


def pack(file, least=512):
    """Keeps tensors of rounded weights as bytes and a scale."""
    model = onnx.load(str(file))
    nodes = []
    for tensor in list(model.graph.initializer):
        weight = numpy_helper.to_array(tensor)
        if weight.dtype != np.float32 or weight.size < least:
            continue
        scale = np.float32(np.abs(weight).max() / 127)
        levels = np.round(weight / scale).astype(np.int8)
        if np.abs(levels * scale - weight).max() > 1e-5 * np.abs(weight).max():
            continue
        model.graph.initializer.remove(tensor)
        name = tensor.name
        model.graph.initializer.extend(
            [numpy_helper.from_array(levels, f"{name}.levels"), numpy_helper.from_array(np.array(scale), f"{name}.scale")]
        )
        # Not DequantizeLinear, from which onnxruntime would conclude that it may round what these are multiplied with.
        nodes.append(helper.make_node("Cast", [f"{name}.levels"], [f"{name}.float"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name]))
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    onnx.save(model, str(file))


def compress(file):
    """Puts a gzip file, the same for the same content, in the place of `file`."""
    file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))
    file.unlink()
