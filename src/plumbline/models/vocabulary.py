"""Tokens and ids of the multi-head classifier (Lopardo et al. 2024): torchtext's `basic_english`, [cls] and UNK. No torch:
every `snakemake` call imports this module.
"""

import re
from collections import Counter

import numpy as np

from ..errors import PlumblineError

CLS, UNK = 0, 1
SPECIALS = ("[cls]", "UNK")

# torchtext's basic_english: lower case, then these in their order.
_RULES = [
    (r"'", " '  "),
    (r'"', ""),
    (r"\.", " . "),
    (r"<br />", " "),
    (r",", " , "),
    (r"\(", " ( "),
    (r"\)", " ) "),
    (r"!", " ! "),
    (r"\?", " ? "),
    (r";", " "),
    (r":", " "),
]
_RULES = [(re.compile(pattern), replacement) for pattern, replacement in _RULES]


def tokens_of(text):
    """Split a text into tokens: torchtext's `basic_english`.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    list of str
    """
    text = text.lower()
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text.split()


def cleaned(text):
    """Clean a text as LIME is given it: letters and digits alone (reference code of Lopardo et al.).

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    str
    """
    return re.sub("[^A-Za-z0-9]+", " ", text).strip()


class Vocabulary:
    """Token -> id: [cls] 0, UNK 1 (also of unknown tokens), then by falling frequency, ties in alphabetical order.

    Parameters
    ----------
    tokens : iterable of str
        In the order of their ids.

    Raises
    ------
    PlumblineError
        Where the first two are not `SPECIALS`.
    """

    def __init__(self, tokens):
        self.tokens = list(tokens)
        if tuple(self.tokens[:2]) != SPECIALS:
            raise PlumblineError(f"a vocabulary begins with {', '.join(SPECIALS)}, not {self.tokens[:2]}")
        self.number = {token: number for number, token in enumerate(self.tokens)}

    @classmethod
    def of(cls, texts):
        """Make the vocabulary of all tokens in texts, no minimum frequency.

        Parameters
        ----------
        texts : iterable of str
            The texts.

        Returns
        -------
        Vocabulary
        """
        counts = Counter(token for text in texts for token in tokens_of(text))
        for special in SPECIALS:
            counts.pop(special, None)
        return cls([*SPECIALS, *sorted(counts, key=lambda token: (-counts[token], token))])

    def __len__(self):
        return len(self.tokens)

    def ids(self, tokens, max_len):
        """Encode tokens: [cls] and their ids, cut to max_len and padded to it with UNK.

        Parameters
        ----------
        tokens : sequence of str
            Of one text.
        max_len : int
            The length of the result.

        Returns
        -------
        numpy.ndarray, int64, shape (max_len,)
        """
        found = np.full(max_len, UNK, dtype=np.int64)
        found[0] = CLS
        numbers = [self.number.get(token, UNK) for token in tokens[: max_len - 1]]
        found[1 : 1 + len(numbers)] = numbers
        return found
