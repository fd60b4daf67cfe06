"""The classifier of "Attention Meets Post-hoc Interpretability" (Lopardo et al. 2024, arXiv 2402.03485, Section 2):
one attention layer with several heads, read at [cls], averaged over the heads' linear classifiers.

No residual, layer normalisation, bias, dropout or padding mask; `[cls]` stands at position 0 and texts are padded with
UNK, which takes attention as words do.
"""

import math

import torch

from ..errors import PlumblineError


class Head(torch.nn.Module):
    """One head's weights: query, key, value and classifier, no bias.

    Parameters
    ----------
    d_in : int
        Features of the embeddings.
    d_attn : int
        Features of queries and keys.
    d_out : int
        Features of values, which the classifier maps to 2.
    """

    def __init__(self, d_in, d_attn, d_out):
        super().__init__()
        self.query = torch.nn.Linear(d_in, d_attn, bias=False)
        self.key = torch.nn.Linear(d_in, d_attn, bias=False)
        self.value = torch.nn.Linear(d_in, d_out, bias=False)
        self.classifier = torch.nn.Linear(d_out, 2, bias=False)
        for layer in (self.query, self.key, self.value, self.classifier):
            torch.nn.init.uniform_(layer.weight, -0.1, 0.1)


class MultiHeadClassifier(torch.nn.Module):
    """The classifier: ids int64 (batch, T), padded with UNK, to raw logits float (batch, 2).

    The state dict has the published names (`embedding.weight`, `heads.{i}.{query,key,value,classifier}.weight`). The sinusoidal
    positions are computed and not in it. Weights are drawn in the reference's order, so that one seed gives its initial
    weights.

    Parameters
    ----------
    vocab_size : int
        Token ids.
    d_in, d_attn, d_out : int
        See `Head`.
    heads : int
        The number of heads.
    max_len : int
        T at most.

    Raises
    ------
    PlumblineError
        For an odd d_in.
    """

    def __init__(self, vocab_size, d_in, d_attn, d_out, heads, max_len):
        super().__init__()
        if d_in % 2:
            raise PlumblineError(f"d_in is {d_in}: sinusoidal positions need an even number")
        self.embedding = torch.nn.Embedding(vocab_size, d_in)
        self.heads = torch.nn.ModuleList(Head(d_in, d_attn, d_out) for _ in range(heads))
        self.register_buffer("positions", sinusoids(max_len, d_in), persistent=False)

    def stacked(self, name):
        """Stack the heads' weights of one layer.

        Parameters
        ----------
        name : {'query', 'key', 'value', 'classifier'}
            The layer.

        Returns
        -------
        torch.Tensor of float, shape (heads, out, in)
        """
        return torch.stack([getattr(head, name).weight for head in self.heads])

    def embedded(self, ids):
        """Compute word and position embeddings.

        Parameters
        ----------
        ids : torch.Tensor, int64, shape (batch, T)
            Token ids.

        Returns
        -------
        torch.Tensor of float, shape (batch, T, d_in)

        Raises
        ------
        PlumblineError
            For more tokens than the model has positions.
        """
        if ids.shape[-1] > len(self.positions):
            raise PlumblineError(
                f"{ids.shape[-1]} tokens are more than the model's {len(self.positions)}: cut the text"
            )
        return self.embedding(ids) + self.positions[: ids.shape[-1]]

    def keys_of_query(self, embedded):
        """Compute W_k^T q / sqrt(d_attn) of the [cls] query. Its product with e_t is a score.

        Parameters
        ----------
        embedded : torch.Tensor of float, shape (batch, T, d_in)
            e.

        Returns
        -------
        torch.Tensor of float, shape (batch, heads, d_in)
        """
        query, key = (self.stacked(name).to(embedded.dtype) for name in ("query", "key"))
        query = torch.einsum("bd,kad->bka", embedded[:, 0], query)
        return torch.einsum("bka,kad->bkd", query, key) / math.sqrt(self.heads[0].query.out_features)

    def readout(self, label=None):
        """Compute W_l W_v. Its product with e_t is what a value adds.

        Parameters
        ----------
        label : int, optional
            One label. None: both.

        Returns
        -------
        torch.Tensor of float, shape (heads, 2, d_in)
            Of one label (heads, d_in).
        """
        found = self.stacked("classifier") @ self.stacked("value")
        return found if label is None else found[:, label]

    def attention_of(self, embedded):
        """Compute the attention of [cls]: a softmax over all T positions, padding included.

        Parameters
        ----------
        embedded : torch.Tensor of float, shape (batch, T, d_in)
            Embeddings.

        Returns
        -------
        torch.Tensor of float, shape (batch, heads, T)
        """
        return torch.einsum("btd,bkd->bkt", embedded, self.keys_of_query(embedded)).softmax(-1)

    def head_logits(self, embedded):
        """Compute what each head says. Keys and values of T tokens are never formed: both are linear.

        Parameters
        ----------
        embedded : torch.Tensor of float, shape (batch, T, d_in)
            Embeddings.

        Returns
        -------
        torch.Tensor of float, shape (batch, heads, 2)
        """
        pooled = self.attention_of(embedded) @ embedded
        return torch.einsum("bkd,kcd->bkc", pooled, self.readout())

    def forward(self, ids):
        """Compute the logits, the mean over heads.

        Parameters
        ----------
        ids : torch.Tensor, int64, shape (batch, T)
            Token ids.

        Returns
        -------
        torch.Tensor of float, shape (batch, 2)
        """
        return self.head_logits(self.embedded(ids)).mean(1)

    @torch.no_grad()
    def full_attention(self, ids):
        """Compute the whole attention. The output reads row 0 alone.

        Parameters
        ----------
        ids : torch.Tensor, int64, shape (batch, T)
            Token ids.

        Returns
        -------
        torch.Tensor of float, shape (batch, heads, T, T)
            Rows are queries.
        """
        embedded = self.embedded(ids)
        query = torch.einsum("btd,kad->bkta", embedded, self.stacked("query"))
        key = torch.einsum("btd,kad->bkta", embedded, self.stacked("key"))
        return (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1)


