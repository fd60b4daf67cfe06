"""Generated sentiment: a review sentence from a grammar, its label decided by rules, its rationale known.

The rules, from the inside out:
1. A clause holds one polar word. Its sign is the word's, flipped where the clause has a negator (not, never,
   hardly, no, far from). Intensifiers change nothing.
2. Of two clauses, the one after `but`, `yet` or `however` decides; the one that `although` (though, even
   though) opens never does, nor does a `despite` phrase. Clauses joined by `and` agree, and both decide.
3. What others say ("X said that ...", "according to X , ...") and what stands in quotation marks never
   counts, nor does a neutral clause, negated or not.
The sign of what does not count is drawn apart from the label, so the deciding clause alone tells it.

The rationale marks the polar word and the negator of every deciding clause. A template is
`<frame>/<contrast>/<form of the deciding clause>`; a fifth of them, recombinations of parts that the
others show, is kept for the test split.
"""

from ..registry import Dataset
from . import generated
from .generated import article, listed, pairs, pick, weighted

ENTRY = Dataset(
    id="sentiment",
    label="Sentiment (generated)",
    task="classification",
    label_names=("negative", "positive"),
    splits=("train", "validation", "test"),
    licence="Apache-2.0, made by this project's grammar",
    citation="Plumbline, src/plumbline/datasets/sentiment.py",
    sources={"generated": {}},
    known_truth=True,
    parameters=generated.PARAMETERS,
    order=10,
)

THINGS = listed("""film movie novel album meal dinner concert hotel play song show book series lecture museum
    tour game dish soup painting speech trip flight recital exhibition restaurant festival podcast documentary
    sequel workshop ballet opera parade circus musical biography magazine brunch picnic cruise gallery pageant
    seminar banquet thriller comedy cartoon""")
PARTS = listed("""plot ending cast music service staff script chorus dialogue menu lighting sound story design
    finale opening setting costume sauce dessert rhythm narration prologue scenery soundtrack garnish""")
PERFORMERS = listed("""singer actor actress waiter guide teacher host cook pianist director dancer narrator
    speaker drummer chef violinist lecturer conductor magician presenter juggler cellist bartender soprano
    comedian acrobat""")
PERFORM = pairs("""sang:sing played:play spoke:speak danced:dance performed:perform acted:act cooked:cook
    served:serve worked:work rehearsed:rehearse""")
ADJECTIVES = {
    1: listed("""good great wonderful charming brilliant lovely excellent amazing clever funny graceful tasteful
        thoughtful inspired pleasant fresh"""),
    -1: listed("""bad awful terrible boring dull horrible weak clumsy messy poor graceless tasteless thoughtless
        uninspired unpleasant stale"""),
}
VERBS = {
    1: pairs("enjoyed:enjoy loved:love admired:admire adored:adore liked:like treasured:treasure"),
    -1: pairs("hated:hate disliked:dislike regretted:regret despised:despise loathed:loathe endured:endure"),
}
NOUNS = {
    1: listed("triumph delight masterpiece treat joy pleasure success marvel"),
    -1: listed("disaster failure mess disappointment insult flop nightmare waste"),
}
ADVERBS = {
    1: listed("beautifully brilliantly gracefully skilfully wonderfully flawlessly"),
    -1: listed("badly terribly gracelessly clumsily horribly carelessly"),
}
FEELINGS = {
    1: listed("delighted thrilled charmed amused hopeful satisfied"),
    -1: listed("bored annoyed disappointed exhausted hopeless disgusted"),
}
INTENSIFIERS = listed("very truly really quite rather extremely incredibly thoroughly surprisingly utterly")
DEGREES = listed("complete total real absolute genuine minor small huge")
LINKS = pairs("was:be seemed:seem felt:feel looked:look sounded:sound stayed:stay")

WEEKDAYS = listed("monday tuesday wednesday thursday friday saturday sunday")
MONTHS = listed("january february march april may june july august october december")
CITIES = listed("""lisbon paris london vienna madrid oslo dublin athens prague berlin rome cairo boston tokyo
    nairobi quito lima zagreb helsinki geneva havana""")
OPENINGS = [
    "last week",
    "after lunch",
    "in the end",
    "this summer",
    "overall",
    "at first",
    "to be frank",
    "in my view",
    "as usual",
    "all in all",
]
CLOSINGS = [
    "last week",
    "from start to end",
    "in the evening",
    "as a whole",
    "this time",
    "after the break",
    "in the second half",
    "near the exit",
]
OTHERS = [
    "my sister",
    "my brother",
    "the critic",
    "a neighbour",
    "her boss",
    "the reviewer",
    "his cousin",
    "a stranger",
    "the blogger",
    "our editor",
    "a student",
    "the landlord",
]
SAYING = listed("said thought claimed insisted believed wrote")
PUBLISHED = ["the poster", "the advert", "the headline", "the brochure", "a banner", "the website"]
BYSTANDERS = [
    "the bus",
    "the train",
    "a friend",
    "my uncle",
    "the family",
    "our group",
    "the driver",
    "the children",
    "my colleague",
    "a tourist",
    "the porter",
    "the crowd",
    "the florist",
]
ERRANDS = {
    "stopped near the river": "stop near the river",
    "waited outside": "wait outside",
    "returned by taxi": "return by taxi",
    "parked behind the hall": "park behind the hall",
    "sat in the corner": "sit in the corner",
    "walked along the beach": "walk along the beach",
    "paid at the counter": "pay at the counter",
    "crossed the bridge": "cross the bridge",
}

