"""Vision Mamba (Vim; Zhu et al. 2024, arXiv 2401.09417) in plain PyTorch, with the published checkpoints' state dict.

Bidirectional Mamba blocks (v2, `div2`) over image patches, the class token in their middle, absolute positions, RMSNorm,
residual stream in single precision. The selective scan is vectorised over chunks of the sequence, and runs on any device.
"""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from ..errors import PlumblineError

CONVOLUTION = 4  # width of the causal convolution
EXPAND = 2  # channels of a mixer for each of the model's
# Numbers of a step's state from which on one step a token is faster than chunks, which compute each step twice.
AT_ONCE = 2**14


@dataclass
class Direction:
    """What one direction of one layer's scan reads, in its own order (the backward one reads the flipped sequence).

    Attributes
    ----------
    delta : torch.Tensor, shape (batch, channels, tokens)
        The step.
    A : torch.Tensor, shape (channels, N)
        Negative.
    B, C : torch.Tensor, shape (batch, N, tokens)
        What a token writes to the state, and what it reads of it.
    """

    delta: torch.Tensor
    A: torch.Tensor
    B: torch.Tensor
    C: torch.Tensor


@dataclass
class Layer:
    """One layer's trace.

    Attributes
    ----------
    residual : torch.Tensor, shape (batch, tokens, features)
        The stream that enters its norm.
    forward, backward : Direction
        The two scans.
    """

    residual: torch.Tensor
    forward: Direction
    backward: Direction


def chunked(sequence, chunk):
    """Cut a sequence into chunks, so that one step is taken over all of them. Zeros fill the last one.

    Parameters
    ----------
    sequence : torch.Tensor of float, shape (batch, rows, tokens)
        The sequence.
    chunk : int
        Tokens of a chunk.

    Returns
    -------
    torch.Tensor of float, shape (chunk, chunks, batch, rows)
    """
    steps = sequence.permute(2, 0, 1).contiguous()  # no copy of what lies so in memory
    padded = functional.pad(steps, (0, 0, 0, 0, 0, -len(steps) % chunk))
    return padded.unflatten(0, (-1, chunk)).transpose(0, 1)


def unchunked(steps, tokens):
    """Invert `chunked`.

    Parameters
    ----------
    steps : torch.Tensor of float, shape (chunk, chunks, batch, rows)
        As `chunked` returns it.
    tokens : int
        The length of the sequence.

    Returns
    -------
    torch.Tensor of float, shape (batch, rows, tokens)
    """
    return steps.transpose(0, 1).flatten(0, 1)[:tokens].permute(1, 2, 0)


def recurrence_(decay, drive):
    """Compute h_t = decay_t h_{t-1} + drive_t from h_{-1} = 0, in place of `drive`.

    It takes about 3 sqrt(tokens) steps over many chunks at once instead of one a token.

    Parameters
    ----------
    decay, drive : torch.Tensor of float, shape (chunk, chunks, ...)
        As `chunked` puts time.

    Returns
    -------
    torch.Tensor
        `drive`.
    """
    over = decay[0].clone()
    # Every chunk from a state of zero ...
    for step in range(1, len(drive)):
        drive[step].addcmul_(decay[step], drive[step - 1])
        over *= decay[step]
    # ... then the state at each chunk's end, one after the other ...
    for part in range(1, drive.shape[1]):
        drive[-1, part].addcmul_(over[part], drive[-1, part - 1])
    # ... which the steps inside the next chunk still lack.
    carried = drive[-1, :-1].clone()
    for step in range(len(drive) - 1):
        carried *= decay[step, 1:]
        drive[step, 1:] += carried
    return drive


def recurrence_from_end_(decay, drive):
    """Compute h_t = decay_{t+1} h_{t+1} + drive_t from the last token on, in place of `drive`.

    Parameters
    ----------
    decay, drive
        See `recurrence_`.

    Returns
    -------
    torch.Tensor
        `drive`.
    """
    over = decay[1:].prod(0)  # a chunk's decay from its end to its first step
    for step in range(len(drive) - 2, -1, -1):
        drive[step].addcmul_(decay[step + 1], drive[step + 1])
    for part in range(drive.shape[1] - 2, -1, -1):
        drive[0, part].addcmul_(over[part] * decay[0, part + 1], drive[0, part + 1])
    carried = decay[0, 1:] * drive[0, 1:]
    for step in range(len(drive) - 1, 0, -1):
        drive[step, :-1] += carried
        carried *= decay[step, :-1]
    return drive


