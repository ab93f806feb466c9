#!/usr/bin/env python3
"""torchvision's networks and a BERT encoder through octavo.torch without a hand edit: prepare, calibrate, export by both exporters, run in the engine.

    bench/torch_zoo.py [NETWORK...] [--size 64]

Random weights and inputs: what is looked at is that everything is placed and exported, that engine and simulation agree, and that lint finds no more
than in what `octavo quantize` makes of the float network. Needs octavo, torch, torchvision, onnx, onnxscript. Some minutes a network."""
import argparse
import collections
import os
import tempfile
import warnings

import torch
import torchvision
from torch import nn

import octavo
import octavo.torch as oq


class Bert(nn.Module):
    """Embeddings, encoder layers, pooler and classifier, as in BERT."""

    def __init__(self, words=200, size=64, heads=4, layers=2, length=16):
        super().__init__()
        self.words, self.places, self.norm = nn.Embedding(words, size), nn.Parameter(torch.randn(1, length, size) * 0.02), nn.LayerNorm(size)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(size, heads, 4 * size, 0.1, "gelu", batch_first=True), layers)
        self.pool, self.head = nn.Linear(size, size), nn.Linear(size, 10)

    def forward(self, ids):
        x = self.encoder(self.norm(self.words(ids) + self.places))
        return self.head(torch.tanh(self.pool(x[:, 0])))


def network(name, size):
    """The model and eight inputs."""
    generator = torch.Generator().manual_seed(0)
    if name == "bert":
        return Bert().eval(), torch.randint(0, 200, (8, 16), generator=generator)
    options = {"image_size": size} if name.startswith("vit") else {}
    model = torchvision.models.get_model(name, weights=None, **options).eval()
    if name.startswith("vit"):
        nn.init.normal_(model.heads.head.weight, std=0.05)  # zero in a fresh one
    return model, torch.randn(8, 3, size, size, generator=generator)


def findings(path):
    """Lint's findings by rule; unused lanes are the network's own."""
    return collections.Counter(f["rule"] for f in octavo.Model(path).lint(8) if f["rule"] != "wasted-lanes")


def text(counts):
    return ", ".join(f"{n} {rule}" for rule, n in sorted(counts.items())) or "none"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["mobilenet_v3_large", "efficientnet_b0", "vit_b_16", "convnext_tiny", "bert", "resnet18"])
    parser.add_argument("--size", type=int, default=64)
    a = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| network | quantizers | exporter | nodes | MACs in INT8 | engine against simulation | same answer | lint of `octavo quantize`'s | beyond it |\n|---|---:|---|---:|---:|---:|---:|---|---|")
    for name in a.networks:
        torch.manual_seed(0)
        model, x = network(name, a.size)
        quantized = oq.calibrate(oq.prepare(model, "int8", x), [x], "max")
        with tempfile.TemporaryDirectory() as folder:
            plain, own = os.path.join(folder, "float.onnx"), os.path.join(folder, "own.onnx")
            torch.onnx.export(model, (x,), plain, dynamo=True, external_data=False, verbose=False)
            octavo.quantize(plain, [x.numpy()], own, method="max")
            expected = findings(own)
            for dynamo in (False, True):
                path = os.path.join(folder, "model.onnx")
                report = oq.export_onnx(quantized, x, path, dynamo=dynamo)
                share = octavo.build(path, level=0, batch=8).inspect()["summary"]["int8_share"]
                print(f"| {name} | {len(oq.quantizers(quantized))} | {'dynamo' if dynamo else 'TorchScript'} | {report.nodes} | {100 * share:.1f} % | "
                      f"{100 * report.worst_share:.2g} % | {100 * report.same_answer:.4g} % | {text(expected)} | {text(findings(path) - expected)} |", flush=True)


main()
