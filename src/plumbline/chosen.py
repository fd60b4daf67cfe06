"""Which examples are shown one by one: those of `heatmap_examples`, or what stands in for them. No torch."""

from .errors import PlumblineError


def chosen(wanted, explained, where):
    """Choose the examples that are shown, in the order asked for.

    An example that was too long to be explained gives way to the next one that was not.

    Parameters
    ----------
    wanted : list of int
        The ids of `heatmap_examples`.
    explained : iterable of int
        The ids that there are.
    where : str
        Named in messages.

    Returns
    -------
    list of tuple
        (id asked for, id shown).

    Raises
    ------
    PlumblineError
        For no id, or one beyond those explained.
    """
    explained = sorted(explained)
    beyond = [asked for asked in wanted if not explained or asked > explained[-1]]
    if beyond or not wanted:
        ids = f"ids {explained[0]} to {explained[-1]}" if explained else "there are none"
        raise PlumblineError(
            f"heatmap_examples {beyond or '(none)'} are not among the explained examples of {where} ({ids}): "
            "change heatmap_examples or `examples` in the config"
        )
    return [(asked, next(other for other in explained if other >= asked)) for asked in wanted]


def instead(asked, shown):
    """What a title says of an example that stands in for another; empty where none does."""
    return f" ({asked} is too long)" if asked != shown else ""