class SelectiveScan(torch.autograd.Function):
    """The selective scan: h_t = exp(delta_t A) h_{t-1} + delta_t B_t x_t, y_t = C_t . h_t.

    Gu & Dao 2023, arXiv 2312.00752, eq. 2, with Euler's rule for B as in the published code. The states, N times as large as x,
    are formed for a few tokens at a time, and again for the gradient. Sums over products replace matrix products, which are too
    small here to pay.

    Parameters
    ----------
    x, delta : torch.Tensor of float, shape (batch, channels, tokens)
        Of `apply`: the input and the step.
    A : torch.Tensor of float, shape (channels, N)
        Negative.
    B, C : torch.Tensor of float, shape (batch, N, tokens)
        What a token writes to the state, and what it reads of it.

    Returns
    -------
    torch.Tensor of float, shape (batch, channels, tokens)
        y.
    """

    @staticmethod
    def _steps(x, delta, A, B, C):
        """delta, delta x, B, C by chunks, and A: each broadcasts to (chunk, chunks, batch, N, channels)."""
        chunk = math.isqrt(x.shape[-1] - 1) + 1
        if len(x) * A.numel() >= AT_ONCE:
            chunk = x.shape[-1]
        delta, drive = (chunked(item, chunk)[..., None, :] for item in (delta, delta * x))
        B, C = (chunked(item, chunk)[..., None] for item in (B, C))
        return delta, drive, A.mT.contiguous(), B, C

    @staticmethod
    def forward(ctx, x, delta, A, B, C):
        """Compute y.

        Parameters
        ----------
        ctx : torch.autograd.function.FunctionCtx
            Keeps the inputs for `backward`.
        x, delta, A, B, C
            See the class.

        Returns
        -------
        torch.Tensor of float, shape (batch, channels, tokens)
        """
        ctx.save_for_backward(x, delta, A, B, C)
        delta, drive, A, B, C = SelectiveScan._steps(x, delta, A, B, C)
        start = torch.zeros_like(drive[0] * B[0])
        if len(start) > 1:
            # What a chunk adds to the state, from zero; then the state at each chunk's start.
            state = drive[0] * B[0]
            for step in range(1, len(drive)):
                state.mul_((delta[step] * A).exp_()).addcmul_(drive[step], B[step])
            over = (delta.sum(0) * A).exp_()
            for part in range(1, len(state)):
                torch.addcmul(state[part - 1], over[part - 1], start[part - 1], out=start[part])
        # Every step from there.
        y = torch.empty_like(drive)
        for step in range(len(drive)):
            start.mul_((delta[step] * A).exp_()).addcmul_(drive[step], B[step])
            torch.sum(C[step] * start, -2, keepdim=True, out=y[step])
        return unchunked(y[..., 0, :], x.shape[-1])

    @staticmethod
    def backward(ctx, gradient):
        """Compute the gradients of the inputs.

        Parameters
        ----------
        ctx : torch.autograd.function.FunctionCtx
            Of `forward`.
        gradient : torch.Tensor of float, shape (batch, channels, tokens)
            With respect to y.

        Returns
        -------
        tuple of torch.Tensor or None
            With respect to x, delta, A, B and C. None for A, B or C that needs none.
        """
        x, delta, A, B, C = ctx.saved_tensors
        tokens, needs = x.shape[-1], ctx.needs_input_grad
        steps, drive, rates, inputs, outputs = SelectiveScan._steps(x, delta, A, B, C)
        decay = (steps * rates).exp_()
        states = recurrence_(decay, drive * inputs)
        down = chunked(gradient, len(steps))[..., None, :]
        to_C = unchunked((states * down).sum(-1), tokens) if needs[4] else None
        # The gradient of h_t is C_t dy_t + decay_{t+1} times that of h_{t+1}: the same recurrence from the end.
        to_states = recurrence_from_end_(decay, down * outputs)
        to_input = unchunked((inputs * to_states).sum(-2), tokens)  # of delta x
        to_B = unchunked((to_states * drive).sum(-1), tokens) if needs[3] else None
        # Of delta A: decay_t h_{t-1} times the gradient of h_t, in place, since fresh memory costs more than the products.
        to_exponent = decay
        to_exponent[1:] *= states[:-1]
        to_exponent[0, 1:] *= states[-1, :-1]
        to_exponent[0, 0] = 0
        to_exponent *= to_states
        to_A = (to_exponent * steps).sum((0, 1, 2)).mT if needs[2] else None
        to_delta = unchunked((to_exponent * rates).sum(-2), tokens) + to_input * x
        return to_input * delta, to_delta, to_A, to_B, to_C


class RMSNorm(torch.nn.Module):
    """Root-mean-square norm: x / sqrt(mean x^2 + eps) * weight over the last dimension (Zhang & Sennrich 2019).

    Parameters
    ----------
    width : int
        The size of the last dimension.
    eps : float
        Added to the mean.
    """

    def __init__(self, width, eps=1e-5):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        """Norm vectors.

        Parameters
        ----------
        x : torch.Tensor of float, shape (..., width)
            The vectors.

        Returns
        -------
        torch.Tensor of float, shape (..., width)
        """
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


