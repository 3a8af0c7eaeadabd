"""A non-autoregressive semantic parser with span pointers: all frames of the answer are written at once.

The encoder reads the words; a length module says how many frames the answer has; the decoder starts from that many mask
tokens, which look at each other and at the words, and each gives a frame and two pointers into the words, to the first
and the last word of its span.

Symbols in shapes: B utterances, T words, L frames, E and D the widths of encoder and decoder, F the labels of frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}
HIDDEN = -1e4  # a logit that is never chosen, and still finite in half precision


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What decides the network's shape. Heads and kernels matter only for the layers that have them."""

    words: int
    frames: int
    max_words: int
    max_frames: int
    embedding_width: int
    encoder: str
    encoder_layers: int
    encoder_width: int
    encoder_feedforward: int
    encoder_heads: int
    encoder_kernel: int
    decoder_layers: int
    decoder_width: int
    decoder_feedforward: int
    decoder_heads: int
    decoder_mixing: str
    decoder_kernel: int
    activation: str
    share_layers: bool
    pointer_width: int
    length_width: int
    dropout: float


class Output(NamedTuple):
    """What the network says.

    Attributes:
        length: `B x L`, logits of 1 to L frames.
        frames: `B x L x F`, logits.
        first, last: `B x L x T`, logits of the span's ends.
    """

    length: Tensor
    frames: Tensor
    first: Tensor
    last: Tensor


def waves(length: int, width: int) -> Tensor:
    """Return sines and cosines of positions, `length x width`: what position embeddings start from."""
    place = torch.arange(length).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    return torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=2).reshape(length, -1)[:, :width] * 0.3


class Attention(nn.Module):
    """Scaled dot-product attention of several heads."""

    def __init__(self, width: int, memory_width: int, heads: int) -> None:
        """Make a layer whose queries have `width` channels, and its keys and values `memory_width`."""
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(memory_width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Tensor, hidden: Tensor) -> Tensor:
        """Return `B x Q x width` for x of that shape; `hidden`, `B x 1 x 1 x K`, is added to the scores."""
        batch, queries, width = x.shape
        depth = width // self.heads
        query = (self.query(x) * depth**-0.5).view(batch, queries, self.heads, depth).transpose(1, 2)
        pairs = self.key_value(memory).view(batch, -1, 2, self.heads, depth)
        key, value = pairs[:, :, 0].permute(0, 2, 3, 1), pairs[:, :, 1].transpose(1, 2)
        weights = torch.softmax(query @ key + hidden, dim=-1)
        return self.out((weights @ value).transpose(1, 2).reshape(batch, queries, width))


class Convolution(nn.Module):
    """A light convolution: a gate, one filter a channel over the neighbours, and a mix of channels."""

    def __init__(self, width: int, kernel: int) -> None:
        """Make a layer that sees `kernel` positions."""
        super().__init__()
        self.gate = nn.Linear(width, 2 * width)
        self.filter = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, shown: Tensor) -> Tensor:
        """Return `B x N x width`; where `shown`, `B x N x 1`, is 0, nothing is seen."""
        x = functional.glu(self.gate(x), dim=-1) * shown
        return self.out(self.filter(x.transpose(1, 2)).transpose(1, 2))


class FeedForward(nn.Sequential):
    """Two linear layers with an activation between."""

    def __init__(self, width: int, inner: int, activation: str) -> None:
        """Make them with `inner` channels between."""
        super().__init__(nn.Linear(width, inner), ACTIVATIONS[activation](), nn.Linear(inner, width))


class EncoderLayer(nn.Module):
    """Mixes positions by convolution, attention or both, then each by itself; norms come first."""

    def __init__(self, config: ModelConfig) -> None:
        """Make the layer."""
        super().__init__()
        width = config.encoder_width
        self.convolution = self.attention = None
        if config.encoder in ("convolution", "hybrid"):
            self.convolution_norm = nn.LayerNorm(width)
            self.convolution = Convolution(width, config.encoder_kernel)
        if config.encoder in ("attention", "hybrid"):
            self.attention_norm = nn.LayerNorm(width)
            self.attention = Attention(width, width, config.encoder_heads)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = FeedForward(width, config.encoder_feedforward, config.activation)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, shown: Tensor, hidden: Tensor) -> Tensor:
        """Return `B x T x E`."""
        if self.convolution is not None:
            x = x + self.drop(self.convolution(self.convolution_norm(x), shown))
        if self.attention is not None:
            y = self.attention_norm(x)
            x = x + self.drop(self.attention(y, y, hidden))
        return x + self.drop(self.feed(self.feed_norm(x)))


