#!/usr/bin/env python3
"""Post-training quantization of a torchvision network: calibrate, export by both exporters, compare, and say which layers cost most.

    examples/torch_ptq_resnet.py [--network resnet18] [--images DIR] [--size 64] [--plot ranges.png] [-o int8.onnx]

DIR is a folder of images (any depth). Without it, and without downloaded weights (--weights), random numbers show the steps only: then agreement
between float and INT8 says little. Needs octavo, torch, torchvision, onnx and, for --plot, matplotlib."""
import argparse
import pathlib

import torch
import torchvision

import octavo
import octavo.torch as oq


def batches(folder, size, count=8, batch=8):
    if folder is None:
        generator = torch.Generator().manual_seed(0)
        return [torch.randn(batch, 3, size, size, generator=generator) for _ in range(count)]
    prepare = torchvision.transforms.Compose([
        torchvision.transforms.Resize(size), torchvision.transforms.CenterCrop(size), torchvision.transforms.ToTensor(),
        torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip
    from PIL import Image

    files = sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))[: count * batch]
    images = torch.stack([prepare(Image.open(path).convert("RGB")) for path in files])
    return list(images.split(batch))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--weights", help="torchvision's name of pretrained weights, such as DEFAULT (downloads)")
    parser.add_argument("--images")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--plot")
    parser.add_argument("-o", "--output", default="int8.onnx")
    a = parser.parse_args()
    torch.manual_seed(0)
    model = torchvision.models.get_model(a.network, weights=a.weights).eval()
    data = batches(a.images, a.size)
    quantized = oq.calibrate(oq.prepare(model, "int8", data[0]), data)
    with torch.no_grad():
        wanted = model(data[0])
    for dynamo in (False, True):
        print(oq.export_onnx(quantized, data[0], a.output, dynamo=dynamo, weights="int8"))
    answer = torch.from_numpy(octavo.Session(a.output).run(None, {"input": data[0].numpy()})[0])
    print(f"{a.network}: INT8 in the engine against float in PyTorch: same answer {100 * (answer.argmax(1) == wanted.argmax(1)).float().mean():.1f} %, "
          f"error {10 * torch.log10(wanted.square().mean() / (answer - wanted).square().mean()):.1f} dB below the signal")

    def closeness(m):
        with torch.no_grad():
            return -float((m(data[0]) - wanted).square().mean())

    table = oq.analyze(quantized, closeness)
    print("\n".join(str(table).splitlines()[:9]))
    if a.plot:
        oq.plot_ranges(quantized, a.plot, data[:2])
        print(f"picture: {a.plot}")


if __name__ == "__main__":
    main()
