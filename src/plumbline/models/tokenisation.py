"""From rows of text to token ids: tokenisers trained on generated corpora, and tokenised examples."""

from dataclasses import dataclass
from itertools import islice

import numpy as np

from ..errors import PlumblineError

MASK_WORD = "***mask***"
BYTE_LEVEL = ("roberta", "xlm-roberta", "camembert")
# Examples of a block: what a job has in hand at once, and the unit of shards.
BLOCK = 256


def train_tokenizer(architecture, texts, vocabulary):
    """A fast tokeniser trained on `texts`: WordPiece (lower case), or byte-level BPE for the RoBERTa family.

    vocabulary: its size at most, special tokens included.
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
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (first, last)],
    )
    names = {f"{name}_token": token for name, token in special.items()}
    names |= {"cls_token": first, "sep_token": last}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **names)


def _continuing(tokenizer, texts):
    """Sorted `##x` for every letter x that stands inside a word."""
    found = set()
    for text in texts:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
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
    """The mapping cls, sep, mask, pad -> id that the Python API takes."""
    return {name: getattr(tokenizer, f"{name}_token_id") for name in ("cls", "sep", "mask", "pad")}


@dataclass(frozen=True)
class Tokenised:
    """One example: ids int64 (n,) with special tokens; position: what is read out; label: class index;
    rationale: float32 (n,), or None where the data has none; cut: tokens that a limit cut off its end."""

    id: int
    ids: np.ndarray
    position: int
    label: int
    rationale: np.ndarray | None
    cut: int = 0


def tokenise(rows, tokenizer, *, limit, max_tokens=None, too_long="error", where="the data"):
    """The examples of a list of rows (dicts of schemas/artefacts/data.yaml), in their order.

    limit       the model's longest input; max_tokens: a lower one (None: the limit). Both count special tokens.
    too_long    what to do above max_tokens: 'error', 'skip' (as published) or 'truncate'.
    where       named in messages.

    Raises PlumblineError for an empty text, a text too long, or an agreement mask that got lost.
    """
    most = min(limit, max_tokens or limit)
    for row in rows:
        if not row["text"].strip():
            raise PlumblineError(
                f"{where}: the text of example {row['id']} is empty: remove the row from the source"
            )
    texts = [row["text"].replace(MASK_WORD, tokenizer.mask_token) for row in rows]
    encoded = tokenizer(texts, return_offsets_mapping=True, verbose=False)
    found = []
    for index, (row, text) in enumerate(zip(rows, texts, strict=True)):
        ids, offsets = encoded["input_ids"][index], encoded["offset_mapping"][index]
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
            ids, offsets = [*ids[: most - 1], ids[-1]], [*offsets[: most - 1], offsets[-1]]
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
            rationale = token_rationale(text, rationale, offsets)
        found.append(Tokenised(row["id"], ids, position, row["label"], rationale, cut))
    return found


def token_rationale(text, flags, offsets):
    """Word flags of text.split() carried to tokens: float32 (n,), 0 at special tokens.

    offsets: (start, end) of every token in `text`; special tokens have start == end.
    """
    word_at = np.full(len(text) + 1, -1)
    start = 0
    for word, piece in enumerate(text.split()):
        start = text.index(piece, start)
        word_at[start : start + len(piece)] = word
        start += len(piece)
    # A byte-level token's offsets may begin at the blank before it, so its last character tells the word.
    return np.array(
        [float(end > begin and flags[word_at[end - 1]]) for begin, end in offsets], dtype=np.float32
    )


def blocks(examples, size=BLOCK):
    """Consecutive blocks of examples, as lists. Batches never cross a block, so sharding by whole blocks changes no byte."""
    examples = iter(examples)
    while block := list(islice(examples, size)):
        yield block


def block_range(examples, shard, where):
    """(first, past the last) of the examples of one shard: whole blocks, and nearly as many as another shard has.

    examples    how many there are; shard: (its number, the number of shards), None: all are one's own.
    where       named in the message.

    Raises PlumblineError where there are more shards than blocks.
    """
    number, shards = shard or (0, 1)
    count = -(-examples // BLOCK)
    if shards > max(count, 1):
        raise PlumblineError(
            f"{where}: {examples} examples, in blocks of {BLOCK}, are too few for {shards} shards: set the run's `shards` to "
            f"{max(count, 1)} or less"
        )
    first, last = (count * part // shards * BLOCK for part in (number, number + 1))
    return first, min(last, examples)


def padded(examples, pad_id):
    """input_ids and attention_mask, int64 tensors (batch, longest)."""
    import torch

    width = max(len(example.ids) for example in examples)
    ids = np.full((len(examples), width), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = example.ids
        mask[row, : len(example.ids)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)
