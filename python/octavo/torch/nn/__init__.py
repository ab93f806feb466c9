"""Quantized modules by the names of NVIDIA's pytorch-quantization: layers, `TensorQuantizer`, `Clip`; see docs/python-manual.md."""

from . import functional as functional
from .modules._utils import QuantInputMixin as QuantInputMixin
from .modules._utils import QuantMixin as QuantMixin
from .modules.clip import *
from .modules.quant_conv import *
from .modules.quant_instancenorm import *
from .modules.quant_linear import *
from .modules.quant_pooling import *
from .modules.quant_rnn import *
from .modules.tensor_quantizer import *
