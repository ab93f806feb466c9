"""QuantLSTM and QuantLSTMCell: against torch.nn without quantizers, against a NumPy cell with them."""

import copy
import pickle

import manual_reference as reference
import numpy as np
import pytest

torch = pytest.importorskip("torch")
from octavo.torch import nn as quant_nn  # noqa: E402
from octavo.torch.tensor_quant import QuantDescriptor  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence  # noqa: E402


def rand(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def numpy_quant(num_bits):
    return lambda x: reference.fake_quant(x.astype(np.float32), np.abs(x).max(), num_bits, narrow=False)


def disabled(module):
    for child in module.modules():
        if isinstance(child, quant_nn.TensorQuantizer):
            child.disable()
    return module


def assert_close(actual, expected, atol=1e-6):
    for a, b in zip(actual, expected):
        np.testing.assert_allclose(np.asarray(a.detach()), np.asarray(b.detach() if isinstance(b, torch.Tensor) else b), atol=atol)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("unbatched", [True, False])
@pytest.mark.parametrize("with_state", [True, False])
def test_cell__quantizers_disabled__equals_torch(bias, unbatched, with_state):
    cell, plain = disabled(quant_nn.QuantLSTMCell(13, 7, bias=bias)), torch.nn.LSTMCell(13, 7, bias=bias)
    plain.load_state_dict(cell.state_dict())
    batch = () if unbatched else (5,)
    hx = (rand(1, *batch, 7), rand(2, *batch, 7)) if with_state else None
    assert_close(cell(rand(0, *batch, 13), hx), plain(rand(0, *batch, 13), hx))


@pytest.mark.parametrize("input_bits, weight_bits", [(8, 8), (4, 4), (8, 4), (16, 6)])
def test_cell__quantized__equals_numpy(input_bits, weight_bits):
    cell = quant_nn.QuantLSTMCell(
        11, 9, quant_desc_input=QuantDescriptor(num_bits=input_bits), quant_desc_weight=QuantDescriptor(num_bits=weight_bits)
    )
    x, h, c = rand(3, 6, 11), rand(4, 6, 9), rand(5, 6, 9)
    weight = np.concatenate((cell.weight_ih.detach().numpy(), cell.weight_hh.detach().numpy()), axis=1)
    bias = (cell.bias_ih + cell.bias_hh).detach().numpy()
    expected = reference.lstm_step(x.numpy(), h.numpy(), c.numpy(), numpy_quant(weight_bits)(weight), bias, numpy_quant(input_bits))
    assert_close(cell(x, (h, c)), expected, 1e-5)
    plain = torch.nn.LSTMCell(11, 9)
    plain.load_state_dict(cell.state_dict())
    assert (cell(x, (h, c))[0] - plain(x, (h, c))[0]).abs().max() > 1e-5


def test_cell__weight_per_row_by_default():
    cell = quant_nn.QuantLSTMCell(4, 3, bias=False)
    assert cell.weight_quantizer.axis == 0
    cell.input_quantizer.disable()
    weight = np.concatenate((cell.weight_ih.detach().numpy(), cell.weight_hh.detach().numpy()), axis=1)
    weight = reference.fake_quant(weight, np.abs(weight).max(axis=1, keepdims=True), narrow=False)
    x, h, c = rand(6, 2, 4), rand(7, 2, 3), rand(8, 2, 3)
    assert_close(cell(x, (h, c)), reference.lstm_step(x.numpy(), h.numpy(), c.numpy(), weight, 0.0, lambda v: v))


def test_cell__bad_shapes__raise():
    cell = quant_nn.QuantLSTMCell(4, 3)
    with pytest.raises(RuntimeError, match="inconsistent input_size: got 5, expected 4"):
        cell(torch.zeros(2, 5))
    with pytest.raises(RuntimeError, match="hidden has inconsistent"):
        cell(torch.zeros(2, 4), (torch.zeros(3, 3), torch.zeros(3, 3)))
    with pytest.raises(RuntimeError, match="3D"):
        cell(torch.zeros(2, 4, 4))


@pytest.mark.parametrize("layers, bias, batch_first, bidirectional", [
    (1, False, False, False), (2, True, False, False), (1, True, True, False), (3, False, True, True), (2, True, False, True),
])  # fmt: skip
@pytest.mark.parametrize("with_state", [True, False])
def test_lstm__quantizers_disabled__equals_torch(layers, bias, batch_first, bidirectional, with_state):
    keys = dict(num_layers=layers, bias=bias, batch_first=batch_first, bidirectional=bidirectional)
    lstm, plain = disabled(quant_nn.QuantLSTM(7, 5, **keys)), torch.nn.LSTM(7, 5, **keys)
    plain.load_state_dict(lstm.state_dict())
    directions = 2 if bidirectional else 1
    assert len(lstm._input_quantizers) == len(lstm._weight_quantizers) == layers * directions
    hx = (rand(1, layers * directions, 4, 5), rand(2, layers * directions, 4, 5)) if with_state else None
    x = rand(0, 4, 6, 7) if batch_first else rand(0, 6, 4, 7)
    (y, state), (expected, expected_state) = lstm(x, hx), plain(x, hx)
    assert_close((y, *state), (expected, *expected_state))


def test_lstm__unbatched__equals_torch():
    lstm, plain = disabled(quant_nn.QuantLSTM(7, 5, bidirectional=True)), torch.nn.LSTM(7, 5, bidirectional=True)
    plain.load_state_dict(lstm.state_dict())
    hx = (rand(1, 2, 5), rand(2, 2, 5))
    for state in (None, hx):
        assert_close(
            (lstm(rand(0, 6, 7), state)[0], *lstm(rand(0, 6, 7), state)[1]),
            (plain(rand(0, 6, 7), state)[0], *plain(rand(0, 6, 7), state)[1]),
        )


@pytest.mark.parametrize("lengths", [[6, 4, 1], [2, 6, 3]])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_lstm__packed_sequences__equal_torch(lengths, bidirectional):
    keys = dict(num_layers=2, bidirectional=bidirectional)
    lstm, plain = disabled(quant_nn.QuantLSTM(7, 5, **keys)), torch.nn.LSTM(7, 5, **keys)
    plain.load_state_dict(lstm.state_dict())
    count = 4 if bidirectional else 2
    packed = pack_padded_sequence(rand(0, 6, 3, 7), lengths, enforce_sorted=False)
    hx = (rand(1, count, 3, 5), rand(2, count, 3, 5))
    for state in (None, hx):
        (y, y_state), (expected, expected_state) = lstm(packed, state), plain(packed, state)
        assert_close((pad_packed_sequence(y)[0], *y_state), (pad_packed_sequence(expected)[0], *expected_state))


def test_lstm__quantized__equals_numpy_steps():
    lstm = quant_nn.QuantLSTM(
        6, 4, bidirectional=True, quant_desc_input=QuantDescriptor(num_bits=5), quant_desc_weight=QuantDescriptor(num_bits=6)
    )
    x = rand(9, 5, 3, 6)
    expected = np.zeros((5, 3, 8), np.float32)
    for direction, suffix in enumerate(("", "_reverse")):
        parts = [getattr(lstm, f"{name}_l0{suffix}").detach().numpy() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        weight, bias = numpy_quant(6)(np.concatenate(parts[:2], axis=1)), parts[2] + parts[3]
        h = c = np.zeros((3, 4), np.float32)
        for step in range(5) if direction == 0 else reversed(range(5)):
            h, c = reference.lstm_step(x[step].numpy(), h, c, weight, bias, numpy_quant(5))
            expected[step, :, 4 * direction : 4 * direction + 4] = h
    np.testing.assert_allclose(lstm(x)[0].detach().numpy(), expected, atol=1e-5)


def test_lstm__dropout__between_layers_only_in_training():
    lstm, x = disabled(quant_nn.QuantLSTM(4, 6, num_layers=2, dropout=0.5)), rand(10, 3, 2, 4)
    assert not torch.equal(lstm(x)[0], lstm(x)[0])
    lstm.eval()
    assert torch.equal(lstm(x)[0], lstm(x)[0])


def test_lstm__training__all_parameters_get_gradients():
    lstm = quant_nn.QuantLSTM(4, 3, num_layers=2, bidirectional=True)
    lstm(rand(11, 5, 2, 4))[0].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in lstm.parameters())


def test_lstm__calibrate__fixes_ranges_of_all_quantizers():
    lstm, x = quant_nn.QuantLSTM(4, 3, num_layers=2), rand(12, 5, 2, 4)
    quantizers = [module for module in lstm.modules() if isinstance(module, quant_nn.TensorQuantizer)]
    for quantizer in quantizers:
        quantizer.enable_calib()
        quantizer.disable_quant()
    lstm(x)
    for quantizer in quantizers:
        quantizer.load_calib_amax()
        quantizer.disable_calib()
        quantizer.enable_quant()
    joined = torch.cat((lstm.weight_ih_l1, lstm.weight_hh_l1), dim=1)
    assert torch.equal(lstm._weight_quantizers[1].amax, joined.abs().amax(dim=1, keepdim=True).detach())
    assert lstm._input_quantizers[0].amax == max(x.abs().max(), 0)
    y = lstm(x)[0]
    for copied in (copy.deepcopy(lstm), pickle.loads(pickle.dumps(lstm))):
        assert torch.equal(copied(x)[0], y)
    other = quant_nn.QuantLSTM(4, 3, num_layers=2)
    other.load_state_dict(lstm.state_dict())
    assert torch.equal(other(x)[0], y)


def test_lstm__bad_arguments__raise():
    with pytest.raises(ValueError, match="proj_size"):
        quant_nn.QuantLSTM(4, 6, proj_size=2)
    with pytest.raises(TypeError, match="oops"):
        quant_nn.QuantLSTM(4, 6, oops=1)
    with pytest.raises(ValueError, match="Only fake quantization"):
        quant_nn.QuantLSTM(4, 6, quant_desc_weight=QuantDescriptor(fake_quant=False))
    lstm = quant_nn.QuantLSTM(4, 6)
    with pytest.raises(RuntimeError, match="Expected 4, got 5"):
        lstm(torch.zeros(2, 3, 5))
    with pytest.raises(RuntimeError, match="dimensions"):
        lstm(torch.zeros(4))
    with pytest.raises(RuntimeError, match=r"Expected hidden\[1\] size \(1, 3, 6\)"):
        lstm(torch.zeros(2, 3, 4), (torch.zeros(1, 3, 6), torch.zeros(2, 3, 6)))


def test_aliases__are_the_quantized_classes():
    assert quant_nn.LSTM is quant_nn.QuantLSTM and quant_nn.LSTMCell is quant_nn.QuantLSTMCell
    assert (
        pack_sequence([torch.zeros(2, 4)]).data.shape == quant_nn.QuantLSTM(4, 4)(pack_sequence([torch.zeros(2, 4)]))[0].data.shape
    )
