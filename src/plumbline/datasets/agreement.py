"""Generated subject-verb agreement: the verb is masked, the head noun alone decides its number.

A sentence is `[preamble] DET [adjective] HEAD modifiers ***mask*** complement [closing] .`
- The head is the first noun of its clause: the first of the sentence, or the first after the preamble, which
  ends in a comma or in `that`.
- Zero to four modifiers, a noun each, stand between head and verb: a prepositional phrase (pp), a subject
  or object relative clause (subject, object), a participle (passive, active). An attractor is such a
  noun of the other number than the head's.
- Every verb but the masked one is in a form without number, and so is every determiner.
A modifier's noun is of the other number with a chance that makes the noun next to the verb (the head
itself, where there is no modifier) of either number equally often: it tells nothing, nor does the count.

Label 1 = third person singular. The rationale marks the head noun. A template is `<preamble>/<modifiers>`;
a fifth of them, recombinations of parts that the others show, is kept for the test split.
"""

from ..registry import Dataset
from . import generated
from .generated import listed, pairs, pick, weighted

ENTRY = Dataset(
    id="agreement",
    label="Agreement (generated)",
    task="agreement",
    label_names=("plural", "singular"),
    splits=("train", "validation", "test"),
    licence="Apache-2.0, made by this project's grammar",
    citation="Plumbline, src/plumbline/datasets/agreement.py",
    sources={"generated": {}},
    known_truth=True,
    parameters=generated.PARAMETERS,
    order=20,
)

REGULAR_PEOPLE = listed("""teacher doctor farmer singer painter driver lawyer pilot sailor soldier student tailor baker
      banker barber butcher dancer gardener guard hunter judge king queen minister neighbour nurse
      officer plumber poet prince professor reporter scientist senator surgeon tourist visitor waiter
      writer author photographer engineer lecturer manager sister brother cousin uncle""")
REGULAR_THINGS = listed("""table chair window door lamp bottle basket bucket candle carpet clock curtain drawer engine fence
      flower garden hammer island jacket kettle ladder letter magazine mirror mountain painting parcel
      pencil picture pillow planet poster river rocket sculpture statue suitcase temple ticket towel
      tower tractor tunnel umbrella vase village violin wagon wallet bridge cottage barrel machine
      bicycle airport monument computer newspaper notebook""")
IRREGULAR_PEOPLE = pairs("""child:children man:men woman:women lady:ladies baby:babies wife:wives
 policeman:policemen secretary:secretaries actress:actresses boss:bosses""")
IRREGULAR_THINGS = pairs("""knife:knives shelf:shelves leaf:leaves city:cities story:stories box:boxes
 watch:watches brush:brushes church:churches bus:buses factory:factories library:libraries goose:geese
 mouse:mice berry:berries wolf:wolves""")
PEOPLE = {noun: noun + "s" for noun in REGULAR_PEOPLE} | IRREGULAR_PEOPLE  # singular -> plural
NOUNS = PEOPLE | {noun: noun + "s" for noun in REGULAR_THINGS} | IRREGULAR_THINGS

# Masked verbs by complement: (singular form, plural form, word after the verb or '').
VERBS = {
    "adjective": [("is", "are", ""), ("seems", "seem", ""), ("looks", "look", ""), ("remains", "remain", ""),
                  ("stays", "stay", ""), ("becomes", "become", ""), ("appears", "appear", ""),
                  ("sounds", "sound", ""), ("feels", "feel", "")],
    "object": [("pleases", "please", ""), ("surprises", "surprise", ""), ("attracts", "attract", ""),
               ("annoys", "annoy", ""), ("needs", "need", ""), ("helps", "help", ""), ("worries", "worry", ""),
               ("follows", "follow", ""), ("has", "have", ""), ("belongs", "belong", "to"),
               ("matters", "matter", "to"), ("reminds", "remind", "us of"), ("leads", "lead", "to"),
               ("stands", "stand", "near"), ("rests", "rest", "beside"), ("points", "point", "towards")],
    "adverb": [("changes", "change", ""), ("works", "work", ""), ("moves", "move", ""),
               ("arrives", "arrive", ""), ("falls", "fall", ""), ("goes", "go", "home"),
               ("comes", "come", "back"), ("waits", "wait", "outside"), ("improves", "improve", ""),
               ("disappears", "disappear", "")],
}  # fmt: skip
DETERMINERS = listed("the the the the my our your his her their")
ADJECTIVES = listed("""old young tall small big quiet noisy famous friendly lonely clever rusty golden wooden broken
      heavy dusty shiny modern ancient foreign local cheerful nervous gentle proud tired lazy hungry
      elegant curious careful careless useful useless valuable ordinary popular strange silent""")
ADVERBS = listed("""slowly quickly quietly loudly often rarely sometimes daily soon early late again carefully
      suddenly gradually regularly eventually elsewhere""")
PREPOSITIONS = ["near", "behind", "beside", "with", "of", "from", "above", "below", "opposite", "next to",
                "in front of", "without", "against"]  # fmt: skip
PAST = listed("""helped admired saw found followed praised ignored described noticed remembered mentioned visited
      damaged protected covered touched moved liked wanted""")
