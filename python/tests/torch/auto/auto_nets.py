"""Small networks for the tests of octavo.torch, with statistics that look trained."""
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + x)


class ResNet(nn.Module):
    """Stem, two residual blocks, mean, linear: 3 x 12 x 12 to 10 classes."""

    def __init__(self, width=8):
        super().__init__()
        self.stem, self.bn = nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.fc = nn.Linear(width, 10)

    def forward(self, x):
        x = self.blocks(torch.relu(self.bn(self.stem(x))))
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


class Branches(nn.Module):
    """Concatenation of two convolutions and a pool, then a convolution: scales are shared."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(11, 6, 3)
        self.pool = nn.MaxPool2d(3, 1, 1)

    def forward(self, x):
        return self.c(torch.cat([torch.relu(self.a(x)), torch.relu(self.b(x)), self.pool(x)], 1))


class Transformer(nn.Module):
    """Embedding, two encoder layers, classifier, as in BERT."""

    def __init__(self, words=50, size=16, length=8):
        super().__init__()
        self.words, self.places = nn.Embedding(words, size), nn.Parameter(torch.randn(1, length, size) * 0.1)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(size, 2, 32, 0.1, "gelu", batch_first=True), 2)
        self.head = nn.Linear(size, 5)

    def forward(self, ids):
        return self.head(torch.tanh(self.encoder(self.words(ids) + self.places)[:, 0]))


class Untraceable(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        y = torch.relu(self.conv(x))
        if y.sum() > 0:
            y = y * 2
        return self.fc(y.mean((2, 3)))


def trained(model, seed=0):
    """Seeded weights, and BatchNorms with statistics and factors of both signs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            spread = 1 / p[0].numel() ** 0.5 if p.dim() > 1 else 0.1
            p.copy_(torch.randn(p.shape, generator=generator) * spread)
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator) * 0.3)
                module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
                module.weight.copy_(torch.rand(module.weight.shape, generator=generator) * 2 - 0.7)
                module.bias.copy_(torch.randn(module.bias.shape, generator=generator) * 0.3)
    return model.eval()


def images(count, seed=0, size=12):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))
