"""What the exports of lip drivers share: PyTorch modules to ONNX files, whole and in half precision, and their cost."""

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper, shape_inference

OPSET = 14
#: Above this a file's weights are written beside it: a protobuf holds no more than 2 GB.
LARGE = 1 << 30


# --- other people's packages, without what they need only for work that is not done here ------------------------------


class _Absent(types.ModuleType):
    """Stands for a package that is not installed: any name in it is a class of its own."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return "" if name.isupper() else type(name, (Exception,), {"__module__": self.__name__})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, roots):
        self.roots = roots

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.split(".")[0] in self.roots else None

    def create_module(self, spec):
        return _Absent(spec.name)

    def exec_module(self, module):
        pass


def diffusers(source):
    """UNet2DConditionModel, AutoencoderKL and AutoencoderTiny: of a checkout, or of what is installed.

    A checkout needs torch and numpy alone; what else its imports ask for is made up where it is not installed.
    """
    if source is not None:
        wanted = ["huggingface_hub", "requests", "filelock", "regex", "safetensors", "tqdm", "packaging", "importlib_metadata"]
        absent = {name for name in wanted if importlib.util.find_spec(name) is None}
        if "packaging" in absent:
            import pip._vendor.packaging.version

            absent.remove("packaging")
            sys.modules["packaging"] = pip._vendor.packaging
            sys.modules["packaging.version"] = pip._vendor.packaging.version
        if "importlib_metadata" in absent:
            absent.remove("importlib_metadata")
            sys.modules["importlib_metadata"] = importlib.import_module("importlib.metadata")
        sys.meta_path.append(_Finder(absent))
        package = types.ModuleType("diffusers")
        package.__path__, package.__version__ = [str(Path(source) / "src/diffusers")], "0"
        package.__spec__ = importlib.machinery.ModuleSpec("diffusers", None, is_package=True)
        check = types.ModuleType("diffusers.dependency_versions_check")
        check.dep_version_check = lambda *_: None
        sys.modules |= {
            "diffusers": package,
            "diffusers.dependency_versions_check": check,
            "diffusers.schedulers": _Absent("diffusers.schedulers"),
        }
    unet = importlib.import_module("diffusers.models.unets.unet_2d_condition")
    kl = importlib.import_module("diffusers.models.autoencoders.autoencoder_kl")
    tiny = importlib.import_module("diffusers.models.autoencoders.autoencoder_tiny")
    return unet.UNet2DConditionModel, kl.AutoencoderKL, tiny.AutoencoderTiny


def only_in(source, *names):
    """Modules of a checkout that is not installed, without what their package imports besides."""
    unused = {"torchvision", "tiktoken", "numba", "tqdm"}
    sys.meta_path.append(_Finder({name for name in unused if importlib.util.find_spec(name) is None}))
    # openai/whisper's timing.py, which its model.py imports, has a decorator of this.
    numba = importlib.import_module("numba")
    if isinstance(numba, _Absent):
        numba.jit = lambda *_, **__: lambda function: function
    root = names[0].split(".")[0]
    package = types.ModuleType(root)
    package.__path__ = [str(Path(source) / root)]
    sys.modules.setdefault(root, package)
    sys.path.insert(0, str(source))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.pop(0)


# --- ONNX ----------------------------------------------------------------------------------------------------------------


def save(model, file):
    """Writes a model, with its weights in FILE.data where they are too many for one file."""
    size = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    beside = file.with_name(f"{file.name}.data")
    beside.unlink(missing_ok=True)
    if size < LARGE:
        onnx.save(model, str(file))
    else:
        onnx.save(model, str(file), save_as_external_data=True, all_tensors_to_one_file=True, location=beside.name, size_threshold=1024)


class Plain:
    """Attention in the fewest operations. diffusers' own, without PyTorch 2, takes large constants with it."""

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None, **_):
        residual, picture = hidden_states, hidden_states.dim() == 4
        if picture:
            channels, height, width = map(int, hidden_states.shape[1:])
            hidden_states = hidden_states.reshape(-1, channels, height * width).transpose(1, 2)
        if attn.group_norm is not None:
            hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
        other = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            each.reshape(-1, int(each.shape[1]), attn.heads, int(each.shape[2]) // attn.heads).transpose(1, 2)
            for each in (attn.to_q(hidden_states), attn.to_k(other), attn.to_v(other))
        )
        seen = torch.softmax(query @ key.transpose(2, 3) * attn.scale, -1) @ value
        made = attn.to_out[0](seen.transpose(1, 2).reshape(-1, int(seen.shape[2]), int(seen.shape[1] * seen.shape[3])))
        if picture:
            made = made.transpose(1, 2).reshape(-1, channels, height, width)
        return (made + residual if attn.residual_connection else made) / attn.rescale_output_factor


