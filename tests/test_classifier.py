"""The classifiers: tiers that must hold, what must make no difference, and sums that must come out."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura import classifier, features
from aura.call import TIERS, Tier, Verdict
from aura.classifier import learned, model
from aura.settings import ClassifierSettings

LEARNED = ClassifierSettings(type="learned")
JUDGE = classifier.build(LEARNED)


def chat(*turns, **body):
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(turns)], **body}


SIMPLE = [
    ("Hello", "ECO"),
    ("Can you explain the basics of machine learning and provide a simple explanation?", "BALANCED"),
    ("Write a Java class that implements a binary search tree", "PREMIUM"),
]


@pytest.mark.parametrize("kind", ["heuristic", "learned"])
@pytest.mark.parametrize(("prompt", "tier"), SIMPLE)
def test_plain_prompts_find_their_tier(kind, prompt, tier):
    assert tier == classifier.build(ClassifierSettings(type=kind))(chat(prompt)).tier


@pytest.mark.parametrize(
    ("prompt", "tier"),
    [
        ("my CODE", "PREMIUM"),
        ("x" * 501, "PREMIUM"),
        ("x" * 500, "BALANCED"),
        ("x" * 99, "ECO"),
        ("x" * 100, "BALANCED"),
        ("show me", "BALANCED"),
        ("Explain", "BALANCED"),
        ("", "ECO"),
    ],
)
def test_the_rule_of_thumb_looks_for_words_and_length(prompt, tier):
    assert tier == classifier.build(ClassifierSettings(type="heuristic"))(chat(prompt)).tier


@pytest.mark.parametrize(
    ("prompt", "tier"),
    [
        ("What does the word 'architecture' mean?", "ECO"),
        ("Who designed the Golden Gate Bridge?", "ECO"),
        ("Wie heißt die Hauptstadt von Norwegen?", "ECO"),
        ("谢谢！", "ECO"),
        ("Erkläre mir, wie ein Kühlschrank funktioniert, mit einem Beispiel.", "BALANCED"),
        ("Write a Python function that returns the median of a list.", "BALANCED"),
        ("Write a short poem about the sea for my father.", "BALANCED"),
        ("Prove that there is no rational number whose square is 7.", "PREMIUM"),
        ("Beweise den Satz von Bolzano-Weierstraß.", "PREMIUM"),
        ("证明根号五是无理数。", "PREMIUM"),
        (
            "Design a distributed job scheduler for three regions: consistency, failover, fairness between tenants, "
            "and the trade-offs of each choice.",
            "PREMIUM",
        ),
    ],
)
def test_the_learned_classifier_tells_easy_from_hard(prompt, tier):
    assert tier == JUDGE(chat(prompt)).tier


def test_the_last_turn_decides_not_what_came_before():
    hard = "Prove that every finite integral domain is a field."

    assert "ECO" == JUDGE(chat(hard, "Take a nonzero element a; multiplication by a is injective.", "thanks!")).tier
    assert "PREMIUM" == JUDGE(chat("hi", "Hello! How can I help?", hard)).tier


def test_a_score_and_a_tier_can_be_had_alone():
    body = chat("Prove that the square root of 2 is irrational.")

    assert JUDGE(body).score == classifier.score(body["messages"][0]["content"])
    assert Tier.PREMIUM == classifier.classify(body["messages"])


@given(st.text(max_size=300))
def test_every_text_gets_a_score_and_probabilities(prompt):
    verdict = JUDGE(chat(prompt))

    assert 0 < verdict.score < 1
    assert verdict.tier in TIERS
    assert pytest.approx(1) == sum(verdict.probabilities)
    assert verdict == JUDGE(chat(prompt))


PROMPTS = [
    "What is the capital of Norway?",
    "Explain how vaccines work in a few sentences.",
    "Write a Python function that reverses a string.",
    "Prove that the square root of 3 is irrational.",
    "Design a rate limiter for two million requests per second and discuss its failure modes",
    "Which gas do plants take in?\nA. Oxygen\nB. Nitrogen\nC. Carbon dioxide\nD. Helium\nAnswer:",
    "def f(x):\n    return x + 1\n\nWhat does f(2) return?",
    "Wie funktioniert eine Wärmepumpe?",
    "素数が無限にあることを証明してください。",
    "Tom has 3 apples and buys twice as many. How many does he have?",
    "hello",
    "",
]
BEFORE = [
    "",
    "Please ",
    "Hi! ",
    "Hello, ",
    "Dear assistant, ",
    "Good morning! ",
    "Could you please ",
    "Kindly ",
    "I hope you are doing well. ",
    "Sorry to bother you, ",
    "Dear Dr. Okafor, ",
    "Hi Claude, ",
    "G'day mate! ",
    "😊 Hi there! ",
    "Hiya, hope you're having a lovely Tuesday! ",
    "Would you be so kind as to help me out with the following? ",
    "Forgive me for asking, but ",
    "Guten Abend zusammen, ich hoffe, es geht Ihnen gut. ",
    "Excusez-moi de vous déranger, j'espère que vous allez bien. ",
    "¡Hola! Buenas noches, espero que se encuentre muy bien. ",
    "Por favor, ¿podrías ayudarme? ",
    "Buongiorno, spero che tu stia bene! ",
    "Bom dia, tudo bem? ",
    "God morgon! Hoppas allt är bra med dig. ",
    "Dobrý den, mám prosbu. ",
    "Dzień dobry, mam pytanie. ",
    "Добрый вечер! Будьте добры, помогите пожалуйста. ",
    "Merhaba, kolay gelsin. ",
    "Xin chào, làm ơn giúp tôi. ",
    "السلام عليكم ورحمة الله وبركاته، ",
    "नमस्ते, कृपया मेरी मदद करें। ",
    "สวัสดีครับ ",
    "您好,打扰一下,",
    "お世話になっております。",
    "안녕하세요, 실례합니다. ",
]
AFTER = [
    "",
    " Thanks!",
    " Thank you very much in advance.",
    " Please.",
    " I really appreciate your help!",
    " Cheers",
    " Many thanks, best regards",
    " Merci beaucoup !",
    " Vielen Dank im Voraus!",
    " thank you so much :)",
    "\n\nBest,\nJohn",
    "\nKind regards,\nMaria K.",
    " Thanks, Priya",
    " Thank you! - Bob",
    "\nMit freundlichen Grüßen\nHans Meier",
    " 🙏🙏🙏",
    " 🙏 thanks :)",
    " TYSM!!",
    " I really, really appreciate it.",
    " Thanks for taking the time.",
    " Have a wonderful rest of your week, and God bless.",
    "\nYours faithfully,\nMargaret Hale",
    " Ich danke Ihnen.",
    " Je vous remercie.",
    " Muchísimas gracias.",
    " Grazie mille e buona giornata!",
    " Agradeço desde já.",
    " Mange tak for hjælpen!",
    " Kiitos paljon avusta!",
    " Bardzo dziękuję i pozdrawiam serdecznie.",
    " Děkuji mnohokrát za pomoc.",
    " Заранее огромное спасибо за ответ!",
    " Çok teşekkür ederim, iyi günler.",
    " Σας ευχαριστώ πολύ!",
    " Cảm ơn bạn rất nhiều.",
    " شكراً",
    " बहुत-बहुत धन्यवाद",
    " ขอบคุณมากครับ",
    " 非常感谢你的帮助!",
    " よろしくお願いいたします。",
    " 고마워요!",
]


@pytest.mark.parametrize("filler", [*BEFORE, *AFTER])
def test_polite_filler_is_no_part_of_what_is_measured(filler):
    """So near a threshold, too, no prompt is lowered by it."""
    prompt = "In which of these ways can a group of order 15 act on a set of 7 elements without a fixed point?"
    polite = filler + prompt if filler in BEFORE else prompt + filler

    assert pytest.approx(JUDGE(chat(prompt)).score, abs=0.01) == JUDGE(chat(polite)).score


@given(st.sampled_from(PROMPTS), st.sampled_from(BEFORE), st.sampled_from(AFTER))
def test_polite_filler_never_lowers_a_tier(prompt, before, after):
    plain, polite = JUDGE(chat(prompt)), JUDGE(chat(before + prompt + after))

    assert TIERS.index(polite.tier) >= TIERS.index(plain.tier)


@given(st.sampled_from(PROMPTS), st.sampled_from([" ", "\n", "\t", "  \n\n "]))
def test_white_space_and_case_change_nothing(prompt, blank):
    plain = JUDGE(chat(prompt))

    assert plain == JUDGE(chat(blank + prompt.replace(" ", blank) + blank))
    assert pytest.approx(plain.score, abs=0.02) == JUDGE(chat(prompt.upper())).score


def test_a_huge_prompt_is_read_at_its_ends_only():
    body = chat("Prove it. " + "lorem ipsum " * 90_000 + "Summarise.")

    text = features.text.read(body["messages"][0]["content"])

    assert len(text.stem) <= features.text.HEAD + features.text.TAIL + 1
    assert text.length > 1_000_000
    assert JUDGE(body).tier in TIERS


def test_all_processes_agree_to_the_last_digit():
    """Phrases are summed in the order of a set, which hashing shuffles anew in every process."""
    program = f"from aura import classifier; print([classifier.score(prompt) for prompt in {PROMPTS!r}])"

    def scores(seed):
        command = [sys.executable, "-c", program]
        return subprocess.run(command, env={"PYTHONHASHSEED": seed}, check=True, capture_output=True).stdout

    assert scores("1") == scores("2")


@pytest.mark.parametrize("body", [{}, {"messages": []}, {"messages": [{"role": "system", "content": "x"}]}])
def test_a_body_without_a_user_turn_is_judged_all_the_same(body):
    assert "ECO" == classifier.build(ClassifierSettings(type="heuristic"))(body).tier
    assert JUDGE(body).tier in TIERS


@pytest.mark.parametrize("prompt", PROMPTS)
def test_contributions_add_up_to_the_score(prompt):
    found = classifier.explain(chat(prompt), LEARNED)

    assert pytest.approx(found["score"], abs=1e-12) == sum(found["contributions"].values())
    assert JUDGE(chat(prompt)).score == found["score"]
    assert JUDGE(chat(prompt)).tier == found["tier"]


@given(st.text(max_size=300))
def test_contributions_of_any_text_add_up(prompt):
    found = classifier.explain(chat(prompt), LEARNED)

    assert pytest.approx(found["score"], abs=1e-12) == sum(found["contributions"].values())
    assert set(found["contributions"]) <= {*features.NAMES, "base", "phrasing", "bounds"}


def test_an_explanation_tells_the_distance_to_both_thresholds():
    found = classifier.explain(chat("Explain how a sail works."), LEARNED)

    assert pytest.approx(0.3) == found["margins"]["balanced"] - found["margins"]["premium"]
    assert pytest.approx(1) == sum(found["probabilities"].values())


@pytest.mark.parametrize("kind", ["heuristic", "learned"])
def test_an_explanation_is_plain_json(kind):
    found = classifier.explain(chat("Explain how a sail works."), ClassifierSettings(type=kind))

    assert found["tier"] == orjson.loads(orjson.dumps(found))["tier"]


@pytest.mark.parametrize("prompt", [prompt for prompt in PROMPTS if prompt])
def test_the_change_that_flips_a_decision_does_so(prompt):
    body = chat(prompt)
    found, measures = classifier.explain(body, LEARNED), features.measure(body)

    for flip in found["flips"]:
        values = [*measures.values]
        values[features.NAMES.index(flip["feature"])] = flip["to"]
        score, probabilities = model.load().score(replace(measures, values=values))
        assert flip["tier"] == learned.decide(score, probabilities, 0.4, 0.7) != found["tier"]


def test_the_rule_of_thumb_explains_itself_too():
    found = classifier.explain(chat("Please refactor this"), ClassifierSettings(type="heuristic"))

    assert "PREMIUM" == found["tier"]
    assert {"contains 'refactor'": found["score"]} == found["contributions"]


@pytest.mark.parametrize(
    ("score", "probabilities", "tier"),
    [
        (0.39, (0.9, 0.1, 0.0), "ECO"),
        (0.39, (0.1, 0.8, 0.1), "BALANCED"),
        (0.39, (0.1, 0.1, 0.8), "BALANCED"),
        (0.29, (0.1, 0.8, 0.1), "ECO"),
        (0.40, (0.9, 0.1, 0.0), "BALANCED"),
        (0.65, (0.0, 0.4, 0.6), "PREMIUM"),
        (0.65, (0.0, 0.6, 0.4), "BALANCED"),
        (0.70, (1.0, 0.0, 0.0), "PREMIUM"),
    ],
)
def test_two_heads_make_one_decision(score, probabilities, tier):
    """The cut decides; near below a threshold, a tier head that holds more takes the call one tier up."""
    assert tier == learned.decide(score, probabilities, 0.4, 0.7)


def test_thresholds_move_the_tiers():
    def premium(threshold):
        judge = classifier.build(ClassifierSettings("learned", premium_threshold=threshold, balanced_threshold=0.0))
        return [judge(chat(prompt)).tier for prompt in PROMPTS].count(Tier.PREMIUM)

    assert len(PROMPTS) == premium(0.0)
    assert premium(0.3) > premium(0.6) >= premium(0.9)
    assert 0 == premium(1.5)


def test_the_scale_keeps_every_order_and_never_ends():
    values = [-50.0, -1.0, 0.0, 0.05, 0.1, 0.4, 0.7, 0.9, 0.95, 1.0, 3.0, 50.0]

    found = [model.bounded(value) for value in values]

    assert sorted(set(found)) == found
    assert 0 < found[0]
    assert found[-1] < 1
    assert [0.1, 0.4, 0.7, 0.9] == [value for value in found if value in values]


def test_expected_gain_never_falls_with_the_score():
    gains = [model.load().gain(step / 100) for step in range(101)]

    assert sorted(gains) == gains
    assert gains[0] < gains[-1]


def test_numbers_made_for_other_features_are_refused():
    with pytest.raises(ValueError, match="train it anew"):
        model.read({"features": ["other"]})


def test_a_classifier_of_ones_own_is_found_by_its_entry_point(monkeypatch):
    monkeypatch.setattr(
        classifier, "entry_points", lambda group: [EntryPoint("mine", "tests.test_classifier:own_judge", group)]
    )

    verdict = classifier.build(ClassifierSettings(type="mine"))(chat("anything"))

    assert Verdict(tier=Tier.PREMIUM, score=0.75) == verdict


def own_judge(settings):
    return lambda body: Verdict(tier=Tier.PREMIUM, score=settings.premium_threshold + 0.05)


def test_an_unknown_classifier_is_named_with_those_that_are_known():
    with pytest.raises(classifier.UnknownClassifierError, match="'oracle'; known are heuristic, learned"):
        classifier.build(ClassifierSettings(type="oracle"))
