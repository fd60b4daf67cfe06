"""From the pieces of a tokeniser back to words. No torch."""

import functools


def words(tokens, position):
    """[(word, indices of its tokens)], the first and the last token, which are special, among them.

    tokens    of one example, as the tokeniser names them. WordPiece: `##` continues a word. Byte-level and
              sentence-piece tokenisers, whose sentences begin with <s>: Ġ and ▁ begin one, so that punctuation
              stays with the word before it.
    position  of the mask in an agreement sentence, which is a word of its own; else 0.
    """
    marked = tokens[0] == "<s>"
    alone = {0, 1, position, position + 1, len(tokens) - 1}
    found = []
    for index, token in enumerate(tokens):
        continues = not token.startswith(("Ġ", "▁")) if marked else token.startswith("##")
        if continues and index not in alone:
            found[-1].append(index)
        else:
            found.append([index])
    decode = _decoder(tokens)
    return [(_printable(decode([tokens[index] for index in indices])), indices) for indices in found]


def _decoder(tokens):
    """A function from a word's pieces to its text."""
    if tokens[0] != "<s>":
        return lambda pieces: pieces[0] + "".join(piece.removeprefix("##") for piece in pieces[1:])
    if any("▁" in token for token in tokens):
        return lambda pieces: "".join(pieces).replace("▁", "")
    return lambda pieces: _from_bytes("".join(pieces)).strip(" ")


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
