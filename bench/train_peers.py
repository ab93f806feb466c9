#!/usr/bin/env python3
"""Training speed against PyTorch: ResNet-20 on CIFAR-10, float and with fake quantization, batch 128, one thread and all, taking turns in one run.

    bench/train_peers.py OCTAVO [--data DIR] [--model ONNX] [--torch-python PYTHON] [--rounds N] [--busy]
DIR holds CIFAR-10 as class folders. PyTorch runs eager and channels-last in a process of its own (PYTHON, by default this one); its fake quantization is the
fastest that there is: fixed scales, torch.fake_quantize_per_tensor_affine behind each activation and _per_channel_ on each weight, so that only rounding and
straight-through gradients are timed, no observers. Octavo learns its scales, 8 bits; where the processor has bfloat16, also with --bf16, against the same PyTorch. Figures are images/s of whole steps (forward, backward, SGD) from batches that
are loaded ahead; median and best over the rounds. --busy: with a neighbour that keeps one core busy, as a share of the undisturbed figure.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

TORCH = r'''
import sys, time, json
import torch, torch.nn as nn, torch.nn.functional as F
quantized, threads, steps = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
torch.manual_seed(0)

def act(x):
    return torch.fake_quantize_per_tensor_affine(x, 0.05, 0, 0, 255) if quantized else x

class Conv(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn = nn.BatchNorm2d(cout)
        self.register_buffer("scale", torch.full((cout,), 0.01))
        self.register_buffer("zero", torch.zeros(cout, dtype=torch.int32))
    def forward(self, x):
        w = self.conv.weight
        if quantized:
            w = torch.fake_quantize_per_channel_affine(w, self.scale, self.zero, 0, -127, 127)
        return self.bn(F.conv2d(x, w, None, self.conv.stride, 1))

class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.a, self.b, self.pad = Conv(cin, cout, stride), Conv(cout, cout, 1), cout - cin
        self.stride = stride
    def forward(self, x):
        y = self.b(act(F.relu(self.a(x), inplace=True)))
        if self.pad:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad // 2, self.pad // 2))
        return act(F.relu(y + x, inplace=True))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, blocks, c = Conv(3, 16, 1), [], 16
        for width, stride in ((16, 1), (32, 2), (64, 2)):
            for i in range(3):
                blocks.append(Block(c, width, stride if i == 0 else 1))
                c = width
        self.blocks, self.fc = nn.Sequential(*blocks), nn.Linear(64, 10)
    def forward(self, x):
        x = act(F.relu(self.stem(act(x)), inplace=True))
        return self.fc(act(self.blocks(x).mean((2, 3))))

net = Net().to(memory_format=torch.channels_last).train()
opt = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)
x = torch.randn(128, 3, 32, 32).to(memory_format=torch.channels_last)
y = torch.randint(0, 10, (128,))
times = []
for i in range(steps + 3):
    t = time.perf_counter()
    opt.zero_grad(set_to_none=True)
    F.cross_entropy(net(x), y).backward()
    opt.step()
    if i >= 3:
        times.append(time.perf_counter() - t)
print(json.dumps([128 / t for t in times]))
'''


def octavo_steps(a, kind, threads, folder):
    log = os.path.join(folder, "log.jsonl")
    command = [a.octavo, "train", a.model, "--data", a.data, "--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225", "--epochs", "1", "--batch", "128",
               "--limit", str(128 * (a.steps + 3)), "--val-split", "0.01", "--lr", "0.0001", "--threads", str(threads), "--quiet", "--log", log,
               "--augment", "crop,flip", "--freeze-bn", "1", "-o", os.path.join(folder, "out.onnx")] + {"float": ["--float"], "QAT": [], "bf16": ["--bf16"]}[kind]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in open(log)]
    return [line["images_per_s"] for line in lines if "event" not in line and "val_top1" not in line][3:]


def torch_steps(a, kind, threads):
    out = subprocess.run([a.torch_python, "-c", TORCH, str(int(kind != "float")), str(threads), str(a.steps)], check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def has_torch(python):
    return subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 0


def busy_neighbour(core):
    return subprocess.Popen(["taskset", "-c", str(core), sys.executable, "-c", "while True: pass"])


def rows(a, cores, folder):
    """{(engine, kind, threads, busy): [images/s of steps]}"""
    found = {}
    kinds = ["float", "QAT"] + (["bf16"] if "avx512_bf16" in open("/proc/cpuinfo").read() else [])
    cases = [(k, t, False) for t in sorted({1, cores}) for k in kinds]
    if a.busy and cores > 1:
        cases.append(("QAT", cores, True))
    for _ in range(a.rounds):
        for kind, threads, busy in cases:
            neighbour = busy_neighbour(sorted(os.sched_getaffinity(0))[0]) if busy else None
            try:
                found.setdefault(("Octavo", kind, threads, busy), []).extend(octavo_steps(a, kind, threads, folder))
                if a.torch and kind != "bf16":
                    found.setdefault(("PyTorch", kind, threads, busy), []).extend(torch_steps(a, kind, threads))
            finally:
                if neighbour:
                    neighbour.kill()
                    neighbour.wait()
    return found


def main():
    p = argparse.ArgumentParser()
    p.add_argument("octavo")
    p.add_argument("--data", default="cifar10/train")
    p.add_argument("--model", default="../shared/models/resnet20_cifar10_bn.onnx")
    p.add_argument("--torch-python", default=sys.executable)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--steps", type=int, default=12)
    p.add_argument("--busy", action="store_true")
    a = p.parse_args()
    for path in (a.data, a.model):
        if not os.path.exists(path):
            print(f"train_peers: skipped, there is no {path}")
            return
    a.torch = has_torch(a.torch_python)
    if not a.torch:
        print("PyTorch is not installed: Octavo alone")
    with tempfile.TemporaryDirectory() as folder:
        found = rows(a, len(os.sched_getaffinity(0)), folder)
    print(f"{'engine':8} {'step':8} {'threads':>7} {'median':>9} {'best':>9}   images/s")
    for (engine, kind, threads, busy), v in sorted(found.items(), key=lambda kv: (["float", "QAT", "bf16"].index(kv[0][1]), kv[0][2], kv[0][3], kv[0][0])):
        note = ""
        if engine == "Octavo" and a.torch:
            peer = found[("PyTorch", "QAT" if kind == "bf16" else kind, threads, busy)]
            note = f"   {statistics.median(v) / statistics.median(peer):.2f} x PyTorch (best {max(v) / max(peer):.2f} x)"
        if busy:
            note += f"   {100 * statistics.median(v) / statistics.median(found[(engine, kind, threads, False)]):.0f} % of undisturbed"
        print(f"{engine:8} {'QAT bf16' if kind == 'bf16' else kind:8} {threads:7} {statistics.median(v):9.1f} {max(v):9.1f}{note}{'  (busy neighbour)' if busy else ''}")


if __name__ == "__main__":
    main()
