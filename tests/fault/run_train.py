#!/usr/bin/env python3
"""Training that is killed, runs out of disk, meets pictures that cannot be read: nothing written is lost.  Usage: run_train.py OCTAVO
Needs numpy, pillow and onnx. Ends with "N passed, N failed, N skipped"."""
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
try:
    from trainset import COMMON, network, pictures
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(0)

from harness import *  # noqa: E402

SET, NET = WORK / "set", WORK / "net.onnx"
KILLS = 20


def material():
    pictures(SET, 24, 1)
    network(NET)


def arguments(out, folder):
    return ["train", NET, "--data", SET, "--val", SET, *COMMON, "--float", "--init", "kaiming", "--lr", "0.05", "--epochs", "40", "--threads", "2", "--checkpoint-dir", folder,
            "--checkpoint-every", "3", "-o", out]


@test
def killed_twenty_times_it_ends_with_the_same_bytes():
    whole, out, folder = WORK / "whole.onnx", WORK / "killed.onnx", WORK / "ck"
    began = time.monotonic()
    js(*arguments(whole, WORK / "ck0"))
    rng = random.Random(7)
    kills, limit = 0, (time.monotonic() - began) / 8
    while kills < KILLS:
        p = subprocess.Popen([OCTAVO, *map(str, arguments(out, folder)), "--resume", "--quiet", "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(rng.uniform(0, limit))
        ended = p.poll()
        if ended is not None:
            assert ended == 0, p.stderr.read()
            break
        p.kill()
        p.communicate()
        kills += 1
    if not out.exists():
        js(*arguments(out, folder), "--resume")
    assert kills >= 8, f"only {kills} kills"
    assert out.read_bytes() == whole.read_bytes()
    assert [f.name for f in folder.iterdir()] == ["checkpoint.oct"]


def limited(size, *args):
    """The program with a limit on the size of files, as a full disk is."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return subprocess.run([OCTAVO, *map(str, args)], capture_output=True, text=True, preexec_fn=limit, timeout=120)


@test
def full_disk_ends_with_an_error_and_keeps_the_checkpoint():
    out, folder = WORK / "full.onnx", WORK / "ckfull"
    p = limited(2000, *arguments(out, folder))
    assert p.returncode == 5 and "checkpoint.oct" in p.stderr, (p.returncode, p.stderr)
    assert not out.exists()
    js(*arguments(out, folder), "--resume")
    kept, size = (folder / "checkpoint.oct").read_bytes(), out.stat().st_size
    p = limited(1000, *arguments(WORK / "full2.onnx", folder), "--resume")
    assert p.returncode == 5 and p.stderr, (p.returncode, p.stderr)
    assert (folder / "checkpoint.oct").read_bytes() == kept and out.stat().st_size == size


@test
def damaged_checkpoint_is_named():
    out, folder = WORK / "d.onnx", WORK / "ckd"
    js(*arguments(out, folder))
    f = folder / "checkpoint.oct"
    data = bytearray(f.read_bytes())
    data[len(data) // 2] ^= 1
    f.write_bytes(data)
    fails(3, *arguments(out, folder), "--resume", says=["checkpoint.oct", "damaged"])
    fails(3, *[a if a != "0.05" else "0.06" for a in arguments(out, WORK / "ck0")], "--resume", says="other options")


@test
def unreadable_picture_is_skipped_and_named_or_refused():
    bad = WORK / "bad"
    pictures(bad, 24, 1)
    (bad / "class1" / "007.png").write_bytes((bad / "class1" / "007.png").read_bytes()[:50])
    args = [bad if a is SET else a for a in arguments(WORK / "b.onnx", WORK / "ckb")]
    p = ok(*args, "--json")
    assert "007.png" in p.stderr and json.loads(p.stdout)["best_top1"] > 0, p.stderr
    fails(3, *[a if a != WORK / "ckb" else WORK / "ckb2" for a in args], "--strict", says="007.png")


@test
def label_outside_the_classes_is_content():
    table = WORK / "list.csv"
    rows = [f"{f},{k % 4}" for k, f in enumerate(sorted(SET.glob("*/*.png")))]
    rows[50] = rows[50].rsplit(",", 1)[0] + ",9"
    table.write_text("\n".join(rows) + "\n")
    args = [table if a is SET else a for a in arguments(WORK / "l.onnx", WORK / "ckl")]
    fails(3, *args, says="outside the 4")
    assert not (WORK / "l.onnx").exists()


run(material)
