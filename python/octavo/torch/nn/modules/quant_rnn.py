"""LSTM and LSTM cell with quantized input, hidden state and weights.

At every step the input and the hidden state are joined and quantized as one tensor, the two weights likewise as one matrix
[4 * hidden, input + hidden]; biases, the cell state and the output stay float. Octavo's engine has no LSTM: this simulates it, and
an exported model (the loop is unrolled) is for ONNX Runtime.
"""

from __future__ import annotations

from typing import Any, Optional, Union

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import PackedSequence

from ... import tensor_quant
from ._utils import QuantMixin, take_quant_desc
from .tensor_quantizer import TensorQuantizer

__all__ = ["LSTM", "LSTMCell", "QuantLSTM", "QuantLSTMCell"]

State = tuple[torch.Tensor, torch.Tensor]


def _lstm_step(
    input: torch.Tensor, state: State, weight: torch.Tensor, bias: Optional[torch.Tensor], quantizer: TensorQuantizer
) -> State:
    """One step: input [N, I], state ([N, H], [N, H]), quantized weight [4H, I + H], bias [4H] → next state. Gates: i, f, g, o."""
    hidden, cell = state
    gates = F.linear(quantizer(torch.cat((input, hidden), dim=1)), weight, bias)
    in_gate, forget_gate, candidate, out_gate = gates.chunk(4, dim=1)
    cell = torch.sigmoid(forget_gate) * cell + torch.sigmoid(in_gate) * torch.tanh(candidate)
    return torch.sigmoid(out_gate) * torch.tanh(cell), cell


class QuantLSTMCell(QuantMixin, torch.nn.LSTMCell):
    """torch.nn.LSTMCell with quantizers; takes its arguments plus `quant_desc_input` and `quant_desc_weight`."""

    default_quant_desc_weight = tensor_quant.QUANT_DESC_8BIT_LINEAR_WEIGHT_PER_ROW

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        descriptors = take_quant_desc(type(self), kwargs)
        super().__init__(*args, **kwargs)
        self.init_quantizer(*descriptors)

    def quantized_weights(self) -> list[tuple[TensorQuantizer, list[torch.nn.Parameter]]]:
        return [(self._weight_quantizer, [self.weight_ih, self.weight_hh])]

    def forward(self, input: torch.Tensor, hx: Optional[State] = None) -> State:
        """input [N, I] or [I], state ([N, H], [N, H]) or ([H], [H]), zeros if None → next state. RuntimeError for other shapes."""
        if input.dim() not in (1, 2):
            raise RuntimeError(f"LSTMCell: expected input to be 1D or 2D, got {input.dim()}D")
        is_batched = input.dim() == 2
        input = input if is_batched else input.unsqueeze(0)
        if hx is None:
            zeros = input.new_zeros(input.size(0), self.hidden_size)
            hx = (zeros, zeros)
        elif not is_batched:
            hx = (hx[0].unsqueeze(0), hx[1].unsqueeze(0))
        if input.size(1) != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {input.size(1)}, expected {self.input_size}")
        for tensor in hx:
            if tuple(tensor.shape) != (input.size(0), self.hidden_size):
                raise RuntimeError(
                    f"hidden has inconsistent shape: got {tuple(tensor.shape)}, expected {(input.size(0), self.hidden_size)}"
                )
        weight = self._weight_quantizer(torch.cat((self.weight_ih, self.weight_hh), dim=1))
        bias = self.bias_ih + self.bias_hh if self.bias else None
        hidden, cell = _lstm_step(input, hx, weight, bias, self._input_quantizer)
        return (hidden, cell) if is_batched else (hidden.squeeze(0), cell.squeeze(0))


