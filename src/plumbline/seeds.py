"""Seeds that depend on what is drawn, never on when: order, batching and sharding change nothing."""

import hashlib


def seed_of(*parts):
    """A seed from names and numbers, e.g. (dataset, example id, method, repeat).

    Parameters
    ----------
    *parts
        Names and numbers.

    Returns
    -------
    int
        In [0, 2**63); the same for the same parts, on every machine.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