class Mixer(torch.nn.Module):
    """Two selective scans, forward and backward, between one input and one output projection.

    Parameters
    ----------
    width : int
        d, features of a token.
    d_state : int
        N, states of a channel.
    """

    def __init__(self, width, d_state):
        super().__init__()
        inner, self.rank, self.d_state = EXPAND * width, math.ceil(width / 16), d_state
        self.in_proj = torch.nn.Linear(width, 2 * inner, bias=False)
        for end in ("", "_b"):
            convolution = torch.nn.Conv1d(
                inner, inner, CONVOLUTION, groups=inner, padding=CONVOLUTION - 1, bias=True
            )
            setattr(self, f"conv1d{end}", convolution)
            setattr(self, f"x_proj{end}", torch.nn.Linear(inner, self.rank + 2 * d_state, bias=False))
            setattr(self, f"dt_proj{end}", _step_projection(self.rank, inner))
            rates = torch.arange(1, d_state + 1, dtype=torch.float32).log().repeat(inner, 1)
            setattr(self, f"A{end}_log", torch.nn.Parameter(rates))
            setattr(self, f"D{end}", torch.nn.Parameter(torch.ones(inner)))
        self.out_proj = torch.nn.Linear(inner, width, bias=False)

    def forward(self, x):
        """Mix tokens.

        Parameters
        ----------
        x : torch.Tensor of float, shape (batch, tokens, d)
            The normed stream.

        Returns
        -------
        output : torch.Tensor of float, shape (batch, tokens, d)
            What is added to the stream.
        forward, backward : Direction
            What the two scans read.
        """
        x, gate = self.in_proj(x.transpose(0, 1)).chunk(2, dim=-1)
        there, forward = self._scan(x, "")
        back, backward = self._scan(x.flip(0), "_b")
        return self._joined(there, back.flip(0), gate).transpose(0, 1), forward, backward

    def at(self, x, token):
        """Mix one token alone: each scan ends there.

        Parameters
        ----------
        x : torch.Tensor of float, shape (batch, tokens, d)
            The normed stream.
        token : int
            Which.

        Returns
        -------
        torch.Tensor of float, shape (batch, d)
            What `forward` adds to the stream at the token.
        """
        x, gate = self.in_proj(x.transpose(0, 1)).chunk(2, dim=-1)
        there, _ = self._scan(x[: token + 1], "")
        back, _ = self._scan(x[token:].flip(0), "_b")
        return self._joined(there[-1], back[-1], gate[token])

    def _joined(self, there, back, gate):
        # The gate is not convolved: gating the flipped sequence and flipping back is gating it here.
        return self.out_proj((there + back) * functional.silu(gate) / 2)

    def _scan(self, x, end):
        """One direction before its gate, (tokens, batch, channels), and its Direction.

        Each token's features lie together in memory, token after token: so nothing is copied for the linear layers or the scan.
        """
        x = functional.silu(_convolved(x, getattr(self, f"conv1d{end}")))
        read = getattr(self, f"x_proj{end}")(x)
        step, B, C = read.split([self.rank, self.d_state, self.d_state], dim=-1)
        delta = functional.softplus(getattr(self, f"dt_proj{end}")(step.contiguous()))
        delta, B, C = (item.permute(1, 2, 0) for item in (delta, B, C))
        found = Direction(delta, -getattr(self, f"A{end}_log").exp(), B, C)
        y = SelectiveScan.apply(x.permute(1, 2, 0), found.delta, found.A, found.B, found.C)
        return y.permute(2, 0, 1) + getattr(self, f"D{end}") * x, found


def _convolved(x, layer):
    """A causal convolution over tokens, (tokens, batch, channels), of each channel by itself."""
    tokens, padded = len(x), functional.pad(x, (0, 0, 0, 0, CONVOLUTION - 1, 0))
    found = layer.bias
    for offset, weight in enumerate(layer.weight[:, 0].T.contiguous()):
        found = torch.addcmul(found, padded[offset : offset + tokens], weight)
    return found


def _step_projection(rank, inner):
    """Mamba's initial step projection: its bias gives steps of 0.001 to 0.1, spread evenly in their logarithm."""
    layer = torch.nn.Linear(rank, inner)
    torch.nn.init.uniform_(layer.weight, -(rank**-0.5), rank**-0.5)
    steps = torch.exp(torch.rand(inner) * (math.log(0.1) - math.log(0.001)) + math.log(0.001))
    with torch.no_grad():
        layer.bias.copy_(steps + torch.log(-torch.expm1(-steps)))  # the inverse of softplus
    return layer


