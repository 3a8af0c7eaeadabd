"""ONNX operators, and the kind of step that each is."""

from __future__ import annotations

#: Operators whose kind is their name's, whatever they are applied to.
PLAIN = {
    "BatchNormalization": "batch_norm",
    "LayerNormalization": "layer_norm",
    "InstanceNormalization": "layer_norm",
    "GroupNormalization": "layer_norm",
    "RMSNormalization": "layer_norm",
    "LpNormalization": "layer_norm",
    "LRN": "layer_norm",
    "Relu": "relu",
    "Clip": "relu6",
    "HardSwish": "hard_swish",
    "HardSigmoid": "hard_sigmoid",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Swish": "silu",
    "Gelu": "gelu",
    **dict.fromkeys(
        ("Elu", "Selu", "Celu", "LeakyRelu", "PRelu", "ThresholdedRelu", "Softplus", "Softsign", "Mish"), "activation"
    ),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), "softmax"),
    **dict.fromkeys(
        (
            *("Sub", "Div", "Pow", "Sqrt", "Exp", "Log", "Neg", "Abs", "Reciprocal", "Erf", "Mod", "Cast", "CastLike"),
            *("Floor", "Ceil", "Round", "Sign", "Sin", "Cos", "Where", "Not", "And", "Or", "Xor", "IsNaN"),
            *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Atan", "CumSum"),
        ),
        "elementwise",
    ),
    **dict.fromkeys(("Min", "Max", "Mean"), "elementwise"),
    "MaxPool": "max_pool",
    "LpPool": "avg_pool",
    "AveragePool": "avg_pool",
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), "global_avg_pool"),
    **dict.fromkeys(
        ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSumExp"),
        "reduce",
    ),
    **dict.fromkeys(("ReduceSumSquare", "ArgMax", "ArgMin", "TopK"), "reduce"),
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), "reshape"),
    **dict.fromkeys(("Transpose", "DepthToSpace", "SpaceToDepth"), "transpose"),
    "Concat": "concat",
    **dict.fromkeys(
        ("Slice", "Split", "Gather", "GatherElements", "GatherND", "ScatterND", "ScatterElements"), "gather"
    ),
    "Pad": "pad",
    **dict.fromkeys(("Resize", "Upsample"), "resize"),
    **dict.fromkeys(("Expand", "Tile"), "expand"),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"), "quantise"),
}
#: Those that `_onnx_steps` looks into.
SPECIAL = ("Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN", "Add", "Sum", "Mul")
#: Those that a runtime leaves out.
NOTHING = frozenset({"Identity", "Dropout"})
#: Those whose value depends on shapes alone, which are fixed.
OF_SHAPES = frozenset({"Constant", "ConstantOfShape", "Shape", "Size", "Range"})
#: Kinds that read all of their constants; a table that is looked up in is not read whole, and a bound is no work.
WITH_WEIGHTS = frozenset(
    {
        *("convolution 1x1", "convolution kxk", "convolution grouped", "convolution depthwise"),
        *("convolution transposed", "linear", "recurrent", "batch_norm", "layer_norm", "activation"),
        *("elementwise", "add", "mul"),
    }
)
