"""What the study computes."""


def mean_words(texts, factor):
    """The mean number of words of texts, times a factor."""
    return factor * sum(len(text.split()) for text in texts) / len(texts)