@contextlib.contextmanager
def plainly(module):
    """The module with `Plain` in the place of its attention."""
    before = [(part, part.processor) for part in module.modules() if hasattr(part, "set_processor")]
    for part, _ in before:
        part.set_processor(Plain())
    yield
    for part, processor in before:
        part.set_processor(processor)


def export(module, example, inputs, outputs, file):
    """Traces a module; the first axis of every port is called N."""
    file.parent.mkdir(parents=True, exist_ok=True)
    axes = {name: {0: "N"} for name in [*inputs, *outputs]}
    # Large models come as one file per weight, in a folder that goes away.
    with tempfile.TemporaryDirectory(dir=file.parent) as folder, torch.no_grad():
        path = str(Path(folder) / "model.onnx")
        torch.onnx.export(module, example, path, input_names=inputs, output_names=outputs, dynamic_axes=axes, opset_version=OPSET)
        model = onnx.load(path)
    for node in model.graph.node:
        node.doc_string = ""
    save(model, file)


def ints(value):
    return [int(each) for each in np.asarray(value).reshape(-1)]


def sliced(x, starts, ends, axes=None, steps=None):
    at = [slice(None)] * x.ndim
    axes = range(len(ints(starts))) if axes is None else ints(axes)
    for n, axis in enumerate(axes):
        at[axis] = slice(ints(starts)[n], ints(ends)[n] if abs(ints(ends)[n]) < 1 << 60 else None, 1 if steps is None else ints(steps)[n])
        if at[axis].step < 0 and ints(ends)[n] < -x.shape[axis]:
            at[axis] = slice(at[axis].start, None, at[axis].step)
    return x[tuple(at)]


#: What shapes are computed with.
SMALL = {
    "Gather": lambda a, x, i: np.take(x, i, a.get("axis", 0)),
    "Unsqueeze": lambda a, x, axes: np.expand_dims(x, tuple(ints(axes))),
    "Squeeze": lambda a, x, axes=None: np.squeeze(x, None if axes is None else tuple(ints(axes))),
    "Concat": lambda a, *x: np.concatenate(x, a["axis"]),
    "Slice": lambda a, *x: sliced(*x),
    "Cast": lambda a, x: x.astype(onnx.mapping.TENSOR_TYPE_TO_NP_TYPE[a["to"]]),
    "Add": lambda a, x, y: x + y,
    "Sub": lambda a, x, y: x - y,
    "Mul": lambda a, x, y: x * y,
    "Div": lambda a, x, y: x // y if x.dtype.kind == "i" else x / y,
    "Floor": lambda a, x: np.floor(x),
    "Reshape": lambda a, x, shape: x.reshape(ints(shape)),
    "Transpose": lambda a, x: np.transpose(x, a.get("perm")),
    "ConstantOfShape": lambda a, shape: np.full(ints(shape), a["value"].reshape(-1)[0] if "value" in a else np.float32(0)),
    "Expand": lambda a, x, shape: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(ints(shape)))),
    "Equal": lambda a, x, y: x == y,
    "Where": lambda a, c, x, y: np.where(c, x, y),
    "Identity": lambda a, x: x,
}


