"""From rows of text to token ids: tokenisers trained on generated corpora, and tokenised examples."""

from dataclasses import dataclass
from itertools import islice

import numpy as np

from ..errors import PlumblineError

MASK_WORD = "***mask***"
BYTE_LEVEL = ("roberta", "xlm-roberta", "camembert")
SEGMENTED = (
    "bert",
    "electra",
    "albert",
)  # architectures with token types, by which a pair's texts are told apart
# Examples of a block: what a job has in hand at once, and the unit of shards.
BLOCK = 256


def train_tokenizer(architecture, texts, vocabulary):
    """Train a fast tokeniser: WordPiece (lower case), or byte-level BPE for the RoBERTa family.

    Parameters
    ----------
    architecture : str
        A key of `architectures.ARCHITECTURES`.
    texts : iterable of str
        The corpus.
    vocabulary : int
        Its size at most, special tokens included.

    Returns
    -------
    transformers.PreTrainedTokenizerFast
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    texts = [text.replace(MASK_WORD, "") for text in texts]
    if architecture in BYTE_LEVEL:
        special = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=list(special.values()),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        first, last = "<s>", "</s>"
    else:
        special = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        # The trainer numbers continuing letters as its hash map yields them, which differs from run to run and
        # decides ties; named beforehand, they have fixed numbers.
        continuing = _continuing(tokenizer, texts)
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocabulary, special_tokens=[*special.values(), *continuing], show_progress=False
        )
        first, last = "[CLS]", "[SEP]"
    tokenizer.train_from_iterator(texts, trainer)
    if architecture not in BYTE_LEVEL:
        tokenizer = _without_added(tokenizer, special)
    if architecture in BYTE_LEVEL:
        pair = f"{first} $A {last} {last} $B {last}"
    else:
        second = int(architecture in SEGMENTED)
        pair = f"{first} $A {last} $B:{second} {last}:{second}"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=pair,
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (first, last)],
    )
    names = {f"{name}_token": token for name, token in special.items()}
    names |= {"cls_token": first, "sep_token": last}
    inputs = ["input_ids", *["token_type_ids"] * (architecture in SEGMENTED), "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=512, model_input_names=inputs, **names
    )


def _continuing(tokenizer, texts):
    """Sorted `##x` for every letter x that stands inside a word."""
    found = set()
    for written in {word for text in texts for word in text.split()}:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(written)):
            found.update(word[1:])
    return [f"##{letter}" for letter in sorted(found)]


def _without_added(tokenizer, special):
    """The same WordPiece tokeniser with `special` alone as added tokens, not the continuing letters."""
    from tokenizers import Tokenizer, models

    fresh = Tokenizer(models.WordPiece(vocab=tokenizer.get_vocab(), unk_token=special["unk"]))
    fresh.normalizer, fresh.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    fresh.decoder = tokenizer.decoder
    fresh.add_special_tokens(list(special.values()))
    return fresh


def special_ids(tokenizer):
    """List the special tokens' ids as the Python API takes them.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
        The tokeniser.

    Returns
    -------
    dict of str to int or None
        cls, sep, mask, pad -> id.
    """
    return {name: getattr(tokenizer, f"{name}_token_id") for name in ("cls", "sep", "mask", "pad")}


@dataclass(frozen=True)
class Tokenised:
    """One example.

    Attributes
    ----------
    id : int
        Id of the example.
    ids : numpy.ndarray, int64, shape (n,)
        Token ids, with special tokens.
    position : int
        The position that is read out.
    label : int
        Index of the class.
    rationale : numpy.ndarray, float32, shape (n,), or None
        None where the data has none.
    cut : int
        Tokens that a limit cut off its end.
    types : numpy.ndarray, int64, shape (n,), or None
        The token types of a pair. None where all tokens are of one segment.
    """

    id: int
    ids: np.ndarray
    position: int
    label: int
    rationale: np.ndarray | None
    cut: int = 0
    types: np.ndarray | None = None


def tokenise(rows, tokenizer, *, limit, segments=1, max_tokens=None, too_long="error", where="the data"):
    """Tokenise rows of data, in their order. Rows with text_pair are pairs.

    Parameters
    ----------
    rows : list of dict
        Of schemas/artefacts/data.yaml.
    tokenizer : transformers.PreTrainedTokenizerFast
        The model's tokeniser.
    limit : int
        The model's longest input, special tokens included.
    segments : int
        How many the model tells apart (`encoders.segments`). Of one, pairs have no token types.
    max_tokens : int, optional
        A lower limit, special tokens included. None: `limit`.
    too_long : {'error', 'skip', 'truncate'}
        What to do above max_tokens. 'skip' is as published.
    where : str
        Named in messages.

    Returns
    -------
    list of Tokenised

    Raises
    ------
    PlumblineError
        For an empty text, a text too long, a pair whose second text a limit leaves nothing of, an agreement mask that got lost,
        or a tokeniser that knows fewer than half of the tokens: it belongs to another model.
    """
    most = min(limit, max_tokens or limit)
    for row in rows:
        if not all((text or "").strip() for text in texts_of(row)):
            raise PlumblineError(
                f"{where}: the text of example {row['id']} is empty: remove the row from the source"
            )
    if tokenizer.mask_token is None and any("mask_index" in row for row in rows):
        raise PlumblineError(
            f"{where}: the model's tokeniser has no mask token, which agreement is read at: choose another model"
        )
    mask = tokenizer.mask_token or MASK_WORD
    texts = [tuple(text.replace(MASK_WORD, mask) for text in texts_of(row)) for row in rows]
    typed = segments > 1 and any(len(text) > 1 for text in texts)
    encoded = tokenizer(
        *(list(column) for column in zip(*texts, strict=True)),
        return_offsets_mapping=True,
        return_token_type_ids=typed,
        verbose=False,
    )
    _check_known(encoded, tokenizer, where)
    found = []
    for index, (row, text) in enumerate(zip(rows, texts, strict=True)):
        ids, offsets = encoded["input_ids"][index], encoded["offset_mapping"][index]
        types = encoded["token_type_ids"][index] if typed else None
        # Which of two texts a token is of. To ask takes as long as to tokenise.
        which = encoded.sequence_ids(index) if len(text) > 1 else [0] * len(ids)
        cut = max(0, len(ids) - most)
        if cut and too_long == "skip":
            continue
        if cut and too_long == "error":
            raise PlumblineError(
                f"{where}: example {row['id']} has {len(ids)} tokens, the limit is {most}: set max_tokens in the "
                "model's block, and longer examples are skipped, or cut where the run says `longer`"
            )
        if cut:
            # The end goes, but for the special token that closes every input.
            ids, offsets, which = ([*values[: most - 1], values[-1]] for values in (ids, offsets, which))
            types = types and [*types[: most - 1], types[-1]]
            if len(text) > 1 and 1 not in which:
                raise PlumblineError(
                    f"{where}: {most} tokens leave nothing of the second text of example {row['id']}: raise max_tokens"
                )
        ids = np.array(ids, dtype=np.int64)
        position, rationale = 0, row.get("rationale")
        if "mask_index" in row:
            places = np.flatnonzero(ids == tokenizer.mask_token_id)
            if len(places) != 1:
                raise PlumblineError(
                    f"{where}: example {row['id']} has {len(places)} masks after tokenisation, not 1"
                )
            position = int(places[0])
        if rationale is not None:
            rationale = token_rationale(text, rationale, offsets, which)
        types = np.array(types, dtype=np.int64) if types and any(types) else None
        found.append(Tokenised(row["id"], ids, position, row["label"], rationale, cut, types))
    return found


def texts_of(row):
    """Select the texts of a row of data.

    Parameters
    ----------
    row : mapping
        A row.

    Returns
    -------
    tuple of str
        Two of a pair, else one.
    """
    return tuple(row[name] for name in ("text", "text_pair") if name in row)


def _check_known(encoded, tokenizer, where):
    """PlumblineError where most of the tokens of all texts are the one for unknown words."""
    unknown = tokens = 0
    unknown_id = tokenizer.unk_token_id  # looked up anew at every access
    for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
        words = [token for token, (start, end) in zip(ids, offsets, strict=True) if end > start]
        tokens += len(words)
        unknown += words.count(unknown_id)
    if 2 * unknown > tokens:
        raise PlumblineError(
            f"{where}: the model's tokeniser knows none of {unknown} of {tokens} tokens ({tokenizer.unk_token}): take the "
            "tokeniser that came with the model, or a model of the texts' language"
        )


def token_rationale(texts, flags, offsets, which):
    """Carry word flags to tokens. Words are those of the texts' text.split(), one text after the other.

    Parameters
    ----------
    texts : sequence of str
        Of one example, two of a pair.
    flags : sequence of bool
        One a word.
    offsets : sequence of tuple of int
        (start, end) of every token in its text. Special tokens have start == end.
    which : sequence of int or None
        The number of each token's text. Special tokens may have None.

    Returns
    -------
    numpy.ndarray, float32, shape (n,)
        0 at special tokens.
    """
    places, word = [], 0
    for text in texts:
        word_at, start = np.full(len(text) + 1, -1), 0
        for piece in text.split():
            start = text.index(piece, start)
            word_at[start : start + len(piece)] = word
            start += len(piece)
            word += 1
        places.append(word_at)
    # A byte-level token's offsets may begin at the blank before it, so its last character tells the word.
    return np.array(
        [
            float(end > begin and flags[places[text or 0][end - 1]])
            for (begin, end), text in zip(offsets, which, strict=True)
        ],
        dtype=np.float32,
    )


def blocks(examples, size=BLOCK):
    """Split examples into consecutive blocks. Batches never cross a block, so sharding by whole blocks changes no byte.

    Parameters
    ----------
    examples : iterable
        Of anything.
    size : int
        Examples of a block.

    Yields
    ------
    list
    """
    examples = iter(examples)
    while block := list(islice(examples, size)):
        yield block


def block_range(examples, shard, where, size=BLOCK):
    """Choose the examples of one shard: whole blocks, and nearly as many as another shard has.

    Parameters
    ----------
    examples : int
        How many there are.
    shard : tuple of int or None
        (number of the shard, number of shards). None: all examples.
    where : str
        Named in the message.
    size : int
        Examples of a block.

    Returns
    -------
    first, stop : int
        The first example, and the one after the last.

    Raises
    ------
    PlumblineError
        Where there are more shards than blocks.
    """
    number, shards = shard or (0, 1)
    count = -(-examples // size)
    if shards > max(count, 1):
        raise PlumblineError(
            f"{where}: {examples} examples, in blocks of {size}, are too few for {shards} shards: set the run's `shards` to "
            f"{max(count, 1)} or less"
        )
    first, last = (count * part // shards * size for part in (number, number + 1))
    return first, min(last, examples)


def padded(examples, pad_id):
    """Pad examples to what a model reads.

    Parameters
    ----------
    examples : sequence of Tokenised
        The batch.
    pad_id : int
        Id of padding.

    Returns
    -------
    dict of str to torch.Tensor, int64, shape (batch, longest)
        input_ids, attention_mask and, where there are segments, token_type_ids.
    """
    import torch

    width = max(len(example.ids) for example in examples)
    ids = np.full((len(examples), width), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = example.ids
        mask[row, : len(example.ids)] = 1
    found = {"input_ids": ids, "attention_mask": mask}
    if any(example.types is not None for example in examples):
        found["token_type_ids"] = types = np.zeros_like(ids)
        for row, example in enumerate(examples):
            if example.types is not None:
                types[row, : len(example.types)] = example.types
    return {name: torch.from_numpy(values) for name, values in found.items()}