def checked_ids(model, ids):
    """Check that the classifier can read ids.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    ids : torch.Tensor or array_like of int, shape (batch, T)
        Token ids.

    Returns
    -------
    torch.Tensor, int64, shape (batch, T)

    Raises
    ------
    PlumblineError
        For another model, weights that are not finite, and ids of another kind or shape, longer than the model's positions, or
        outside its vocabulary.
    """
    if not isinstance(model, MultiHeadClassifier):
        raise PlumblineError(f"the closed forms are the MultiHeadClassifier's: got {type(model).__name__}")
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise PlumblineError(
                f"the model's weights {name} are not finite: train it again or load another checkpoint"
            )
    if not isinstance(ids, torch.Tensor):
        try:
            ids = torch.as_tensor(ids)
        except (TypeError, ValueError, RuntimeError):
            raise PlumblineError(f"ids are {type(ids).__name__}: give an integer tensor (batch, T)") from None
    if ids.dtype == torch.bool or ids.is_floating_point() or ids.is_complex():
        raise PlumblineError(f"ids are of {ids.dtype}: give an integer tensor (batch, T)")
    if ids.ndim != 2 or not ids.shape[1]:
        raise PlumblineError(f"ids have the shape {tuple(ids.shape)}: give (batch, T), [cls] first")
    if ids.shape[1] > len(model.positions):
        raise PlumblineError(
            f"{ids.shape[1]} tokens are more than the model's {len(model.positions)}: cut the text"
        )
    count = model.embedding.num_embeddings
    if ids.numel() and not (int(ids.min()) >= 0 and int(ids.max()) < count):
        raise PlumblineError(
            f"ids reach from {int(ids.min())} to {int(ids.max())}: the vocabulary has 0 to {count - 1}"
        )
    return ids.long()


def sinusoids(length, width):
    """Compute PE[p, 2j] = sin(p w_j), PE[p, 2j + 1] = cos(p w_j), w_j = 10000^(-2j / width).

    Parameters
    ----------
    length : int
        The number of positions p.
    width : int
        Features, an even number.

    Returns
    -------
    torch.Tensor, float32, shape (length, width)
    """
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angles = torch.arange(length).unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(length, width)
