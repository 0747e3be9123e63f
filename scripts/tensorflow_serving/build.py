"""Builds TensorFlow Serving's model server against the TensorFlow that is installed.

    .venv/bin/python scripts/tensorflow_serving/build.py --sources serving --to .cache/serving

`serving` is a checkout of github's tensorflow/serving at the tag of TensorFlow's release:
2.16.1 for the wide lane. (For the modern one 2.20.0 was tried, with --protoc 31.1.)
Upstream's build compiles TensorFlow as well, which takes hours and the network; this one
takes the library and the headers out of its wheel, and minutes. What it compiles is
upstream's, file by file, but for what is in `missing/`: headers that the wheel does not
have, and two parts that are left out (TensorFlow Lite, the profiler). tensorflow-text's
operations, which upstream links in, come from its wheel.

Of Debian 12 it needs g++ libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev libevent-dev
libre2-dev rapidjson-dev libcurl4-openssl-dev libssl-dev zlib1g-dev; --prefix names a folder
that they were unpacked to, where they are not installed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
import tensorflow_text
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from tensorflow.core.example import example_pb2
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import (
    config_pb2,
    error_codes_pb2,
    meta_graph_pb2,
    named_tensor_pb2,
)

MISSING = Path(__file__).resolve().parent / "missing"
MAIN = "tensorflow_serving/model_servers/main.cc"
# What no header names its source file for.
ROOTS = (
    MAIN,
    "tensorflow_serving/model_servers/version.cc",
    "tensorflow_serving/session_bundle/oss/session_bundle_util.cc",
    "operations.cc",
)
LIBRARIES = ("grpc++", "grpc", "gpr", "event", "event_pthreads", "ssl", "crypto")
# Of what TensorFlow's library has as well, in other versions: for the server's own code alone.
PRIVATE = ("re2", "z")
# Of examples, of tests, and of kernels that the server is built without.
OTHER_PROTOS = re.compile(r"example/|_test\.proto|hashmap|remote_predict")


def main() -> None:
    """Builds it, and prints where it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sources", type=Path, required=True, help="the checkout")
    parser.add_argument("--to", type=Path, required=True, help="a folder; it gets the server")
    parser.add_argument("--prefix", type=Path, default=Path("/"), help="where Debian's files are")
    parser.add_argument("--protoc", type=Path, help="of the wheel's protobuf, if not Debian's")
    options = parser.parse_args()
    sources, to, prefix = (p.resolve() for p in (options.sources, options.to, options.prefix))
    if not (sources / MAIN).exists():
        sys.exit(f"--sources: expected a checkout of tensorflow/serving; found no {MAIN}")
    to.mkdir(parents=True, exist_ok=True)
    protoc = options.protoc or prefix / "usr/bin/protoc"
    generate(sources, to / "generated", protoc, prefix)
    # libevent's headers as upstream's build has them.
    (to / "libevent").mkdir(exist_ok=True)
    if not (to / "libevent/include").exists():
        (to / "libevent/include").symlink_to(prefix / "usr/include")
    operations = sorted(Path(tensorflow_text.__file__).parent.glob("python/ops/_*.so"))
    (to / "generated/operations.inc").write_text("".join(f'"{path}",\n' for path in operations))
    print(link(compiled([MISSING, sources, to / "generated"], to, prefix), to, prefix))


def generate(sources: Path, to: Path, protoc: Path, prefix: Path) -> None:
    """Generates what protos become in C++."""
    to.mkdir(exist_ok=True)
    environment = {"LD_LIBRARY_PATH": str(library_folder(prefix))}
    protos = [
        path.relative_to(root)
        for root in (sources, MISSING)
        for path in sorted(root.rglob("*.proto"))
        if not OTHER_PROTOS.search(str(path.relative_to(root)))
    ]
    services = [p for p in protos if re.search("^service ", text(sources, p), re.M)]
    # Not every wheel has TensorFlow's own protos; all have what became of them in Python.
    known = to / "tensorflow.descriptors"
    known.write_bytes(descriptors().SerializeToString())
    roots = (sources, MISSING, prefix / "usr/include")
    command = [protoc, *(f"-I{root}" for root in roots), f"--descriptor_set_in={known}"]
    run([*command, f"--cpp_out={to}", *protos], environment)
    plugin = f"--plugin=protoc-gen-grpc={prefix / 'usr/bin/grpc_cpp_plugin'}"
    run([*command, plugin, f"--grpc_out={to}", *services], environment)


