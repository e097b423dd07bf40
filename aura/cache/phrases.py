"""The words that :mod:`aura.cache.wording` knows. What is not here stays as it is written.

Each entry must hold wherever it is applied: words that may be exchanged in most questions only are no entry.
"""

from __future__ import annotations

# Also in this order: what is asked in a question or asked for in a request.
ASKING = frozenset("what which who whom whose when where why how".split())
AUXILIARIES = {
    "is": "be", "are": "be", "am": "be", "do": "do", "does": "do",
    **{word: word for word in "was were did can could should would will shall may might must has have had".split()},
}  # fmt: skip
REQUESTS = frozenset(
    """
    explain describe tell show give list name define compare calculate convert compute find suggest recommend write
    summarize summarise compose create draft generate outline
    """.split()
)
# Where a text begins like this it is taken for English.
OPENERS = ASKING | AUXILIARIES.keys() | REQUESTS
# Before a comma these begin what may as well stand at the end: "In Python, how …".
FRONTED = frozenset("in on with using for".split())

# Courtesies at the beginning. They go where a question or request follows.
COURTESIES = (
    *(f"{modal} you {word}".strip() for modal in ("can", "could", "would", "will") for word in ("please", "")),
    "please", "kindly", "hi", "hello", "hey", "hi there", "hello there", "quick question", "so", "well", "ok", "okay",
)  # fmt: skip
# These go before a word that asks: "tell me why the sky is blue".
INDIRECT = (
    *(f"{verb} {whom}".strip() for verb in ("tell", "explain", "show") for whom in ("to me", "to us", "me", "us", "")),
    "i want to know", "i would like to know", "i was wondering", "i am wondering", "i wonder", "i need to know",
    "do you know", "do you happen to know", "let me know", "help me understand", "may i ask", "can i ask",
)  # fmt: skip
CLOSINGS = ("please", "thanks", "thank you")

HOW_TO = "how-to"
# Beginnings that ask for the same.
FRAMES = {
    "how to": HOW_TO,
    **{f"how {word} {who}": HOW_TO for word in ("do", "can", "could", "would", "might") for who in ("i", "we", "one")},
    "how does one": HOW_TO,
    **{f"how {word} you": HOW_TO for word in ("do", "can")},
    **{f"is there {word} way to": HOW_TO for word in ("a", "any", "some")},
    "what is the way to": HOW_TO,
    "what are the steps to": HOW_TO,
    "is it possible to": "can i",
    "tell me the": "what is the",
    "give me": "give",
    "show me": "show",
    "write me": "write",
}
# After "how do you" these ask the one who is asked, and no one else.
OF_YOU = frozenset(
    """
    answer compare decide differ do feel find handle help hear keep know learn like make mean process protect rate
    reason remember respond see sleep store think train understand use want work
    """.split()
)
# Words that belong together.
JOINED = {
    "turn on": "enable",
    "switch on": "enable",
    "turn off": "disable",
    "switch off": "disable",
    "is there": "is",
    "are there": "are",
    "a few": "a-few",
    "a little": "a-little",
    "united states of america": "us^",
    "united states": "us^",
    "united kingdom": "uk",
    "per cent": "percent",
    "differences between": "difference between",
    "have to": "need to",
    "has to": "needs to",
}
# What is asked of two things alike.
ALIKE = (("difference", "between"), ("similarity", "between"), ("distance", "between"))
# Left out wherever they stand.
BESIDE = frozenset("a an the please kindly actually basically really exactly simply".split())

