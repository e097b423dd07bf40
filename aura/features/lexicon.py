"""Words and what they tell of a request, in the languages that write blanks between words.

A class of words becomes one feature. ``WORDS`` holds whole words, ``STEMS`` the first five letters of inflected ones
("prove" and "proven" have no common stem of use, "demuestra" and "demuestre" do), ``PAIRS`` two words in a row.
All in lower case. Where a word would tell two things it is listed for the one that it tells more often.
"""

from __future__ import annotations

_WORDS = {
    "greeting": """
        hello hi hey hiya howdy greetings goodbye bye cheers hola bonjour salut hallo moin ciao salve olá oi hej hei
        привет здравствуйте здравствуй merhaba selam cześć ahoj szia γεια namaste salaam shalom welcome buenos buenas
        gracias merci danke grazie obrigado obrigada спасибо dziękuję teşekkürler tak tack takk kiitos dank bedankt
        thanks thank thx ty okay ok great perfect awesome cool nice yes no nope yep да нет ja nein oui sí si
        non sim""",
    "prove": """
        prove proof proves montrez montrer leite доведіть доведи proving proven derive derivation rigorous
        rigorously theorem lemma corollary conjecture
        induction contradiction axiom axioms irrational decidable undecidable bijection isomorphic isomorphism
        beweise beweis beweisen zeige zeigen herleiten démontrer démontrez démontre prouver prouvez prouve preuve
        demuestra demostrar demuestre demostración prueba dimostra dimostrare dimostrazione prove provar demonstre
        докажи докажите доказать доказательство выведи выведите udowodnij dowód kanıtla kanıtlayın ispatla ispat
        bewijs bevisa bevis todista dokaž απόδειξε buktikan chứng""",
    "design": """
        design designing architect architecture architectural blueprint strategy roadmap plan planning scalable
        framework infrastructure migrate migration model specification propose devise formulate
        entwirf entwerfen entwickle architektur konzept konzipiere concevez conçois concevoir proposez élaborez
        diseña diseñar arquitectura propón progetta progettare architettura projete projetar arquitetura desenhe
        спроектируй спроектируйте разработай разработайте архитектуру архитектура предложи zaprojektuj architekturę
        tasarla tasarlayın mimari mimarisi ontwerp designa utforma rancang navrhni thiết""",
    "analyse": """
        analyse analyze analysing analyzing analysis analytical evaluate evaluation assess assessment critique
        critically
        critical compare contrast justify justification investigate examine diagnose prioritise prioritize recommend
        recommendation implications tradeoffs tradeoff trade-offs trade-off argue synthesize debate weigh root-cause
        analysiere analysieren bewerte bewerten vergleiche vergleichen begründe begründen beurteile untersuche
        analysez analyse évaluez évalue comparez compare justifiez justifie examinez analiza analizar evalúa compara
        justifica argumenta analizza valuta confronta giustifica analise avalie justifique проанализируй
        проанализируйте анализ сравни сравните обоснуй обоснуйте оцени оцените przeanalizuj porównaj uzasadnij oceń
        analiz değerlendir karşılaştır gerekçelendir analyseer vergelijk beoordeel analysera jämför bandingkan""",
    "explain": """
        explain explaining explanation describe description discuss outline overview elaborate clarify introduce
        difference differences advantages disadvantages pros cons causes reasons benefits importance tips ideas
        suggest
        erkläre erklären erklär beschreibe unterschied warum wieso explique expliquez expliquer décris décrivez
        différence pourquoi explica explicar describe describa diferencia spiega spiegare descrivi differenza
        explicação
        descreva diferença объясни объясните расскажи опиши разница почему wyjaśnij opisz różnica dlaczego açıkla
        anlat fark neden uitleggen leg verschil förklara beskriv skillnad jelaskan perbedaan giải""",
    "summarise": """
        summarise summarize summary summarizing paraphrase rephrase rewrite proofread shorten simplify condense
        improve polish edit fasse zusammen zusammenfassung zusammenfassen résume résumez résumer résumé resume resumir
        resumen riassumi riassunto resuma сократи перескажи резюмируй кратко streść podsumuj özetle samenvatten
        samenvatting vat sammanfatta ringkas""",
    "compose": """
        write draft compose create generate produce prepare make poem story essay email letter song article blog post
        speech slogan description itinerary recipe schreibe schreib verfasse erstelle écris écrivez rédige rédigez
        crée escribe escriba redacta crea scrivi componi escreva crie redija напиши напишите составь сочини создай
        napisz stwórz yaz oluştur schrijf maak skriv tulis buat viết""",
    "translate": """
        translate translation übersetze übersetzen traduis traduisez traduire traduce traducir traduci traduza
        переведи переведите przetłumacz çevir vertaal översätt terjemahkan dịch""",
    "lookup": """
        capital meaning means mean called named name spell spelling synonym antonym opposite plural
        abbreviation acronym
        stand stands symbol currency population convert hauptstadt bedeutet heißt capitale signifie appelle significa
        llama столица называется означает stolica nazywa başkenti başkent hoofdstad heet huvudstad ibu""",
    "code_noun": """
        function functions class classes method code script program programme algorithm api sql query regex database
        python java javascript typescript rust golang kotlin swift php bash shell html css react django flask node
        numpy pandas cpp haskell scala perl matlab json xml yaml csv array arrays list tuple dictionary string
        integer loop recursion struct pointer variable library package module compiler server backend frontend docker
        kubernetes git linux unity queue stack binary hash linked node nodes funktion fonction función
        funzione função функцию функция код fonksiyon kod functie funktionen programm programa programma""",
    "code_verb": """
        implement implements implementing implementation refactor optimize optimise deploy compile parse code coding
        implementiere implementieren programmiere implémente implémentez implementa implementar реализуй реализуйте
        zaimplementuj uygula implementeer implementera""",
    "debug": """
        bug bugs debug debugging error errors exception traceback fails failing failed crash crashes broken fix stuck
        deadlock deadlocks race segfault leak leaks flaky timeout undefined fehler erreur bogue ошибка ошибку
        błąd hata
        fout working doesn't isn't won't""",
    "code_hard": """
        tree trees graph graphs heap trie cache lru parser parsers compiler interpreter garbage collector allocator
        thread threads threading thread-safe multithreaded socket sockets binary-search kernel cuda simd extension
        manifest pagination virtualised virtualized multiplayer shader terraform operator webhook oauth websocket
        websockets scraper crawler selenium puppeteer playwright opencv tensorflow pytorch keras dataframe dataframes
        vba macro component components middleware migration migrations orm pipeline pipelines plugin simulation
        simulator emulator dynamic-programming backtracking automaton grammar lexer concurrency scheduler""",
    "hard_tech": """
        distributed concurrency concurrent consistency consensus sharding replication partition latency throughput
        asynchronous lock-free mutex semaphore atomicity idempotent fault-tolerant multi-tenant multi-region
        kernel scheduler garbage cryptography cryptographic encryption cipher authentication vulnerability exploit
        adversarial threat protocol tcp quorum raft paxos transaction transactions isolation
        complexity np np-hard amortized logarithmic invariant invariants formal verification semantics lambda monad
        polymorphism inheritance microservices microservice event-driven serverless terraform postgres redis kafka
        transformer gradient backpropagation bayesian regularization convolution eigenvalue covariance estimator
        likelihood posterior stochastic markov heteroscedasticity regression hyperparameter quantum entanglement
        verteilte verteiltes ausfallsichere mandantentrennung распределённой отказоустойчивость tutarlılık
        dağıtık rozproszonego spójność consistencia tolerancia cohérence chiffrée gedistribueerd""",
    "math_term": """
        integral integrals derivative derivatives polynomial polynomials matrix matrices vector vectors determinant
        prime primes integer integers divisor divisors divisible modulo remainder gcd lcm probability expected
        variance
        permutation combinations sequence series limit converge diverges convergence continuous differentiable
        function
        equation equations inequality inequalities quadratic roots root coefficient coefficients exponent logarithm
        log sin cos tan angle angles triangle triangles circle circles radius diameter perimeter area volume
        polygon hexagon rectangle square squares sphere parallel perpendicular coordinates plane axis slope domain
        range real rational complex imaginary arithmetic geometric factorial digits digit sum product quotient
        cyclic abelian subgroup homomorphism ring field finite group groups ideal permutations order vertices edges
        parabola ellipse hyperbola tangent asymptote intersect intersection bisector median
        satisfy satisfies distinct positive negative nonnegative minimum maximum fraction simplest simplify evaluate
        compute gleichung polynom ganze équation polynôme entier ecuación polinomio уравнение многочлен denklem""",
    "word_problem": """
        each per total altogether remaining left bought buys sold sells cost costs price paid pays earns spends spent
        save saves saved gave gives shares shared twice thrice half third quarter times more fewer less than
        dozen hours minutes days weeks months years miles kilometers pounds dollars cents percent discount
        average rate speed week day hour minute many much number began started rest equal equally split divided""",
    "law": """
        plaintiff defendant court statute statutory contract contracts liability liable tort negligence
        jurisdiction constitutional constitution amendment clause landlord tenant deed testator will estate
        conviction murder burglary larceny prosecution evidence hearsay objection admissible attorney lawyer legal law
        laws lawsuit sued sue judgment appeal trial jury seller buyer breach damages mortgage
        easement conveyed grantor property trespass treaty treaties arbitration gdpr compliance indemnity regulation
        rechtlich vertrag contrat juridique contrato jurídico договор закон umowa sözleşme""",
    "medicine": """
        patient patients diagnosis diagnose symptoms symptom treatment disease syndrome clinical infection
        blood pressure examination history pain fever physician hospital therapy drug drugs dose tumor cancer
        artery vein nerve muscle muscles bone bones tissue chronic acute lesion serum mg surgery virus viral bacteria
        immune antibody hormone insulin diabetes renal hepatic cardiac pulmonary gene genes
        chromosome mutation mutations inherited genetic""",
    "business": """
        company companies firm firms market markets price demand supply tax income revenue profit profits
        asset assets liabilities equity debt bond bonds stock stocks interest inflation investment investor
        audit auditor accounting accountant depreciation inventory shareholders shareholder corporation management
        marketing customer customers brand employees employee organization strategy monetary fiscal gdp unemployment
        elasticity monopoly cost budget bank loan dividends partnership cash statement balance""",
    "humanities": """
        war century king queen empire president congress government political politics party revolution
        treaty democracy policy states soviet union british american french german roman greek ancient culture
        society social religion religious god buddhist buddhism islam islamic christian christianity jewish hindu
        philosophy philosopher kant plato aristotle utilitarianism ethics ethical historian colonial
        archaeological archaeologists dynasty medieval renaissance passage author""",
    "psychology": """
        psychology psychologist psychological behavior behaviour cognitive memory learning therapy therapist client
        child children personality anxiety depression conditioning reinforcement stimulus perception attitude
        motivation freud piaget erikson disorder adolescent attachment emotion emotional test validity reliability
        counselor adult adults""",
    "science": """
        energy force mass velocity acceleration momentum gravity electric magnetic current voltage resistance
        circuit wave frequency wavelength temperature heat pressure gas liquid solid atom atoms molecule molecules
        electron electrons proton neutron nucleus ion ions acid base reaction reactions equilibrium enthalpy entropy
        oxidation solution molar bond isotope element elements compound compounds cell cells membrane protein
        proteins enzyme dna rna evolution species organism organisms population photosynthesis plant plants animal
        animals ecosystem planet planets star stars sun earth moon orbit telescope light speed particle charge
        friction density transistor diode capacitor inductor coil generator motor flux power""",
    "logic": """
        premise premises conclusion valid invalid argument arguments fallacy implies iff logically deduce infer
        inferred inference statement statements true false proposition predicate assumption assume suppose
        consistent inconsistent wrong morally moral scenario scenarios standards character puzzle clue clues house
        houses constraint""",
    "trivia": """
        movie film actor actress singer song album band show season episode sang sings plays played cast character
        team won win cup league super bowl football baseball nba nfl nba olympic championship tv
        book novel wrote author painted invented discovered born died founded released
        city river country island mountain lake state flag""",
    "negation": """
        not no never none neither nor without except cannot can't don't doesn't isn't aren't won't nicht kein keine
        ohne ne pas sans jamais sin nunca ningún non senza não sem не без nie bez değil olmadan niet zonder inte utan
        least false incorrect""",
    "conditional": """
        if when whenever unless suppose assuming assume given let consider where provided whether wenn falls
        angenommen
        sei seien si supposons soit suponga sea se seja если пусть предположим jeśli niech eğer als stel om låt""",
    "connective": """
        because therefore however although while since thus hence despite whereas moreover furthermore consequently
        but so weil jedoch obwohl deshalb parce donc cependant porque aunque perché quindi pois porém потому однако
        поэтому ponieważ jednak çünkü ancak""",
    "comparative": """
        best most better worse greater larger smaller higher lower highest lowest likely primarily mainly main primary
        similar different same closest""",
    "constraint": """
        must should exactly only every any both either between within limit limits requirement requirements required
        ensure guarantee maximum minimum without strictly avoid include including consider support handle at-least
        muss müssen sollte genau doit doivent exactement debe deben exactamente deve devono esattamente должен должны
        точно musi dokładnie zorunda moet precies""",
    "depth": """
        detailed thorough thoroughly comprehensive comprehensively carefully deep depth rigorous exhaustive complete
        precise precisely production-ready failure failures edge quantify counterexample counter-example generalize
        generalise pseudocode proofs alternatives assumptions step steps detailliert ausführlich gründlich schritt
        détaillé détaillée étape étapes détail detallado detallada detalladamente paso exhaustivo dettagliato passo
        detalhado detalhada подробно подробный шаг строго полный szczegółowo krok detaylı ayrıntılı adım
        gedetailleerd stap utförlig rinci""",
    "brevity": """
        briefly brief short simple simply quick quickly just one-word single concise concisely basic basics
        beginner child kid kids kurz einfach knapp bref brièvement simple simplement court corto breve
        brevemente sencillo
        simples curto semplice коротко просто простыми кратко krótko prosto kısa kısaca basit kort enkel eenvoudig
        singkat yes/no paragraph sentence sentences words bullet""",
    "which": """
        which welche welcher welches quel quelle quels quelles cuál cuáles quale quali qual quais какой
        какая hangi""",
    "what": "what what's was que qué quoi che cosa que что co ne wat vad apa",
    "who_when_where": """
        who who's whom whose when where wer wann wo qui quand où quién cuándo dónde chi quando dove quem onde
        кто когда
        где kto kiedy gdzie kim kiedy nerede wie wanneer waar vem när var siapa kapan""",
    "why": "why how's warum wieso pourquoi porqué perché почему зачем dlaczego neden niçin waarom varför mengapa",
    "how": "how wie comment cómo como come как jak nasıl hoe hur bagaimana",
    "find": """
        find calculate compute determine solve evaluate berechne bestimme löse finde calcule calculez trouve trouvez
        résous calcula encuentra resuelve determina calcola trova risolvi encontre resolva найди найдите вычисли реши
        oblicz znajdź rozwiąż hesapla bul çöz bereken vind beräkna hitung""",
    "pronoun": """
        he she his her him they their them i my me we our you your man woman boy girl mr mrs friend mother father john
        mary family store school""",
    "common": """
        the a an of to in and is are was were be been for on with as by at from or that this these those it its has
        have had which what will would can could may do does did""",
    "foreign": """
        der die das und ist nicht ein eine den mit für auf von zu im dem des le la les des une est dans pour
        avec sur du
        et el los las una es en por con para del un il lo gli di per con sono è o os as uma do da em и в на с по для
        это от из к и w z na do się jest ve bir bu için ile het een van en voor och att det som på dan yang di untuk
        và của là""",
    "listing": "list enumerate examples example instances bullet table ten five three top",
    "passage": """
        passage text paragraph article document context excerpt following below above according text: texte
        texto testo
        текст tekst metin abschnitt""",
    "classify": """
        classify sentiment label extract identify category positive negative spam categorize classification
        entities keywords detect language reply answer respond repeat output return correct antworte réponds responde
        rispondi responda ответь odpowiedz cevapla""",
    "roleplay": "act roleplay pretend imagine persona assistant expert senior professional",
    "data": "data dataset table column columns rows chart graph figure statistics average mean median sample survey",
    "creative": "haiku limerick joke riddle rhyme poem poetry fiction novel scene dialogue plot metaphor style tone",
}

