"""From the pieces of a tokeniser back to words. No torch."""

import functools

# How the pieces of a tokeniser tell where a word begins: ## continues one (WordPiece); Ġ (byte-level) and ▁ (sentence pieces)
# begin one.
WORDPIECE, BYTES, SENTENCE = "##", "Ġ", "▁"


def words(tokens, position):
    """Join the pieces of a tokeniser to words.

    Parameters
    ----------
    tokens : list of str
        Of one example or pair, as the tokeniser names them. Where words are marked by their beginning (byte-level, sentence
        pieces), punctuation stays with the word before it. A special token in the middle, as the first or the last one, is a
        word of its own.
    position : int
        Of the mask in an agreement sentence, which is a word of its own; else 0.

    Returns
    -------
    list of tuple
        (word, indices of its tokens). The first and the last token, which are special, are among them.
    """
    scheme = _scheme(tokens)
    ends = {tokens[0], tokens[-1]}
    special = {index for index, token in enumerate(tokens) if token in ends} | (
        {position} if position else set()
    )
    alone = special | {index + 1 for index in special}
    found = []
    for index, token in enumerate(tokens):
        continues = token.startswith(WORDPIECE) if scheme == WORDPIECE else not token.startswith(scheme)
        if continues and index not in alone:
            found[-1].append(index)
        else:
            found.append([index])
    decode = _DECODERS[scheme]
    return [(_printable(decode([tokens[index] for index in indices])), indices) for indices in found]


def _scheme(tokens):
    """The mark that most tokens bear. A sentence without any: byte-level where it begins with <s>, else WordPiece."""
    counts = {mark: sum(token.startswith(mark) for token in tokens) for mark in (WORDPIECE, BYTES, SENTENCE)}
    usual = BYTES if tokens[0] == "<s>" else WORDPIECE
    # Text itself may hold a mark: a cased vocabulary has Ġ, and ## is a piece of every byte-level one.
    return max(counts, key=lambda mark: (counts[mark], mark == usual))


def _from_wordpieces(pieces):
    return pieces[0] + "".join(piece.removeprefix(WORDPIECE) for piece in pieces[1:])


_DECODERS = {
    WORDPIECE: _from_wordpieces,
    BYTES: lambda pieces: _from_bytes("".join(pieces)).strip(" "),
    SENTENCE: lambda pieces: "".join(pieces).replace(SENTENCE, ""),
}


def _from_bytes(text):
    """Text of byte-level pieces, each letter of which stands for a byte; half a character becomes U+FFFD."""
    letters = _letters()
    if not letters.keys() >= set(text):  # an added token, which is text as it stands
        return text
    return bytes(letters[letter] for letter in text).decode("utf-8", errors="replace")


@functools.cache
def _letters():
    """Letter -> byte, as GPT-2 has it: what prints stands for itself, the others for U+0100 onwards."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(others)}


def _printable(word):
    """A word with line breaks and other control characters as escapes."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in word
    )