ACTIVE = listed("facing following touching covering hiding protecting watching admiring describing blocking")
SLEPT = listed("slept arrived waited left laughed vanished collapsed returned waved stumbled")
TIMES = [
    "today",
    "every summer",
    "in general",
    "as a rule",
    "these days",
    "at night",
    "in winter",
    "of course",
    "now and then",
    "every monday",
    "most evenings",
    "in april",
]
SAYING = listed("said thought claimed believed knew wrote")
SUBORDINATORS = listed("when because after while before since although")

COUNTS = {0: 15, 1: 27, 2: 25, 3: 18, 4: 15}  # modifiers between head and verb, in per cent
OTHER = 50 / (100 - COUNTS[0])  # chance that a modifier's noun has the other number
PREAMBLES = {"none": 40, "time": 15, "place": 15, "clause": 15, "report": 15}
MODIFIERS = {"pp": 40, "subject": 15, "object": 15, "passive": 15, "active": 15}
LONG_MODIFIERS = {"pp": 50, "subject": 25, "object": 25}  # in sequences of three and four


def rows(split, block, files):
    """The rows of a split (list of dicts): the columns of schemas/artefacts/data.yaml but `id`."""
    return generated.draw(
        "agreement", split, block[split], block["seed"], template=template, sentence=sentence
    )


def template(rng, unseen):
    """Draw the name of a template, held out or not.

    The length is drawn first, so that held-out and other templates have the same lengths (see OTHER).

    Parameters
    ----------
    rng : random.Random
        It goes on.
    unseen : bool
        Whether the template is one that is held out.

    Returns
    -------
    str
        `<preamble>/<modifiers joined by +>`, `bare` for none.
    """
    length = weighted(rng, COUNTS)
    kinds = LONG_MODIFIERS if length > 2 else MODIFIERS

    def name():
        modifiers = "+".join(weighted(rng, kinds) for _ in range(length)) or "bare"
        return f"{weighted(rng, PREAMBLES)}/{modifiers}"

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
        The class.

    Returns
    -------
    dict
        A row.
    """
    preamble, modifiers = name.split("/")
    words = _preamble(rng, preamble)
    subject, head = _phrase(rng, plural=not label)
    words += subject
    head_index = len(words) - 1
    attractors, owner = 0, head
    for kind in modifiers.split("+") if modifiers != "bare" else ():
        other = rng.random() < OTHER
        attractors += other
        phrase, noun = _phrase(rng, plural=bool(label) == other)
        words += _modifier(rng, kind, phrase, owner)
        owner = owner if kind == "object" else noun
    mask_index = len(words)
    complement = pick(rng, list(VERBS))
    singular, plural, particle = pick(rng, VERBS[complement])
    words += ["***mask***", *particle.split(), *_complement(rng, complement), *_closing(rng), "."]
    return {
        "text": " ".join(words),
        "label": label,
        "mask_index": mask_index,
        "verb_correct": singular if label else plural,
        "verb_incorrect": plural if label else singular,
        "attractors": attractors,
        "rationale": [int(index == head_index) for index in range(len(words))],
    }


def _phrase(rng, plural=None):
    """A noun phrase (its words, the noun last) and the noun's singular; of either number by default."""
    if plural is None:
        plural = rng.random() < 0.5
    noun = pick(rng, list(NOUNS))
    adjective = [pick(rng, ADJECTIVES)] if rng.random() < 0.3 else []
    return [pick(rng, DETERMINERS), *adjective, NOUNS[noun] if plural else noun], noun


def _modifier(rng, kind, phrase, owner):
    """A modifier of the noun `owner` that holds the noun phrase `phrase`."""
    person = owner in PEOPLE
    return {
        "pp": lambda: [*pick(rng, PREPOSITIONS).split(), *phrase],
        "subject": lambda: ["who" if person else "which", pick(rng, PAST), *phrase],
        "object": lambda: ["whom" if person else "which", *phrase, pick(rng, PAST)],
        "passive": lambda: [pick(rng, PAST), "by", *phrase],
        "active": lambda: [pick(rng, ACTIVE), *phrase],
    }[kind]()


def _preamble(rng, kind):
    if kind == "time":
        return [*pick(rng, TIMES).split(), ","]
    if kind == "place":
        return [*pick(rng, PREPOSITIONS).split(), *_phrase(rng)[0], ","]
    if kind == "clause":
        return [pick(rng, SUBORDINATORS), *_phrase(rng)[0], pick(rng, SLEPT), ","]
    if kind == "report":
        return [*_phrase(rng)[0], pick(rng, SAYING), "that"]
    return []


def _complement(rng, kind):
    if kind == "adjective":
        return [pick(rng, ADJECTIVES)]
    return _phrase(rng)[0] if kind == "object" else [pick(rng, ADVERBS)]


def _closing(rng):
    chance = rng.random()
    if chance < 0.2:
        return [*pick(rng, PREPOSITIONS).split(), *_phrase(rng)[0]]
    if chance < 0.35:
        return [pick(rng, SUBORDINATORS), *_phrase(rng)[0], pick(rng, SLEPT)]
    return pick(rng, TIMES).split() if chance < 0.5 else []