class Block(torch.nn.Module):
    """One layer: a norm and the mixer behind it.

    Parameters
    ----------
    width, d_state
        See `Mixer`.
    """

    def __init__(self, width, d_state):
        super().__init__()
        self.mixer = Mixer(width, d_state)
        self.norm = RMSNorm(width)


class PatchEmbedding(torch.nn.Module):
    """One vector a patch, by a convolution.

    Parameters
    ----------
    channels : int
        Of an image.
    width : int
        d, features of a token.
    patch_size : int
        The side of a patch in pixels.
    """

    def __init__(self, channels, width, patch_size):
        super().__init__()
        self.proj = torch.nn.Conv2d(channels, width, patch_size, stride=patch_size)

    def forward(self, images):
        """Embed images.

        Parameters
        ----------
        images : torch.Tensor of float, shape (batch, channels, image_size, image_size)
            Normalised.

        Returns
        -------
        torch.Tensor of float, shape (batch, patches, d)
        """
        return self.proj(images).flatten(2).mT


class VisionMamba(torch.nn.Module):
    """Images (batch, channels, image_size, image_size), normalised, to logits (batch, classes).

    The state dict is the published one (hustvl/Vim, `..._bimambav2_final_pool_mean_abs_pos_embed_with_midclstok_div2`; despite
    that name the class token is what is read). Patches are numbered row by row. The class token stands before patch number
    patches // 2.

    Parameters
    ----------
    image_size, patch_size : int
        Sides in pixels.
    depth : int
        Layers.
    embed_dim : int
        d, features of a token.
    classes : int
        Logits.
    channels : int
        Of an image.
    d_state : int
        N, states of a channel.

    Raises
    ------
    PlumblineError
        Where the patches do not tile the image.
    """

    def __init__(self, image_size, patch_size, depth, embed_dim, classes, channels=3, d_state=16):
        super().__init__()
        if image_size % patch_size:
            raise PlumblineError(f"patches of {patch_size} do not tile an image of {image_size}")
        self.grid = image_size // patch_size
        self.class_position = self.grid**2 // 2
        self.patch_embed = PatchEmbedding(channels, embed_dim, patch_size)
        self.cls_token = torch.nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = torch.nn.Parameter(torch.zeros(1, self.grid**2 + 1, embed_dim))
        self.layers = torch.nn.ModuleList(Block(embed_dim, d_state) for _ in range(depth))
        self.norm_f = RMSNorm(embed_dim)
        self.head = torch.nn.Linear(embed_dim, classes)
        self._initialise()

    def _initialise(self):
        for weight in (self.cls_token, self.pos_embed, self.head.weight):
            torch.nn.init.trunc_normal_(weight, std=0.02)
        torch.nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            for block in self.layers:
                # The residual stream is a sum over layers: of more layers, each adds less.
                block.mixer.out_proj.weight /= math.sqrt(len(self.layers))

    def embedded(self, images):
        """Compute patch, class and position embeddings.

        Parameters
        ----------
        images : torch.Tensor of float, shape (batch, channels, image_size, image_size)
            Normalised.

        Returns
        -------
        torch.Tensor of float, shape (batch, patches + 1, d)
        """
        patches, middle = self.patch_embed(images), self.class_position
        token = self.cls_token.expand(len(patches), -1, -1)
        return torch.cat([patches[:, :middle], token, patches[:, middle:]], dim=1) + self.pos_embed

    def features(self, images, trace=None):
        """Compute the class token after the last norm.

        Parameters
        ----------
        images : torch.Tensor of float, shape (batch, channels, image_size, image_size)
            Normalised.
        trace : list, optional
            A `Layer` a block is appended to it.

        Returns
        -------
        torch.Tensor of float, shape (batch, d)
        """
        hidden, residual = self.embedded(images).transpose(0, 1).contiguous().transpose(0, 1), 0
        if trace is not None and torch.is_grad_enabled() and not hidden.requires_grad:
            hidden.requires_grad_()  # of frozen weights: so that gradients reach the first residual
        for block in self.layers:
            residual = hidden + residual
            normed = block.norm(residual)
            # The class token alone is read, so that the last layer mixes for it alone where nothing else is asked for.
            if trace is None and block is self.layers[-1]:
                mixed = block.mixer.at(normed, self.class_position)
            else:
                hidden, forward, backward = block.mixer(normed)
                mixed = hidden[:, self.class_position]
            if trace is not None:
                trace.append(Layer(residual, forward, backward))
        return self.norm_f(residual[:, self.class_position] + mixed)

    def forward(self, images, trace=None):
        """Compute the logits.

        Parameters
        ----------
        images, trace
            See `features`.

        Returns
        -------
        torch.Tensor of float, shape (batch, classes)
        """
        return self.head(self.features(images, trace))
