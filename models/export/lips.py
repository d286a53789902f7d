"""What the exports of lip drivers share: PyTorch modules to ONNX files, whole and in half precision, and their cost."""

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
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
    return model


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
        model = shape_inference.infer_shapes(onnx.load(path))
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
    """The model in half precision; its ports stay in single precision, and are cast on the device."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    graph = half.graph
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
    return half


def write(module, example, inputs, outputs, out, name, halves=True):
    """OUT/NAME.onnx, OUT/NAME_fp16.onnx, and OUT/cost/NAME.onnx."""
    module.eval()
    with plainly(module):
        model = export(module, example, inputs, outputs, out / f"{name}.onnx")
        if halves:
            save(halve(model), out / f"{name}_fp16.onnx")
        cost(module, example, inputs, outputs, out / "cost" / f"{name}.onnx")


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
