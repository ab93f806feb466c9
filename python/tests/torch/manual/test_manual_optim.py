"""octavo.torch.optim.helper."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from octavo.torch import nn as quant_nn  # noqa: E402
from octavo.torch.optim import helper  # noqa: E402
from octavo.torch.tensor_quant import QuantDescriptor  # noqa: E402


def model():
    block = lambda: torch.nn.ModuleDict(
        {"conv1": torch.nn.Conv2d(2, 2, 1), "downsample": torch.nn.Sequential(torch.nn.Conv2d(2, 2, 1), torch.nn.BatchNorm2d(2))}
    )  # noqa: E501,E731
    return torch.nn.ModuleDict({"layer1": block(), "layer2": block()})


def test_match_parameters__patterns__are_searched_in_names():
    net = model()
    assert len(list(helper.match_parameters(net, ["downsample.0.weight"]))) == 2
    assert len(list(helper.match_parameters(net, ["downsample.*.weight$"]))) == 4
    assert list(helper.match_parameters(net, ["downsample.*.wei$"])) == []
    both = list(helper.match_parameters(net, ["conv1", "conv1.weight"]))
    assert len(both) == len({id(parameter) for parameter in both}) == 4


def test_group_parameters__options__reach_the_optimizer():
    net = model()
    groups = helper.group_parameters(net, [["conv1.*weight"], ["downsample"]], [0.1, 0.2], [0.3, 0.4], [0.5, 0.6])
    assert [len(group["params"]) for group in groups] == [2, 8]
    assert [(g["lr"], g["momentum"], g["weight_decay"]) for g in groups] == [(0.1, 0.3, 0.5), (0.2, 0.4, 0.6)]
    before = net["layer1"]["conv1"].weight.detach().clone()
    optimizer = torch.optim.SGD(groups)
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    expected = before - 0.1 * (1 + 0.5 * before)
    np.testing.assert_allclose(net["layer1"]["conv1"].weight.detach().numpy(), expected.numpy(), rtol=1e-6)
    assert set(helper.group_parameters(net, [["conv1"]])[0]) == {"params"}


def test_group_parameters__errors():
    with pytest.raises(TypeError, match="must be list of list of patterns"):
        helper.group_parameters(None, [["downsample.1.weight"], "conv1"])
    for key in ("lrs", "momentums", "weight_decays"):
        with pytest.raises(TypeError, match=f"{key}.*must match"):
            helper.group_parameters(None, [["downsample.1.weight"], ["conv1"]], **{key: [0.1]})
    with pytest.raises(ValueError, match="layer1.conv1.weight"):
        helper.group_parameters(model(), [["conv1"], ["weight"]])


def test_freeze_parameters__matching_names_only():
    net = model()
    helper.freeze_parameters(net, ["downsample.0", "conv1.bias"])
    for name, parameter in net.named_parameters():
        assert parameter.requires_grad == ("downsample.0" not in name and "conv1.bias" not in name)


def test_quant_weight_inplace__weights_become_their_quantized_values():
    net = torch.nn.Sequential(
        quant_nn.QuantConv2d(2, 3, 3),
        quant_nn.QuantLinear(4, 5),
        quant_nn.QuantLSTM(3, 2, bidirectional=True),
        quant_nn.QuantLSTMCell(3, 2),
    )
    expected = [net[0].weight_quantizer(net[0].weight), net[1].weight_quantizer(net[1].weight)]
    fused = net[3].weight_quantizer(torch.cat((net[3].weight_ih, net[3].weight_hh), dim=1))
    helper.quant_weight_inplace(net)
    assert torch.equal(net[0].weight, expected[0]) and torch.equal(net[1].weight, expected[1])
    assert torch.equal(torch.cat((net[3].weight_ih, net[3].weight_hh), dim=1), fused)
    for quantizer, parameters in net[2].quantized_weights():
        joined = torch.cat(parameters, dim=1)
        np.testing.assert_allclose(quantizer(joined).detach().numpy(), joined.detach().numpy(), atol=1e-7)
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_quant_weight_inplace__real_quantization__gives_codes():
    net = torch.nn.Sequential(quant_nn.QuantLinear(4, 5))
    net[0]._weight_quantizer = quant_nn.TensorQuantizer(QuantDescriptor(fake_quant=False))
    helper.quant_weight_inplace(net)
    codes = net[0].weight.detach().numpy()
    assert np.array_equal(codes, np.rint(codes)) and np.abs(codes).max() == 127
