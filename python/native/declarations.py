"""The public headers as cffi reads them: comments, preprocessor lines and attributes taken out, nothing else changed.

The declarations therefore have one home, include/octavo; the C compiler checks them again when the module is built.
"""
import pathlib
import re

CORE = ("status", "tensor", "model", "data", "quant", "engine", "peers", "eval")
TRAIN = CORE + ("train",)


def declarations_of(text: str) -> str:
    """One header's declarations."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r'#ifdef __cplusplus\n.*?#endif\n', "", text, flags=re.S)
    limits = re.findall(r"#define (OCT_MAX_\w+) (\d+)", text)
    text = re.sub(r"^#.*\n", "", text, flags=re.M)
    text = re.sub(r"\bOCT_(API|MUST_USE)\b", "", text)
    for name, value in limits:
        text = f"#define {name} {value}\n" + re.sub(rf"\b{name}\b", value, text)
    return text


def read(folder: pathlib.Path, module: str) -> str:
    """All that a module declares; arrays of OCT_MAX_RANK get its number."""
    headers = TRAIN if module == "train" else CORE
    text = "".join(declarations_of((folder / f"{name}.h").read_text()) for name in headers)
    limits = dict(re.findall(r"#define (OCT_MAX_\w+) (\d+)", text))
    for name, value in limits.items():
        text = re.sub(rf"\[{name}\]", f"[{value}]", text)
    return "typedef int... sig_atomic_t;\n" + text