class DecoderLayer(nn.Module):
    """Mixes the frames, looks at the words, then each frame by itself."""

    def __init__(self, config: ModelConfig) -> None:
        """Make the layer."""
        super().__init__()
        width = config.decoder_width
        self.mix_norm, self.cross_norm, self.feed_norm = (nn.LayerNorm(width) for _ in range(3))
        self.convolves = config.decoder_mixing == "convolution"
        self.mix = (
            Convolution(width, config.decoder_kernel)
            if self.convolves
            else Attention(width, width, config.decoder_heads)
        )
        self.cross = Attention(width, config.encoder_width, config.decoder_heads)
        self.feed = FeedForward(width, config.decoder_feedforward, config.activation)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, shown: Tensor, hidden: Tensor, memory: Tensor, memory_hidden: Tensor) -> Tensor:
        """Return `B x L x D`."""
        y = self.mix_norm(x)
        x = x + self.drop(self.mix(y, shown) if self.convolves else self.mix(y, y, hidden))
        x = x + self.drop(self.cross(self.cross_norm(x), memory, memory_hidden))
        return x + self.drop(self.feed(self.feed_norm(x)))


def stack(layer: type[nn.Module], config: ModelConfig, count: int) -> nn.ModuleList:
    """Return layers; with `share_layers`, they are one layer that is gone through several times."""
    layers = [layer(config) for _ in range(1 if config.share_layers else count)]
    return nn.ModuleList(layers[at % len(layers)] for at in range(count))


class Parser(nn.Module):
    """The whole network."""

    def __init__(self, config: ModelConfig) -> None:
        """Make it with random weights."""
        super().__init__()
        self.config = config
        encoder, decoder, pointer = config.encoder_width, config.decoder_width, config.pointer_width
        self.word = nn.Embedding(config.words, config.embedding_width, padding_idx=0)
        nn.init.normal_(self.word.weight, std=0.5)
        self.word_in = nn.Linear(config.embedding_width, encoder)
        self.word_place = nn.Parameter(waves(config.max_words, encoder))
        self.encoder = stack(EncoderLayer, config, config.encoder_layers)
        self.encoder_norm = nn.LayerNorm(encoder)
        self.length_in = nn.Linear(encoder, config.length_width)
        self.length_out = nn.Linear(2 * config.length_width, config.max_frames)
        self.activation = ACTIVATIONS[config.activation]()
        self.mask = nn.Parameter(waves(config.max_frames, decoder))
        self.mask_length = nn.Embedding(config.max_frames + 1, decoder)
        nn.init.normal_(self.mask_length.weight, std=0.1)
        self.decoder = stack(DecoderLayer, config, config.decoder_layers)
        self.decoder_norm = nn.LayerNorm(decoder)
        self.frame_out = nn.Linear(decoder, config.frames)
        self.pointer_query = nn.Linear(decoder, 2 * pointer)
        self.pointer_key = nn.Linear(encoder, 2 * pointer)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, words: Tensor, length: Tensor | None = None) -> Output:
        """Return the answer for words, `B x T`, 0 behind the last one.

        Args:
            words: their numbers.
            length: `B`, how many frames to write; without it, as many as the length module says.
        """
        shown = (words != 0).to(self.mask.dtype)
        hidden = (1 - shown)[:, None, None] * HIDDEN
        x = self.drop(self.word_in(self.word(words)) + self.word_place[: words.shape[1]])
        for layer in self.encoder:
            x = layer(x, shown[:, :, None], hidden)
        memory = self.encoder_norm(x)
        length_logits = self.lengths(memory, shown[:, :, None])
        if length is None:
            length = length_logits.argmax(dim=1) + 1
            longest = self.config.max_frames
        else:
            longest = int(length.max())
        places = torch.arange(longest, device=words.device)
        frame_shown = (places[None] < length[:, None]).to(shown.dtype)
        frame_hidden = (1 - frame_shown)[:, None, None] * HIDDEN
        y = self.drop(self.mask[:longest] + self.mask_length(length)[:, None])
        for layer in self.decoder:
            y = layer(y, frame_shown[:, :, None], frame_hidden, memory, hidden)
        y = self.decoder_norm(y)
        first, last = self.pointers(y, memory, hidden[:, 0])
        return Output(length_logits, self.frame_out(y), first, last)

    def lengths(self, memory: Tensor, shown: Tensor) -> Tensor:
        """Return `B x L`, logits of 1 to L frames, from the sum and the maximum over words."""
        each = self.activation(self.length_in(memory))
        total, most = (each * shown).sum(dim=1), (each + (1 - shown) * HIDDEN).amax(dim=1)
        return self.length_out(torch.cat([total * 0.2, most], dim=1))

    def pointers(self, y: Tensor, memory: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of the spans' first and last words, `B x L x T` each."""
        scale = self.config.pointer_width**-0.5
        queries = (self.pointer_query(y) * scale).chunk(2, dim=2)
        keys = self.pointer_key(memory).chunk(2, dim=2)
        first, last = (query @ key.transpose(1, 2) + hidden for query, key in zip(queries, keys, strict=True))
        return first, last
