"""One thread: two processes' threads that wait for each other by spinning cost minutes on a busy machine."""
try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    pass
