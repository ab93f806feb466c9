"""What the command line tests share: running the program, asserting statuses, collecting and running tests.  Not a test itself.

A script begins with `from harness import *`, marks functions with @test, and ends with `run(material)`; it is called with the path of the octavo program."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

__all__ = ["OCTAVO", "WORK", "Path", "Skip", "call", "fails", "js", "json", "ok", "run", "save", "test"]

OCTAVO = str(Path(sys.argv[1]).resolve())
WORK = Path(tempfile.mkdtemp(prefix="octavo-cli-"))
tests = []


class Skip(Exception):
    pass


def test(f):
    tests.append(f)
    return f


def call(*args, env=None, stdout=subprocess.PIPE, timeout=120):
    p = subprocess.run([OCTAVO, *map(str, args)], stdout=stdout, stderr=subprocess.PIPE, text=True, env=dict(os.environ, **(env or {})), timeout=timeout)
    assert p.returncode >= 0, f"killed by signal {-p.returncode}: {args}\n{p.stderr}"
    assert "Sanitizer" not in p.stderr and "runtime error" not in p.stderr, p.stderr
    return p


def ok(*args, **kw):
    p = call(*args, **kw)
    assert p.returncode == 0, f"{args} -> {p.returncode}\n{p.stderr}"
    return p


def fails(status, *args, says=None, **kw):
    """The command ends with this status, says why on stderr and prints nothing else."""
    p = call(*args, **kw)
    assert p.returncode == status, f"{args} -> {p.returncode}, not {status}\n{p.stderr}"
    for word in [says] if isinstance(says, str) else says or []:
        assert word in p.stderr, f"'{word}' is not in: {p.stderr}"
    assert any(line.startswith("octavo") for line in p.stderr.splitlines()), p.stderr
    if "--json" not in args:
        assert not p.stdout, p.stdout
    return p


def js(*args, **kw):
    return json.loads(ok(*args, "--json", **kw).stdout)


def save(path, nodes, inputs, outputs, consts, opset=17):
    """An ONNX file; inputs and outputs are (name, shape) of floats, consts name -> array. Returns path."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def info(ports):
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in ports]
    g = helper.make_graph(nodes, "g", info(inputs), info(outputs), [numpy_helper.from_array(v, k) for k, v in consts.items()])
    onnx.save(helper.make_model(g, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), str(path))
    return path


def run(material=lambda: None):
    passed = failed = skipped = 0
    material()
    for f in tests:
        try:
            f()
            passed += 1
        except Skip as e:
            skipped += 1
            print(f"skip {f.__name__}: {e}")
        except Exception:
            failed += 1
            print(f"FAIL {f.__name__}\n{traceback.format_exc()}", flush=True)
    shutil.rmtree(WORK, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed != 0)