_STEMS = {
    "prove": "bewei démon demos demue dimos доказ dokaz udowo доведі",
    "design": "entwi archi entwe diseñ proge проек архит zapro mimar",
    "analyse": "analy analí anali évalu evalu bewer vergl анали сравн обосн оцени porów diagn assess kritis критик",
    "explain": "expli erklä spieg объяс поясн wyjaś beschr descr décri",
    "summarise": "zusam resum riass summa özetl podsu перес",
    "code_verb": "imple реали",
    "law": "juris juríd contr légis юриди догов",
    "hard_tech": "scala skali distr распр concu crypt krypt шифро asymp algeb topol diffe stoch probab",
}

_PAIRS = {
    "brevity": """one word|yes or|just the|only the|in short|short answer|one sentence|a sentence|few words|
        no code|in one|
        ein wort|einem wort|un mot|una palabra|una parola|uma palavra|одним словом|jednym słowem|tek kelime|één woord|
        plain language|plain english|simple terms|simple words|simple explanation|in brief|the basics""",
    "depth": """step by|all details|full proof|every clause|in detail|in depth|from scratch|first principles|
        every step|each step|edge cases|time complexity|
        failure cases|worst case|root cause|threat model|zero downtime|zero-downtime schema|without downtime|
        trade offs|pros and|sans interruption|ohne ausfall|без простоя""",
    "word_problem": """how many|how much|how long|how far|how old|more than|less than|times as|as many|as much|
        in total""",
    "explain": """how does|how do|how to|how would|how can|how should|what are|are some|walk me|what should|
        what could|
        tell me|what questions|works and|wie funktioniert|comment fonctionne|cómo funciona|come funziona|как работает|
        jak działa|nasıl çalışır|hoe werkt|qué es|was ist|quels sont|cuáles son|what is""",
    "prove": "show that|montrez que|zeige dass|demuestra que|dimostra che|prove that|покажите что|derive the",
    "lookup": """stand for|stands for|capital of|how old|what year|what time|how tall|what day|what color|what colour|
        opposite of|plural of|word for|you say|you pronounce|you spell|what language|which language|the word""",
    "logic": """which of|not wrong|statement 1|statement 2|scenario 1|scenario 2|if and|true or|best describes|
        following is|following statements|of these|all of|none of|both a""",
    "passage": """the following|this text|the text|the passage|according to|based on|the document|this article|
        this page""",
    "debug": "not working|doesn't work|does not|isn't working|wrong with|is wrong|my code|keeps failing|fix it",
}