def shaped(model):
    """The model with the shape of everything: what shapes are computed from is computed, as often as that tells more."""
    attribute = lambda each: numpy_helper.to_array(each.t) if each.type == onnx.AttributeProto.TENSOR else helper.get_attribute_value(each)
    while True:
        del model.graph.value_info[:]
        model = shape_inference.infer_shapes(model, data_prop=True)
        known, shapes = {}, {}
        for value in [*model.graph.value_info, *model.graph.input]:
            dims = value.type.tensor_type.shape.dim
            if value.type.tensor_type.HasField("shape") and all(dim.dim_value > 0 for dim in dims):
                shapes[value.name] = [dim.dim_value for dim in dims]
        known |= {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        left, found = [], 0
        for node in model.graph.node:
            values = {each.name: attribute(each) for each in node.attribute}
            given = [known.get(name) for name in node.input if name]
            if node.op_type == "Constant" and "value" in values:
                known[node.output[0]] = values["value"]
            elif node.op_type == "Shape" and node.input[0] in shapes:
                known[node.output[0]] = np.array(shapes[node.input[0]], np.int64)
                found += 1
            elif node.op_type in SMALL and all(each is not None and each.size < 1 << 16 for each in given):
                known[node.output[0]] = np.asarray(SMALL[node.op_type](values, *given))
                found += 1
            else:
                left.append(node)
        if not found:
            return model
        used = {name for node in left for name in node.input} | {port.name for port in model.graph.output}
        nodes, held = list(left), {tensor.name for tensor in model.graph.initializer}
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        model.graph.initializer.extend(numpy_helper.from_array(each, name) for name, each in known.items() if name in used and name not in held)
        for port in model.graph.output:
            if any(dim.dim_value <= 0 for dim in port.type.tensor_type.shape.dim):
                port.type.tensor_type.ClearField("shape")


def cost(module, example, inputs, outputs, file):
    """Writes the graph for one item without its weights, with the shape of everything: what FLOPs and bytes are counted from.

    Weights are inputs that come after the network's own.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = str(Path(folder) / "model.onnx")
        torch.onnx.export(
            module, example, path, input_names=inputs, output_names=outputs, opset_version=OPSET, export_params=False
        )
        model = shaped(onnx.load(path))
    ports = {*inputs, *outputs}
    short = {}
    rename = lambda name: name if name in ports or not name else short.setdefault(name, f"{len(short):x}")
    graph = model.graph
    for node in graph.node:
        node.name = node.doc_string = ""
        node.input[:], node.output[:] = map(rename, node.input), map(rename, node.output)
    for value in [*graph.value_info, *graph.input, *graph.initializer]:
        value.name = rename(value.name)
    model.metadata_props.add(key="inputs", value=",".join(inputs))
    onnx.save(model, str(file))


#: Inputs that stay as they are: `Resize` takes its region and its scales in single precision.
KEPT = {"Resize": (1, 2)}


def halve(model):
    """Turns a model to half precision, in place; its ports stay in single precision, and are cast on the device."""
    graph = model.graph
    kept = {node.input[n] for node in graph.node for n in KEPT.get(node.op_type, ()) if n < len(node.input)}

    def shorten(tensor):
        array = numpy_helper.to_array(tensor).astype(np.float32)
        most = np.finfo(np.float16).max
        return numpy_helper.from_array(np.clip(array, -most, most).astype(np.float16), tensor.name)

    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in kept:
            tensor.CopyFrom(shorten(tensor))
    for node in graph.node:
        for attribute in node.attribute:
            constant = attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type == TensorProto.FLOAT
            if constant and not any(name in kept for name in node.output):
                attribute.t.CopyFrom(shorten(attribute.t))
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
    before, after = [], []
    for port in graph.input:
        if port.type.tensor_type.elem_type != TensorProto.FLOAT:
            continue
        for node in graph.node:
            node.input[:] = [f"{name}.half" if name == port.name else name for name in node.input]
        before.append(helper.make_node("Cast", [port.name], [f"{port.name}.half"], to=TensorProto.FLOAT16))
    for port in graph.output:
        if port.type.tensor_type.elem_type != TensorProto.FLOAT:
            continue
        for node in graph.node:
            node.input[:] = [f"{name}.half" if name == port.name else name for name in node.input]
            node.output[:] = [f"{name}.half" if name == port.name else name for name in node.output]
        after.append(helper.make_node("Cast", [f"{port.name}.half"], [port.name], to=TensorProto.FLOAT))
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return model


def write(module, example, inputs, outputs, out, name, halves=True, graphs=False):
    """OUT/NAME.onnx, OUT/NAME_fp16.onnx, and OUT/cost/NAME.onnx; of `graphs` only the last."""
    module.eval()
    with plainly(module):
        if graphs:
            # The values do not matter, and need not be kept.
            for weight in module.parameters():
                weight.data = torch.full((1,), 0.01).expand(weight.shape)
            cost(module, example, inputs, outputs, out / "cost" / f"{name}.onnx")
            return
        export(module, example, inputs, outputs, out / f"{name}.onnx")
        if halves:
            # Read again: saving weights beside a file takes them out of the model.
            save(halve(onnx.load(str(out / f"{name}.onnx"))), out / f"{name}_fp16.onnx")
        cost(module, example, inputs, outputs, out / "cost" / f"{name}.onnx")


@contextlib.contextmanager
def quick_weights():
    """Random weights in no time: PyTorch's own take minutes for a thousand million."""
    stock = 0.02 * torch.randn(1 << 20)

    def fill(tensor, *_, **__):
        with torch.no_grad():
            return tensor.copy_(stock.repeat(tensor.numel() // stock.numel() + 1)[: tensor.numel()].view_as(tensor))

    names = ["kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "normal_", "uniform_", "trunc_normal_"]
    before = {name: getattr(torch.nn.init, name) for name in names}
    for name in names:
        setattr(torch.nn.init, name, fill)
    yield
    for name, function in before.items():
        setattr(torch.nn.init, name, function)


def probes(out):
    """Networks in half precision that do nothing but multiply, and nothing but add: what a device can do at most.

    probes.json says how many FLOP and how many bytes of memory each takes.
    """
    half = TensorProto.FLOAT16
    port = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
    side, times, numbers = 8192, 8, 1 << 28
    facts = {"flops": times * 2 * side**3, "bytes": times * 3 * 2 * numbers}
    for name, op, shape in (("probe_flops", "MatMul", [side, side]), ("probe_bytes", "Add", [numbers])):
        size = numpy_helper.from_array(np.array(shape, np.int64), "size")
        one = numpy_helper.from_array(np.array([1], np.int64), "one")
        nodes = [
            helper.make_node("Cast", ["x"], ["half"], to=half),
            helper.make_node("Expand", ["half", "size"], ["y0"]),
            *(helper.make_node(op, [f"y{n}", "y0"], [f"y{n + 1}"]) for n in range(times)),
            helper.make_node("Slice", [f"y{times}", *(("zero", "one") if len(shape) == 1 else ("zeros", "ones"))], ["first"]),
            helper.make_node("Reshape", ["first", "one"], ["flat"]),
            helper.make_node("Cast", ["flat"], ["out"], to=TensorProto.FLOAT),
        ]
        constants = [size, one] + [
            numpy_helper.from_array(np.array(numbers_, np.int64), name_)
            for name_, numbers_ in (("zero", [0]), ("zeros", [0, 0]), ("ones", [1, 1]))
        ]
        used = {each for node in nodes for each in node.input}
        graph = helper.make_graph(nodes, name, [port("x")], [port("out")], [each for each in constants if each.name in used])
        model = helper.make_model(graph, producer_name="livedub", opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        onnx.save(model, str(out / f"{name}.onnx"))
        onnx.save(model, str(out / f"{name}_fp16.onnx"))
    (out / "probes.json").write_text(json.dumps(facts) + "\n")


def sampled(values, every):
    """Every so many of an array's numbers."""
    return [round(float(value), 6) for value in np.asarray(values).reshape(-1)[::every]]


# --- pictures --------------------------------------------------------------------------------------------------------------


def swing(n, period):
    """A triangle wave in whole numbers: 0 … period."""
    n = n % (2 * period)
    return np.where(n < period, n, 2 * period - n)


def drawn(width, height):
    """Planes of a picture that any language draws alike: slopes, and grain of a linear congruential generator."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    grain, seed = np.zeros(width * height, np.int64), 1
    for n in range(width * height):
        seed = (seed * 16807) % 2147483647
        grain[n] = seed % 16
    luma = 30 + swing(3 * x + 2 * y, 90) + swing(5 * y, 70) + grain.reshape(height, width)
    y, x = np.mgrid[0 : height // 2, 0 : width // 2].astype(np.int64)
    return luma.astype(np.uint8), (90 + swing(2 * x + y, 70)).astype(np.uint8), (95 + swing(x + 3 * y, 60)).astype(np.uint8)


#: BT.601, which unspecified pictures of less than 720 lines are taken for.
KR, KB = 0.299, 0.114


def to_rgb(planes):
    """Limited range; every chroma sample stands for the four pixels that it was made of. Height × width × 3."""
    luma, u, v = (plane.astype(np.float64) for plane in planes)
    u, v = (np.repeat(np.repeat(plane, 2, 0), 2, 1) for plane in (u, v))
    y, cb, cr = (luma - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    r, b = y + 2 * (1 - KR) * cr, y + 2 * (1 - KB) * cb
    g = (y - KR * r - KB * b) / (1 - KR - KB)
    return np.clip(np.floor(np.stack([r, g, b], -1) + 0.5), 0, 255).astype(np.uint8)


def to_planes(rgb):
    """The reverse, not rounded."""
    r, g, b = (rgb[..., n].astype(np.float64) for n in range(3))
    y = KR * r + (1 - KR - KB) * g + KB * b
    chroma = [(b - y) / (2 * (1 - KB)), (r - y) / (2 * (1 - KR))]
    even = [(c[0::2, 0::2] + c[1::2, 0::2] + c[0::2, 1::2] + c[1::2, 1::2]) / 4 for c in chroma]
    return 16 + y * 219 / 255, 128 + even[0] * 224 / 255, 128 + even[1] * 224 / 255


def linear(image, width, height):
    """cv2.resize(…, INTER_LINEAR), not rounded: half-pixel centres, edges repeated. Height × width × channels."""

    def along(values, size, axis):
        old = values.shape[axis]
        at = (np.arange(size) + 0.5) * old / size - 0.5
        low = np.floor(at).astype(int)
        share = (at - low).reshape([-1 if n == axis else 1 for n in range(values.ndim)])
        pick = lambda n: np.take(values, np.clip(n, 0, old - 1), axis)
        return pick(low) * (1 - share) + pick(low + 1) * share

    return along(along(image.astype(np.float64), width, 1), height, 0)


def lanczos(image, width, height):
    """cv2.resize(…, INTER_LANCZOS4) of bytes, in the fixed point in which OpenCV computes it (modules/imgproc/src/resize.cpp)."""

    def taps(old, size):
        at = (np.arange(size) + 0.5) * old / size - 0.5
        low = np.floor(at).astype(int)
        apart = (at - low)[:, None] + 3 - np.arange(8)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.sinc(apart) * np.sinc(apart / 4)
        weight /= weight.sum(1, keepdims=True)
        return np.clip(low[:, None] - 3 + np.arange(8), 0, old - 1), np.rint(weight * 2048).astype(np.int64)

    columns, weights = taps(image.shape[1], width)
    across = np.einsum("hwtc,wt->hwc", image.astype(np.int64)[:, columns], weights)
    rows, weights = taps(image.shape[0], height)
    down = np.einsum("htwc,ht->hwc", across[rows], weights)
    return np.clip((down + (1 << 21)) >> 22, 0, 255).astype(np.uint8)
