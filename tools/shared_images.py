#!/usr/bin/env python3
"""Brings the shared CIFAR-10 images (../shared/data) into the form users have: class folders of PNG files, or a tar of them.

    shared_images.py DIR [train|test]... [--tar]

writes DIR/<split>/<class>/<index>.png, or with --tar DIR/<split>.tar; both splits without a choice.  What is there already is
left alone.  Without ../shared it says so and does nothing.  Needs numpy and Pillow.
"""
import argparse
import importlib.util
import io
import sys
import tarfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "cifar10.py"
SPLITS = ("train", "test")


def load_reader():
    spec = importlib.util.spec_from_file_location("cifar10", SOURCE)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True  # the shared folder is read-only
    spec.loader.exec_module(module)
    return module


def pngs(reader, split):
    """(name, bytes) of every image of a split, class by class."""
    from PIL import Image

    images, labels = reader.load(split)
    counts = [0] * len(reader.CLASSES)
    for image, label in zip(images, labels):
        png = io.BytesIO()
        Image.fromarray(image).save(png, "PNG")
        yield f"{reader.CLASSES[label]}/{counts[label]:05d}.png", png.getvalue()
        counts[label] += 1


def write_folders(reader, split, root):
    if root.exists():
        return print(f"{root}: there already")
    part = root.with_name(root.name + ".part")
    for name, data in pngs(reader, split):
        path = part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    part.rename(root)  # a broken run leaves no half a data set behind
    print(f"{root}: written")


def write_tar(reader, split, path):
    if path.exists():
        return print(f"{path}: there already")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with tarfile.open(part, "w") as tar:
        for name, data in pngs(reader, split):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    part.rename(path)
    print(f"{path}: written")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("dir", type=Path)
    ap.add_argument("splits", nargs="*", metavar="train|test", help="default: both")
    ap.add_argument("--tar", action="store_true", help="one tar a split instead of folders")
    args = ap.parse_args()
    unknown = [s for s in args.splits if s not in SPLITS]
    if unknown:
        ap.error(f"unknown split '{unknown[0]}': train or test")
    if not SOURCE.exists():
        print(f"shared_images: skipped, {SOURCE.parent} is not there")
        return 0
    reader = load_reader()
    for split in args.splits or SPLITS:
        if args.tar:
            write_tar(reader, split, args.dir / f"{split}.tar")
        else:
            write_folders(reader, split, args.dir / split)
    return 0


if __name__ == "__main__":
    sys.exit(main())