def descriptors() -> descriptor_pb2.FileDescriptorSet:
    """The protos of TensorFlow that the server's refer to, and theirs."""
    left = [module.DESCRIPTOR for module in (config_pb2, example_pb2, named_tensor_pb2)]
    left += [module.DESCRIPTOR for module in (error_codes_pb2, meta_graph_pb2, tensor_pb2)]
    found: dict[str, FileDescriptor] = {}
    while left:
        file = left.pop()
        left += file.dependencies
        # Those that others need come first.
        found = {file.name: file} | {name: f for name, f in found.items() if name != file.name}
    described = descriptor_pb2.FileDescriptorSet()
    for file in found.values():
        file.CopyToProto(described.file.add())
    return described


def compiled(roots: list[Path], to: Path, prefix: Path) -> list[Path]:
    """Compiles the server's source files; gives the objects."""
    include = prefix / "usr/include"
    # TensorFlow's own abseil and protobuf go before Debian's.
    folders = [*roots, to, Path(tf.sysconfig.get_include())]
    last = [include, include / "x86_64-linux-gnu"]
    command = [
        *("g++", "-c", "-O2", "-w", "-std=c++17", "-DNDEBUG", "-DTF_MODELSERVER_VERSION_NO_META"),
        # Without it a body in gzip is empty.
        "-fno-strict-aliasing",
        # gRPC's names for parts of protobuf that nothing uses, and that newer ones do not have.
        *("-DGRPC_CUSTOM_JSONUTIL=::google::protobuf", "-DGRPC_CUSTOM_UTIL_STATUS=int"),
        *(flag for flag in tf.sysconfig.get_compile_flags() if flag.startswith("-D")),
        *(f"-I{folder}" for folder in folders),
        *(flag for folder in last for flag in ("-idirafter", folder)),
    ]

    def one(source: Path) -> Path:
        made = to / "objects" / (str(source).lstrip("/").replace("/", "_") + ".o")
        made.parent.mkdir(exist_ok=True)
        if not made.exists():
            half = made.with_suffix(".half")
            run([*command, source, "-o", half])
            half.rename(made)
        return made

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, source_files(roots)))


def source_files(roots: list[Path]) -> list[Path]:
    """The files that the server is made of: for every header that is included, its source."""
    found, seen, left = [], set(), list(ROOTS)
    while left:
        name = left.pop()
        place = next((root / name for root in roots if (root / name).exists()), None)
        if place is None or name in seen:
            continue
        seen.add(name)
        left += re.findall(r'^#include "([^"]+)"', place.read_text(), re.M)
        if name.endswith(".cc"):
            found.append(place)
        elif MISSING not in place.parents:
            left.append(str(Path(name).with_suffix(".cc")))
    return sorted(found)


def link(objects: list[Path], to: Path, prefix: Path) -> Path:
    """Links the server; gives its path."""
    server, debian = to / "tensorflow_model_server", library_folder(prefix)
    tensorflow = Path(tf.sysconfig.get_lib())
    command = ["g++", "-o", server, *objects, f"-L{debian}"]
    archives = [f"lib{name}.a" for name in PRIVATE]
    command += [*(f"-l:{name}" for name in archives), f"-Wl,--exclude-libs,{':'.join(archives)}"]
    # Newer ones take some of abseil.
    command += ["-Wl,--as-needed", *sorted(debian.glob("libabsl_*.so"))]
    command += [f"-l{name}" for name in LIBRARIES]
    command += [tensorflow / f"libtensorflow_{part}.so.2" for part in ("cc", "framework")]
    command += ["-Wl,--allow-shlib-undefined", "-Wl,--disable-new-dtags"]
    command += [f"-Wl,-rpath,{debian}:{tensorflow}", "-lpthread", "-ldl"]
    run(command)
    return server


def library_folder(prefix: Path) -> Path:
    """Where Debian puts libraries."""
    return prefix / "usr/lib/x86_64-linux-gnu"


def text(sources: Path, proto: Path) -> str:
    """A proto's text, wherever it is."""
    return next(p.read_text() for p in (sources / proto, MISSING / proto) if p.exists())


def run(command: list[object], environment: dict[str, str] | None = None) -> None:
    """Runs a command; what it says of a failure ends the build."""
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **(environment or {})},
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stderr[-5000:]}")


if __name__ == "__main__":
    main()