FRAMES = {
    "plain": 60,
    "report_first": 7,
    "report_last": 7,
    "quote_first": 6,
    "quote_last": 6,
    "neutral_first": 7,
    "neutral_last": 7,
}
CONTRASTS = {
    "single": 30,
    "and": 8,
    "but": 13,
    "yet": 9,
    "although_first": 13,
    "although_last": 13,
    "however": 9,
    "despite": 9,
}
BESIDE = {"single": 70, "and": 15, "despite": 15}  # the contrasts of a review with something beside it
NEGATED = 0.3  # chance that a clause has a negator
FORMS = ("adjective", "verb", "noun", "adverb", "feeling", "having")


def rows(split, block, files):
    """The rows of a split (list of dicts): text, label (0 negative, 1 positive), rationale, template."""
    return generated.draw(
        "sentiment", split, block[split], block["seed"], template=template, sentence=sentence
    )


def template(rng, unseen):
    """Draw the name of a template, held out or not.

    Parameters
    ----------
    rng : random.Random
        It goes on.
    unseen : bool
        Whether the template is one that is held out.

    Returns
    -------
    str
        `<frame>/<contrast>/<form>`, `not_<form>` where it is negated.
    """

    def name():
        frame = weighted(rng, FRAMES)
        contrast = weighted(rng, CONTRASTS if frame == "plain" else BESIDE)
        return f"{frame}/{contrast}/{_form(rng)}"

    return generated.until(name, unseen)


def sentence(rng, name, label):
    """Make a sentence of a template.

    Parameters
    ----------
    rng : random.Random
        It goes on.
    name : str
        See `template`.
    label : {0, 1}
        0 negative, 1 positive.

    Returns
    -------
    dict
        text, label and rationale, one flag a word of text.split().
    """
    frame, contrast, form = name.split("/")
    sign = 1 if label else -1
    words = _plain(_opening(rng)) + _contrast(rng, contrast, form, sign)
    beside = aside(rng, frame.split("_")[0])
    if frame.endswith("_first"):
        words = beside + _plain(";") + words
    elif frame.endswith("_last"):
        words = words + _plain(";") + beside
    words += _plain(".")
    return {
        "text": " ".join(word for word, _ in words),
        "label": label,
        "rationale": [int(deciding) for _, deciding in words],
    }


def _plain(text):
    return [(word, False) for word in text.split()]


def _opening(rng):
    if rng.random() < 0.65:
        return ""
    opening = pick(
        rng,
        [
            f"on {pick(rng, WEEKDAYS)}",
            f"in {pick(rng, MONTHS)}",
            f"in {pick(rng, CITIES)}",
            pick(rng, OPENINGS),
        ],
    )
    return opening + " ,"


def _closing(rng):
    if rng.random() < 0.85:
        return ""
    return pick(rng, [f"on {pick(rng, WEEKDAYS)}", f"in {pick(rng, CITIES)}", pick(rng, CLOSINGS)])


def _contrast(rng, contrast, form, sign):
    """The deciding clause, with what the contrast sets against it."""
    deciding = _clause(rng, form, sign, decides=True)
    if contrast == "single":
        return deciding
    if contrast == "and":
        return deciding + _plain("and") + _clause(rng, _form(rng), sign, decides=True)
    if contrast == "despite":
        return _plain(f"despite the {pick(rng, ADJECTIVES[_sign(rng)])} {pick(rng, PARTS)} ,") + deciding
    other = _clause(rng, _form(rng), _sign(rng), decides=False)
    although = _plain(pick(rng, ["although", "though", "even though"]))
    return {
        "but": lambda: other + _plain(", but") + deciding,
        "yet": lambda: other + _plain(", yet") + deciding,
        "however": lambda: other + _plain(". however ,") + deciding,
        "although_first": lambda: although + other + _plain(",") + deciding,
        "although_last": lambda: deciding + _plain(",") + although + other,
    }[contrast]()