# Here other letters are another answer: translations, spellings, forms of words.
ABOUT_WORDS = frozenset(
    """
    translate translates translated translation translations spell spells spelled spelling pronounce pronounced
    pronunciation rhyme rhymes rhyming word words letter letters sentence sentences phrase phrases synonym synonyms
    antonym antonyms plural plurals singular verb verbs noun nouns adjective adjectives adverb adverbs grammar
    grammatical grammatically conjugate conjugation rewrite rephrase reword paraphrase proofread repeat say says said
    syllable syllables palindrome palindromes anagram anagrams acronym acronyms uppercase lowercase capitalize
    capitalise quote quotes vowel vowels consonant consonants punctuation punctuate etymology article articles typo
    """.split()
)
# Common words of languages whose questions may begin like English ones: "was ist", "is het".
FOREIGN = frozenset(
    """
    aan als auch auf bei dat dem den der des dit du een ein eine einen einer er es est et van voor gibt haben het hier
    ich ihr ist jij kann kein keine mit nicht nach niet ob oder och om op que sie sind som und une uns vom von
    wat wenn wie wird zu zum zur är
    """.split()
)
# Written like this within a text these are names, in small letters something else.
CASED = frozenset(
    """
    G M US IT WHO AIDS AND OR NOT Polish Turkey Will Bill Mark Rose Nice Reading Apple Amazon Shell Target Gap Visa Meta
    Windows Mercury Jordan Chad Georgia Rust Go Swift Teams Word Access Bath Cork Chase May March August Wicked
    """.split()
)
_NEGATED = "do does did is are was were has have had should would could must need".split()
CONTRACTIONS: dict[str, list[str]] = {
    **{f"{word}n't": [word, "not"] for word in _NEGATED},
    **{f"{word}nt": [word, "not"] for word in _NEGATED},
    "can't": ["can", "not"],
    "cant": ["can", "not"],
    "cannot": ["can", "not"],
    "won't": ["will", "not"],
    "shan't": ["shall", "not"],
    **{f"{who}'re": [who, "are"] for who in ("you", "we", "they")},
    **{f"{who}'ve": [who, "have"] for who in ("i", "you", "we", "they")},
    **{f"{who}'ll": [who, "will"] for who in ("i", "you", "he", "she", "it", "we", "they")},
    "i'm": ["i", "am"],
    "i'd": ["i", "would"],
    "whats": ["what", "is"],
    "wheres": ["where", "is"],
    "email": ["e", "-", "mail"],
    "emails": ["e", "-", "mails"],
}
# Before "'s" these own nothing: "what's" is "what is".
NO_OWNERS = ASKING | frozenset("it that there here he she this".split())
_NUMBERS = """
    zero - two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty
    """.split()
_SPELLINGS = """
    analyze/analyse behavior/behaviour center/centre centers/centres color/colour colors/colours customize/customise
    favorite/favourite gray/grey aluminum/aluminium initialize/initialise jewelry/jewellery maximize/maximise
    minimize/minimise neighbor/neighbour normalize/normalise optimize/optimise organize/organise recognize/recognise
    serialize/serialise summarize/summarise synchronize/synchronise tire/tyre tires/tyres visualize/visualise
    yoghurt/yogurt lasagne/lasagna okay/ok
    """.split()
_UNITS = {
    "km": "kilometer kilometers kilometre kilometres kms",
    "cm": "centimeter centimeters centimetre centimetres",
    "mm": "millimeter millimeters millimetre millimetres",
    "kg": "kilogram kilograms kilogramme kilogrammes kgs",
    "mg": "milligram milligrams",
    "percent": "%",
    "dollar": "dollars",
    "euro": "euros",
}
# Words that stand for one another in every question.
SAME = {
    **{word: str(number) for number, word in enumerate(_NUMBERS)},
    **{word: unit for unit, words in _UNITS.items() for word in words.split()},
    **dict(pair.split("/") for pair in _SPELLINGS),
    "&": "and",
    "automobile": "car",
    "automobiles": "cars",
    "biggest": "largest",
    "frequently": "often",
    "golang": "go^",
    "javascript": "js",
    "kubernetes": "k8s",
    "obtain": "get",
    "postgresql": "postgres",
    "purchase": "buy",
    "television": "tv",
    "quicker": "faster",
    "usa": "us^",
    "which": "what",
    "whilst": "while",
}
_VERBS = "become come cost differ get give grow happen keep live make mean need take work".split()
# The present of verbs, and its form beside "does": "how it works", "how does it work".
PRESENT = {
    "goes": "go",
    **{f"{verb}s": verb for verb in _VERBS},
}  # fmt: skip