class QuantLSTM(QuantMixin, torch.nn.LSTM):
    """torch.nn.LSTM with one pair of quantizers per layer and direction, in `_input_quantizers` and `_weight_quantizers`.

    Takes its arguments plus `quant_desc_input` and `quant_desc_weight`; packed sequences work. Raises ValueError for proj_size > 0.
    """

    default_quant_desc_weight = tensor_quant.QUANT_DESC_8BIT_LINEAR_WEIGHT_PER_ROW

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        descriptors = take_quant_desc(type(self), kwargs)
        super().__init__(*args, **kwargs)
        self.check_supported()
        self.init_quantizer(*descriptors, num_layers=self.num_quantizers())

    def check_supported(self) -> None:
        """ValueError for what has no quantized form."""
        if self.proj_size > 0:
            raise ValueError("proj_size is not supported by QuantLSTM")

    def num_quantizers(self) -> int:
        """Layers times directions."""
        return self.num_layers * (2 if self.bidirectional else 1)

    def quantized_weights(self) -> list[tuple[TensorQuantizer, list[torch.nn.Parameter]]]:
        return [(quantizer, list(weights[:2])) for quantizer, weights in zip(self._weight_quantizers, self.all_weights)]

    def _run_direction(self, index: int, data: torch.Tensor, batch_sizes: list[int], state: State) -> tuple[torch.Tensor, State]:
        """One layer in one direction over `data` [sum of batch_sizes, I], the rows step after step → ([…, H], state).

        Sequences end at different steps, longest first: rows of the state past a step's size keep their value.
        """
        weights = self.all_weights[index]
        weight = self._weight_quantizers[index](torch.cat((weights[0], weights[1]), dim=1))
        bias = weights[2] + weights[3] if self.bias else None
        is_reverse = self.bidirectional and index % 2 == 1
        hidden, cell = state
        steps = list(enumerate(torch.split(data, batch_sizes)))
        outputs: list[Any] = [None] * len(steps)
        for position, rows in reversed(steps) if is_reverse else steps:
            size = batch_sizes[position]
            is_whole = size == batch_sizes[0]
            active = (hidden, cell) if is_whole else (hidden[:size], cell[:size])
            step = _lstm_step(rows, active, weight, bias, self._input_quantizers[index])
            outputs[position] = step[0]
            hidden, cell = step if is_whole else (torch.cat((step[0], hidden[size:])), torch.cat((step[1], cell[size:])))
        return torch.cat(outputs), (hidden, cell)

    def _run(self, data: torch.Tensor, batch_sizes: list[int], hx: State) -> tuple[torch.Tensor, State]:
        """All layers; `data` as in `_run_direction`, hx ([layers * directions, N, H], the same)."""
        directions = 2 if self.bidirectional else 1
        states = []
        for layer in range(self.num_layers):
            results = []
            for index in range(layer * directions, (layer + 1) * directions):
                output, state = self._run_direction(index, data, batch_sizes, (hx[0][index], hx[1][index]))
                results.append(output)
                states.append(state)
            data = torch.cat(results, dim=1) if directions == 2 else results[0]
            if self.dropout and layer + 1 < self.num_layers:
                data = F.dropout(data, self.dropout, self.training)
        return data, (torch.stack([state[0] for state in states]), torch.stack([state[1] for state in states]))

    def _initial_state(self, hx: Optional[State], data: torch.Tensor, batch: int) -> State:
        """`hx`, or zeros; RuntimeError unless both are [layers * directions, batch, H]."""
        expected = (self.num_quantizers(), batch, self.hidden_size)
        if hx is None:
            zeros = data.new_zeros(expected)
            return zeros, zeros
        for name, tensor in zip(("hidden[0]", "hidden[1]"), hx):
            if tuple(tensor.shape) != expected:
                raise RuntimeError(f"Expected {name} size {expected}, got {tuple(tensor.shape)}")
        return hx

    def _forward_packed(self, input: PackedSequence, hx: Optional[State]) -> tuple[PackedSequence, State]:
        batch_sizes = input.batch_sizes.tolist()
        hx = self._initial_state(hx, input.data, batch_sizes[0])
        if input.sorted_indices is not None:
            hx = (hx[0].index_select(1, input.sorted_indices), hx[1].index_select(1, input.sorted_indices))
        data, state = self._run(input.data, batch_sizes, hx)
        if input.unsorted_indices is not None:
            state = (state[0].index_select(1, input.unsorted_indices), state[1].index_select(1, input.unsorted_indices))
        return PackedSequence(data, input.batch_sizes, input.sorted_indices, input.unsorted_indices), state

    def forward(
        self, input: Union[torch.Tensor, PackedSequence], hx: Optional[State] = None
    ) -> tuple[Union[torch.Tensor, PackedSequence], State]:
        """[T, N, I] ([N, T, I] with batch_first), unbatched [T, I], or packed; as in torch.nn.LSTM. RuntimeError for others."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            raise RuntimeError(f"input must have 2 or 3 dimensions, got {input.dim()}")
        if input.size(-1) != self.input_size:
            raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.size(-1)}")
        is_batched = input.dim() == 3
        if not is_batched:
            input = input.unsqueeze(1)
            hx = None if hx is None else (hx[0].unsqueeze(1), hx[1].unsqueeze(1))
        elif self.batch_first:
            input = input.transpose(0, 1)
        steps, batch = input.shape[0], input.shape[1]
        data, state = self._run(input.reshape(steps * batch, -1), [batch] * steps, self._initial_state(hx, input, batch))
        output = data.reshape(steps, batch, -1)
        if not is_batched:
            return output.squeeze(1), (state[0].squeeze(1), state[1].squeeze(1))
        return (output.transpose(0, 1) if self.batch_first else output), state


LSTM = QuantLSTM
LSTMCell = QuantLSTMCell
