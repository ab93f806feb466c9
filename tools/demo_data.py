#!/usr/bin/env python3
"""The demo's labelled images: digits and capital letters in DejaVu fonts, 32x32 RGB, distorted, cluttered and noisy.

    demo_data.py DIR [--test N] [--calib N] [--train N] [--seed S]

writes DIR/test/<class>/<k>.png, DIR/calib/... and DIR/train/..., N images of each of the 36 classes.  The same seed gives the
same images (with the same Pillow).  Needs numpy, Pillow and the fonts of Debian's fonts-dejavu-core.
"""
import argparse
import sys
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CLASSES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SIDE = 32
CANVAS = 64  # glyphs are drawn at twice the size, then warped down
FONT_DIRS = ("/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/dejavu", "/usr/share/fonts/TTF")
FONT_FILES = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf")


def load_fonts():
    for folder in FONT_DIRS:
        if all((Path(folder) / f).exists() for f in FONT_FILES):
            return [ImageFont.truetype(str(Path(folder) / f), 42) for f in FONT_FILES]
    sys.exit("demo_data: the DejaVu fonts are missing (Debian: apt-get install fonts-dejavu-core)")


def draw_glyphs(fonts):
    """glyphs[class][font]: the character centred on the canvas, as an 8-bit mask."""
    table = []
    for ch in CLASSES:
        row = []
        for font in fonts:
            mask = Image.new("L", (CANVAS, CANVAS), 0)
            left, top, right, bottom = font.getbbox(ch)
            ImageDraw.Draw(mask).text(((CANVAS - left - right) / 2, (CANVAS - top - bottom) / 2), ch, font=font, fill=255)
            row.append(mask)
        table.append(row)
    return table


def warp(mask, rng, center, scale, turn, shear):
    """The canvas seen through a random affine map, sampled down to SIDE x SIDE."""
    cos, sin = np.cos(turn), np.sin(turn)
    back = np.linalg.inv(np.array([[cos, -sin], [sin, cos]]) @ np.array([[scale, shear * scale], [0, scale * rng.uniform(0.85, 1.2)]]) / 2)
    offset = np.array([CANVAS / 2, CANVAS / 2]) - back @ center
    return mask.transform((SIDE, SIDE), Image.AFFINE, (back[0, 0], back[0, 1], offset[0], back[1, 0], back[1, 1], offset[1]), Image.BILINEAR)


def smooth_field(rng, cells, spread):
    """A slowly changing RGB field around 0."""
    grid = rng.normal(0, spread, (cells, cells, 3))
    planes = [np.asarray(Image.fromarray(grid[:, :, c].astype(np.float32)).resize((SIDE, SIDE), Image.BICUBIC)) for c in range(3)]
    return np.stack(planes, 2)


def pick_colors(rng):
    """Background and ink with a brightness difference that can be seen, but not always well."""
    while True:
        back, ink = rng.uniform(10, 245, (2, 3))
        if abs((back - ink) @ (0.299, 0.587, 0.114)) > 38:
            return back, ink


def render(label, glyphs, rng):
    """One image of class `label` as uint8 [SIDE, SIDE, 3]."""
    back, ink = pick_colors(rng)
    picture = back + smooth_field(rng, 4, 14)
    for _ in range(rng.integers(1, 4)):  # pieces of other characters at the rim
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(17, 22)
        center = np.array([SIDE / 2 + far * np.cos(angle), SIDE / 2 + far * np.sin(angle)])
        other = glyphs[rng.integers(len(CLASSES))][rng.integers(len(glyphs[0]))]
        piece = warp(other, rng, center, rng.uniform(0.6, 1.0), rng.uniform(-0.8, 0.8), 0.0)
        cover = np.asarray(piece, np.float32)[:, :, None] / 255
        picture += cover * (rng.uniform(10, 245, 3) - picture) * rng.uniform(0.4, 0.9)
    center = SIDE / 2 + rng.uniform(-3, 3, 2)
    mask = warp(glyphs[label][rng.integers(len(glyphs[0]))], rng, center, rng.uniform(0.6, 1.05), rng.normal(0, 0.17), rng.normal(0, 0.2))
    cover = np.asarray(mask, np.float32)[:, :, None] / 255
    picture += cover * (ink + smooth_field(rng, 3, 14) - picture)
    if rng.random() < 0.5:  # a stroke across
        line = Image.new("L", (SIDE, SIDE), 0)
        ends = rng.uniform(0, SIDE, 4)
        ImageDraw.Draw(line).line(tuple(ends), fill=255, width=1)
        picture += np.asarray(line, np.float32)[:, :, None] / 255 * (rng.uniform(10, 245, 3) - picture) * 0.8
    soft = rng.uniform(0, 0.5)  # a small blur: mix with the mean of the four neighbours
    around = np.pad(picture, ((1, 1), (1, 1), (0, 0)), "edge")
    picture = (1 - soft) * picture + soft * 0.25 * (around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:])
    picture += rng.normal(0, rng.uniform(2, 16), picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def make_set(per_class, seed):
    """Yields (label, k, image), class by class; image k of a class depends on seed, class and k only."""
    glyphs = draw_glyphs(load_fonts())
    for label in range(len(CLASSES)):
        for k in range(per_class):
            yield label, k, render(label, glyphs, np.random.default_rng((seed, label, k)))


def write_class(folder, label, per_class, seed):
    folder.mkdir(parents=True, exist_ok=True)
    glyphs = draw_glyphs(load_fonts())
    for k in range(per_class):
        Image.fromarray(render(label, glyphs, np.random.default_rng((seed, label, k)))).save(folder / f"{k:05d}.png")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("dir", type=Path)
    ap.add_argument("--test", type=int, default=100, help="test images a class (default 100)")
    ap.add_argument("--calib", type=int, default=16, help="calibration images a class (default 16)")
    ap.add_argument("--train", type=int, default=0, help="training images a class (default 0)")
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    # Seeds of the splits are far apart, so that no test image is ever a calibration or training image.
    splits = (("test", args.test, args.seed * 1000), ("calib", args.calib, args.seed * 1000 + 1), ("train", args.train, args.seed * 1000 + 2))
    jobs = [(args.dir / split / name, label, per_class, seed) for split, per_class, seed in splits for label, name in enumerate(CLASSES) if per_class]
    with Pool() as pool:
        pool.starmap(write_class, jobs, chunksize=1)


if __name__ == "__main__":
    main()