def _whole(table: dict[str, str]) -> dict[str, str]:
    """Invert a table of words. The class that is listed first keeps a word that two classes have."""
    found: dict[str, str] = {}
    for name, words in table.items():
        for word in words.split():
            found.setdefault(word, name)
    return found


def _pairs(table: dict[str, str]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for name, text in table.items():
        for pair in text.split("|"):
            words = pair.split()
            if len(words) == 2:
                found.setdefault((words[0], words[1]), name)
    return found


CLASSES = tuple(_WORDS)
WORDS = _whole(_WORDS)
STEMS = _whole(_STEMS)
PAIRS = _pairs(_PAIRS)

# Words that a request may begin with before it says what is asked.
LEADS = frozenset(
    """
    i i'd i'm was am just wondering if whether you could can would will tell me like want need to know help us we so
    """.split()
)
# Words that soften a request; what follows them is the request.
SOFTENERS = frozenset("please kindly bitte svp пожалуйста proszę lütfen alstublieft snälla prosím tolong".split())
# Classes that tell what a text is about: they are counted in the whole of it, answer options included.
TOPICS = (
    "law", "medicine", "business", "humanities", "psychology", "science", "logic", "trivia", "math_term",
        "word_problem",
    "hard_tech", "code_noun", "pronoun", "negation", "conditional", "comparative", "data",
)  # fmt: skip
# Words of programming languages; they count wherever they stand.
CODE = frozenset(
    """
    def return import elif lambda const let void int str bool float char static public private null none nil self this
    func fn var struct enum std println printf console await async catch throw assert select insert join foreach endl
    cout cin len range args kwargs print init boolean namespace using extends override sizeof typedef stdio
        include grep
    sudo echo chmod usr div span img href npm pip
    """.split()
)
# What stands for a quantity, where it stands alone.
LETTERS = frozenset("bcdfghjklmnpqrstuvwxyz")