def aside(rng, kind):
    """Make what stands beside the review and never counts.

    Parameters
    ----------
    rng : random.Random
        It goes on.
    kind : str
        report: another's opinion. quote: a quotation. neutral: a neutral clause. Else nothing.

    Returns
    -------
    list of tuple
        (word, whether it belongs to the rationale, which is False).
    """
    if kind == "report":
        opinion = _clause(rng, pick(rng, FORMS), _sign(rng), decides=False)
        other = pick(rng, OTHERS)
        lead = f"{other} {pick(rng, SAYING)} that" if rng.random() < 0.6 else f"according to {other} ,"
        return _plain(lead) + opinion
    if kind == "quote":
        adjective = pick(rng, ADJECTIVES[_sign(rng)])
        praise = f"{article(adjective)} {adjective} {pick(rng, THINGS)}"
        return _plain(f'{pick(rng, PUBLISHED)} {pick(rng, ["promised", "announced"])} " {praise} "')
    if kind == "neutral":
        past, base = pick(rng, list(ERRANDS.items()))
        done = pick(rng, [f"did not {base}", f"never {past}"]) if rng.random() < 0.25 else past
        return _plain(f"{pick(rng, BYSTANDERS)} {done} {_closing(rng)}")
    return []


def _sign(rng):
    return 1 if rng.random() < 0.5 else -1


def _form(rng):
    return ("not_" if rng.random() < NEGATED else "") + pick(rng, FORMS)


def _clause(rng, form, sign, decides):
    """A clause whose sign by rule 1 is `sign`, as (word, whether it belongs to the rationale) pairs."""
    negated = form.startswith("not_")
    form = form.removeprefix("not_")
    return CLAUSES[form](rng, -sign if negated else sign, negated, decides) + _plain(_closing(rng))


def _subject(rng):
    thing = pick(rng, THINGS)
    return pick(
        rng,
        [f"the {thing}", f"the {thing}", f"the {pick(rng, PARTS)}", f"the {pick(rng, PARTS)} of the {thing}"],
    )


def _negate(rng, past, base, decides):
    """A negated verb: `did not enjoy`, `never enjoyed` or `hardly enjoyed`."""
    negator = pick(rng, ["not", "not", "never", "hardly"])
    if negator == "not":
        return [("did", False), ("not", decides), (base, False)]
    return [(negator, decides), (past, False)]


def _maybe(rng, words):
    return _plain(pick(rng, words)) if rng.random() < 0.4 else []


def _adjective(rng, sign, negated, decides):
    words = _plain(_subject(rng))
    past = pick(rng, list(LINKS))
    if not negated:
        words += _plain(past)
    elif past == "was":
        negator = pick(rng, ["not", "not", "never", "hardly", "far from"])
        words += [("was", False)] + [(word, decides) for word in negator.split()]
    else:
        words += _negate(rng, past, LINKS[past], decides)
    return words + _maybe(rng, INTENSIFIERS) + [(pick(rng, ADJECTIVES[sign]), decides)]


def _verb(rng, sign, negated, decides):
    past, base = pick(rng, list(VERBS[sign].items()))
    words = _plain(pick(rng, ["i", "we"]))
    if negated:
        *negation, verb = _negate(rng, past, base, decides)
        words += [*negation, *_maybe(rng, ["really", "truly", "thoroughly"]), (verb[0], decides)]
    else:
        words += _maybe(rng, ["really", "truly", "thoroughly"]) + [(past, decides)]
    return words + _plain(_subject(rng))


def _noun(rng, sign, negated, decides):
    words = _plain(_subject(rng)) + _plain("was")
    if negated:
        negator = pick(rng, ["not", "not", "never", "hardly", "far from"])
        words += [(word, decides) for word in negator.split()]
    noun = pick(rng, NOUNS[sign])
    degree = _maybe(rng, DEGREES)
    return words + _plain(article(degree[0][0] if degree else noun)) + degree + [(noun, decides)]


def _adverb(rng, sign, negated, decides):
    past, base = pick(rng, list(PERFORM.items()))
    words = _plain(f"the {pick(rng, PERFORMERS)}")
    words += _negate(rng, past, base, decides) if negated else _plain(past)
    return words + _maybe(rng, INTENSIFIERS) + [(pick(rng, ADVERBS[sign]), decides)]


def _feeling(rng, sign, negated, decides):
    words = _plain(_subject(rng))
    words += _negate(rng, "left", "leave", decides) if negated else _plain("left")
    words += _plain(pick(rng, ["me", "us"])) + _maybe(rng, INTENSIFIERS)
    return words + [(pick(rng, FEELINGS[sign]), decides)]


def _having(rng, sign, negated, decides):
    words = _plain(f"the {pick(rng, THINGS)}")
    adjective = pick(rng, ADJECTIVES[sign])
    if negated and rng.random() < 0.5:
        words += [("had", False), ("no", decides)]
    else:
        words += _negate(rng, "had", "have", decides) if negated else _plain("had")
        words += _plain(article(adjective))
    return words + [(adjective, decides), (pick(rng, PARTS), False)]


CLAUSES = {
    "adjective": _adjective,
    "verb": _verb,
    "noun": _noun,
    "adverb": _adverb,
    "feeling": _feeling,
    "having": _having,
}
