"""Courtesy at both ends of a prompt: greetings, thanks, good wishes and the names that go with them ask for nothing.

It is known by its words, in a text in lower case with single blanks. Every expression here looks at the last or first
:data:`_END` characters only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import lexicon, scripts

# How many characters and tokens from an end courtesy is looked for.
_END, _END_TOKENS = 125, 25
# A sentence made of these and of common words, with at least one of the first kind, asks nothing: it is courtesy.
COURTESY = frozenset(
    """
    please kindly thanks thank thx grateful appreciate appreciated sorry bother hope hello hi hey dear greetings
    wonderful lovely regards sincerely trouble moment wondering favour rush hurry pressure lot whenever fantastic
    amazing awesome brilliant mind obliged bless blessed million chance patience hopefully schön legend genius cheers
    pleasure welcome morning afternoon evening apologies excuse pardon bitte danke vielen grüße hallo liebe lieber
    merci bonjour salut svp plaît cordialement bonsoir gracias hola favor saludos buenos buenas grazie ciao prego
    cortesia saluti obrigado obrigada olá пожалуйста спасибо привет здравствуйте благодарю proszę dziękuję cześć dzień
    lütfen teşekkürler teşekkür merhaba alstublieft alsjeblieft bedankt dank tack hej snälla takk kiitos prosím děkuji
    tolong terima kasih hopeful rushing gladly ta yo hiya howdy g'day aloha salutations namaste shalom faithfully
    gratitude thankful indebted pls plz thnx thanx thankyou tysm tyvm xoxo servus moin dankeschön herzlichen buongiorno
    buonasera scusi gentilmente cortesemente disculpe disculpa perdone coucou infiniment excusez excusez-moi oi
    obrigadão agradeço valeu hejsan tak hei hilsner děkuju ahoj witam pozdrawiam szia sziasztok kívánok köszönöm köszi
    mulțumesc mersi selam sağol chào cảm дякую вітаю доброго ευχαριστώ παρακαλώ γεια salamat asante toda arigato
    arigatou konnichiwa dhanyavaad shukriya mulţumesc perdona molestar entschuldigung entschuldigen favore ringrazio
    agradezco remercie благодарен благодарна dzięki mahalo forgive aidez-moi obrigadinho desculpe desculpa
    """.split()
)
# Words that go along with courtesy and ask for nothing by themselves.
COMPANY = frozenset(
    """
    i i'm i'd i'll you you're your yours me my we us it this that these a an the in of to for and or so very much many
    is are am be been was would could can will may might shall do does did have has had if not no any all well good
    nice great best kind help helping helpful time day today week patience advance question assistant friend there
    really truly just quick little bit everything being having with on at as by from one what mind able soon ai chatbot
    let know wish doing today's assistance attention support effort efforts advice thoughts busy disturb following ask
    something means answer get it's don't reply response understanding request when assist answering hear back glad
    lifesaver star life most else happen days i've see ya later till then free here again else's mean message finds
    whether too give take tell reading spare second minute god rock mate buddy pal bro dude sir madam folks everyone
    everybody team kindly fellow hearing forward look looking happy love always ever also sehr im voraus für ihre deine
    hilfe mir könnten sie du kannst und die guten tag morgen abend beaucoup d'avance pour votre ton aide vous pourriez
    s'il te de antemano por su tu ayuda muchas mucho podría usted un una días tardes anticipo per il tuo suo aiuto
    mille molto muito pela sua ajuda bom dia заранее за помощь вашу большое добрый день вам вы dobry za pomoc z góry
    dużo worries bunch tons inconvenience out guys gang okay zusammen ich hoffe es geht einen schönen noch wünsche
    spero che stia stai buona giornata serata tutto espero que se encuentre tengas tenga esté estés buen noche mil todo
    déranger j'espère allez bonne journée soirée vas et atenção dispensada tudo hoppas allt är bra dig så jättemycket
    på förhand mycket för hjälpen mange hjælpen hjelpen paljon avusta etukäteen mám prosbu mnohokrát předem moc bardzo
    serdecznie jó napot szépen előre frumos mult ziua çok ederim iyi günler banyak atas bantuannya sebelumnya e y xin
    bạn rất nhiều làm ơn giúp tôi дуже огромное ответ помогите мне σας πολύ po sana raba gozaimasu taking once more
    muchísimas la molestia dir lieben liebes буду je wel desde já ti vi tutti tutte tusen mal helfen können ihr asking
    appreciation consideration lo mig hjälpa hjelpe hjælpe les le l'aide avance aidez команда всем очень
    """.split()
)
# Courtesy that is made of words which mean something elsewhere.
FORMULAS = frozenset(
    formula.strip()
    for formula in """
    may i ask you something|may i ask a question|can i ask you something|can i ask a question|quick question
    i have a question|i have a quick question|one quick question|take your time|you're the best|you are the best
    looking forward to your answer|looking forward to your reply|looking forward to your response|best|all the best
    i'm looking forward to your answer|i am looking forward to your answer|have a nice day|have a good one|how are you
    how are you doing|how are you today|good luck|god bless you|i owe you one|it means a lot to me|that would be great
    that would be very helpful|any help would be great|i need your help|i need some help
    looking forward to hearing from you|i look forward to hearing from you|looking forward to hear from you|best wishes
    kind regards|take care|sent from my iphone|good day|good day to you|nice to meet you|you rock|stay safe|be well
    you're awesome|you are awesome|you are amazing|you're amazing|no worries if you can't|no worries if not
    sorry to be a pest|i really|i truly|you're a star|you are a star|mám prosbu|grazie infinite|much respect
    thanks heaps|thanks loads|if it's not too much to ask|with all due respect|with great respect
    with all due respect and many thanks|many thanks in anticipation of your reply|thanks in anticipation
    would you be so kind as to help me out with the following|would you be so kind as to help me|would you be so kind
    would you be so kind as to help me with the following|could you help me with the following|pretty please
    pretty please with sugar on top|keep up the good work|keep up the great work|great job|good job|well done
    have a good rest of your day|top of the morning to you|good day to you all|guten abend|guten tag|guten morgen
    guten abend zusammen|ich hoffe|es geht ihnen gut|es geht dir gut|buona giornata|buona serata|bonne journée
    bonne soirée|bom dia|boa tarde|boa noite|tudo bem|god morgon|god kväll|god dag|god aften|dobrý den|dobrý večer
    dobré ráno|dobar dan|jó napot|iyi günler|добрый вечер|доброе утро|будьте добры|добрий день|buenas noches
    que tengas un buen día|que tenga un buen día|j'espère que vous allez bien|j'espère que tu vas bien
    spero che tu stia bene|spero che stia bene|espero que se encuentre bien|espero que estés bien
    espero que se encuentre muy bien|hoppas allt är bra med dig|hoppas allt är bra|selamat pagi|selamat siang|what's up
    sup|how's it going|how is it going|how's everything|how have you been|i hope all is well
    sorry if this is a silly question|sorry if this is a dumb question|sorry if this is a stupid question
    sorry for the silly question|sorry for the long message|you're a lifesaver|you are a lifesaver|help me out
    can you help me|could you help me|can you help me with this|could you help me with this|i need help|help me please
    ich hätte da mal eine frage|ich hätte eine frage|ich habe eine frage|ich habe mal eine frage|dass ich störe
    ich|ich danke ihnen|ich danke dir|ich danke euch|danke dir|danke ihnen|kannst du mir helfen|können sie mir helfen
    peux-tu m'aider|pouvez-vous m'aider|pourriez-vous m'aider|j'ai une question|podrías ayudarme|podría ayudarme
    puedes ayudarme|me puedes ayudar|me podrías ayudar|tengo una pregunta|poderia me ajudar|pode me ajudar
    você pode me ajudar|tenho uma pergunta|aiutami|puoi aiutarmi|mi puoi aiutare|potresti aiutarmi|ho una domanda
    помогите мне|помоги мне|подскажите|можете помочь|не могли бы вы помочь|у меня вопрос|mam pytanie
    czy możesz mi pomóc|kolay gelsin|sağ olun|sağ ol|yardımcı olur musun|bir sorum var|kan du hjälpa mig
    kan du hjelpe meg|kan du hjælpe mig|kun je me helpen|kunt u mij helpen|ik heb een vraag|můžete mi pomoci
    """.strip()
    .replace("\n", "|")
    .split("|")
)
# How wishes begin and what they end with; between them stand at most three words.
WISHES = tuple(
    tuple(wish.split()) for wish in "have a|have an|having a|enjoy your|enjoy the|wishing you|wish you".split("|")
)
WISHED = frozenset("day evening afternoon morning night weekend week one time holiday rest ahead".split())
FORMULAS_IN_ORDER = tuple(sorted(FORMULAS | {" ".join(wish) for wish in WISHES}))
# With how many letters a formula is told from most texts: as many as the shortest one has.
_SHORTEST = min(map(len, FORMULAS_IN_ORDER))
_BEGINNINGS = frozenset(formula[:_SHORTEST] for formula in FORMULAS_IN_ORDER)
_ENDINGS = frozenset(formula[-_SHORTEST:] for formula in FORMULAS_IN_ORDER)
# How a sentence begins that hopes for someone's well-being; it may go on in many ways, but asks for nothing known.
_HOPES = tuple(
    (
        "i hope this|i hope you are|i hope you're|i hope all|i hope everything|hope this|hope you are|"
        "hope you're|hope you have|hope all|i trust you are|i trust this|hoping you are|hoping you're|hoping all"
    ).split("|")
)
_MOST_HOPED = 16
# What goes before a signature, and what does so only before a sign, as expressions.
CLOSINGS = (
    "regards|faithfully|thanks|thank you|thx|cheers|sincerely|respectfully|cordially|grüßen|grüße|gruß|mfg|danke|"
    "cordialement|merci|saludos|gracias|atentamente|cumprimentos|atenciosamente|obrigado|obrigada|saluti|grazie|"
    "уважением|спасибо|pozdrawiam|dziękuję|saygılarımla|teşekkürler|groet|groeten|bedankt|hälsningar|tack|hilsen|terveisin"
)
CLOSINGS_BEFORE_SIGNS = "best|yours|truly|wishes|love|greetings|care|please|lg|bisous|abrazo|abraço"
WARMTH = (
    "kind|kindest|best|warm|warmest|many|with|yours|very|all the|take|mit|freundlichen|viele|liebe|beste|un|saludo|"
    "cordiali|distinti|с|met|vriendelijke|med|vänliga|muchas|muito|bien"
)
MUCH = (
    "a lot|so much|very much|kindly|again|in advance|for everything|for your help|for your time|for the help|"
    "for helping|beaucoup|d'avance|vielmals|im voraus|für ihre hilfe|für deine hilfe|de antemano|por todo|por su ayuda|"
    "mille|большое|за помощь|pela ajuda|op voorhand|så mycket|z góry"
)
SALUTATIONS = (
    "hi|hello|hey|dear|greetings|hallo|liebe|lieber|bonjour|cher|chère|salut|hola|estimado|estimada|querido|ciao|caro|"
    "cara|olá|prezado|привет|здравствуйте|уважаемый|cześć|merhaba|sevgili|hej|beste"
)
# One of these is among the last words of a text that ends with a closing.
LAST = frozenset(f"{CLOSINGS}|{CLOSINGS_BEFORE_SIGNS}".replace(" ", "|").split("|"))
TELLING = COURTESY | WISHED | LAST
NAMES = frozenset("john mary mr mrs ms dr prof professor sir madam team claude".split())
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_LETTERS = re.compile(r"[^\W\d_]+")
# Where a sentence that could be courtesy ends, and everything that may follow its end.
_STOP = re.compile(r"[^\w\s'’-]|\d|\s[-–—]\s")
_STOPS = frozenset(".!?,;:。！？，、،؟।-–—")
_TURNED = "¡¿"  # before Spanish sentences
_BETWEEN = " .!?,;:。！？，、،؟।-–—"
# The last sentence of a text that is read backwards, of words alone: what holds digits or brackets is never courtesy.
_LAST = re.compile(r"(?:[^\w\s\"'`)\]}>.!?]{0,3}[.!?。！？।~ :)]*+)((?:[^\W\d_]|['’-]|\s(?![-–—]\s)){1,120}+)(?!\w)")
_NAME = r"[^\W\d_]+(?:['’-][^\W\d_]+)*+[. ]*+"
# A closing with the name that follows it; words that often mean more are one only before a sign.
_SIGNED = re.compile(
    rf"(?:^|(?<=[^\w'’-]))(?:(?:{WARMTH}) )*"
    rf"(?:(?:{CLOSINGS})(?: (?:{MUCH}))?(?: ?[,.!–—-]+ ?| )|"
    rf"(?:{CLOSINGS_BEFORE_SIGNS}) ?[,–—-]+ ?)[–—-]? ?((?:{_NAME}){{1,3}})$"
)
_GREETED = re.compile(rf"(?:{SALUTATIONS}) (?:(?:dr|mr|mrs|ms|prof|professor)\.? )?((?:{_NAME}){{1,2}})[,!:–—-]+ ?")
# Of the classes of words: these ask for nothing.
_HARMLESS = frozenset({"common", "greeting", "pronoun", "foreign"})
_PHRASES_BEGIN = frozenset(phrase[0] for phrase in scripts.COURTESY)
_PHRASES_END = frozenset(phrase[-1] for phrase in scripts.COURTESY)
_AFTER_PHRASES = "，、,،!！。.؟?। "
# Faces, hearts and hands at an end, drawn or typed.
_TYPED_SMILES_END, _FIRST_DRAWN = "()dp", "\u200d"  # what a smile ends with, and the first in Unicode of the others
_SMILE = r"[\U0001F300-\U0001FAFF\u2600-\u27BF\uFE0F\u200D]"
_SMILES_FIRST = re.compile(rf"(?:{_SMILE}\s*)+")
_SMILES_LAST = re.compile(rf"(?:\s*{_SMILE}|\s[:;]-?[()dp])+$")
_HAIL = re.compile(r"(?:hi|hello|hey|hallo|bonjour|salut|hola|ciao|olá|привет|merhaba)\s(?:there\s|all\s)?")
_THANKING = (
    "thanks|thank you|thx|ty|please|cheers|regards|danke|bitte|merci|gracias|grazie|obrigado|спасибо|"
    "пожалуйста|takk|kiitos|dziękuję|teşekkürler|děkuji|köszönöm|дякую|ευχαριστώ|xoxo|tyvm|tysm|pls|plz"
)
_THANKS = re.compile(rf"(?:\s(?:{_THANKING}))+[.! ]*$")
_THANKS_LAST = frozenset(thanks.split()[-1] for thanks in _THANKING.split("|"))


def may_be(text: str, first: Sequence[str], last: Sequence[str], told: bool = True) -> bool:
    """Whether there may be courtesy at either end; where there is none, no more is looked for.

    Args:
        text: in lower case and single blanks.
        first: its tokens from the beginning on, at least those of its beginning.
        last: those at its end.
        told: whether there is any of :data:`TELLING` among them all.
    """
    if not text.isascii() or (text[:_SHORTEST] in _BEGINNINGS and text.startswith(FORMULAS_IN_ORDER)):
        return True
    asked = text.rstrip(_BETWEEN)
    if asked[-_SHORTEST:] in _ENDINGS and asked.endswith(FORMULAS_IN_ORDER):
        return True
    return told and not (
        COURTESY.isdisjoint(first[:_END_TOKENS])
        and COURTESY.isdisjoint(last[-_END_TOKENS:])
        and LAST.isdisjoint(last[-6:])
        and WISHED.isdisjoint(last[-3:])
    )


def dropped(text: str) -> str:
    """Drop greetings, thanks, good wishes and names at both ends of a text in lower case; empty if nothing remains."""
    text = _without_opening(_without_closing(text))
    return text if text.isascii() else _without_phrases(text)


def _without_smiles(text: str) -> str:
    if not text.isascii() and (first := _SMILES_FIRST.match(text)):
        text = text[first.end() :]
    if text[-1:] not in _TYPED_SMILES_END and text[-1:] < _FIRST_DRAWN:
        return text
    last = _SMILES_LAST.search(text, max(0, len(text) - 30))
    return text[: last.start()] if last else text


def _without_opening(text: str) -> str:
    for _ in range(6):
        named = _GREETED.match(text)
        if named and all(map(_is_name, _WORD.findall(named[1]))):
            text = text[named.end() :]
            continue
        begin = len(text) - len(text.lstrip(_TURNED))
        stop = _STOP.search(text, begin, _END)
        if not stop or stop[0].strip() not in _STOPS or not _is_courtesy(_WORD.findall(text, begin, stop.start())):
            break
        text = text[stop.end() :].lstrip(_BETWEEN).removeprefix("but ")
    if hail := _HAIL.match(text):
        text = text[hail.end() :]
    return text


def _without_closing(text: str) -> str:
    for _ in range(6):
        text = _without_signature(_without_smiles(text))
        found = _LAST.match(text[: -_END - 1 : -1])
        if not found or not _is_courtesy(_WORD.findall(found[1][::-1])):
            break
        text = text[: len(text) - found.end()].rstrip(" ,;:-–—")
    start = max(0, len(text) - 60)
    if text[start:].rstrip(".! ").rpartition(" ")[2] in _THANKS_LAST and (thanks := _THANKS.search(text, start)):
        text = text[: thanks.start()]
    return text


def _without_signature(text: str) -> str:
    start = max(0, len(text) - _END)
    if LAST.isdisjoint(_LETTERS.findall(text, start)):
        return text
    while signed := _SIGNED.search(text, start):
        if all(map(_is_name, _WORD.findall(signed[1]))):
            return text[: signed.start()].rstrip(" ,;:-–—")
        start = signed.start() + 1
    return text


def _is_courtesy(words: list[str]) -> bool:
    if not words or len(words) > 24:
        return False
    if " ".join(words) in FORMULAS:
        return True
    if len(words) < (9 if "rest" in words else 7) and tuple(words[:2]) in WISHES and words[-1] in WISHED:
        return True
    hopes = len(words) < _MOST_HOPED and " ".join(words[:4]).startswith(_HOPES)
    if hopes and all(lexicon.WORDS.get(word, "common") in _HARMLESS for word in words):
        return True
    return not COURTESY.isdisjoint(words) and all(word in COURTESY or word in COMPANY for word in words)


def _is_name(word: str) -> bool:
    """Whether a word may be somebody's name: no other meaning of it is known."""
    if word in NAMES:
        return True
    return not (word in lexicon.WORDS or word in COURTESY or word in COMPANY or word in lexicon.CODE)


def _without_phrases(text: str) -> str:
    while text[:1] in _PHRASES_BEGIN and text.startswith(scripts.COURTESY):
        phrase = next(phrase for phrase in scripts.COURTESY if text.startswith(phrase))
        text = text[len(phrase) :].lstrip(_AFTER_PHRASES)
    while (short := text.rstrip("!！。.।~ "))[-1:] in _PHRASES_END and short.endswith(scripts.COURTESY):
        phrase = next(phrase for phrase in scripts.COURTESY if short.endswith(phrase))
        text = short[: -len(phrase)].rstrip("，、,، ")
    return text
