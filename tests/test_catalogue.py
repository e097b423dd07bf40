"""What is known of models: names, facts, prices, and the operator's word above them."""

import datetime
import importlib.metadata
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura import catalogue
from aura.call import Price, Tier, Usage
from aura.catalogue import cost_usd
from aura.settings import CAPABILITIES, ModelSettings

KNOWN = catalogue.load()
DATA = Path(catalogue.__file__).parent / "data"


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("gpt-3.5-turbo-0125", "gpt-3.5-turbo"),
        ("gpt-35-turbo", "gpt-3.5-turbo"),
        ("gpt-4-0613", "gpt-4"),
        ("o3-mini-2025-01-31", "o3-mini"),
        ("openai/gpt-4o", "gpt-4o"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("claude-3-haiku-20240307", "claude-3-haiku"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-opus-4@20250514", "claude-opus-4"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet"),
        ("llama3:8b", "llama3"),
        ("llama3:latest", "llama3"),
        ("llama3.1:70b-instruct-q4_0", "llama3.1"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "llama3.1"),
        ("meta-llama/llama-3-70b", "llama3"),
        ("Qwen/Qwen2.5-Coder-7B-Instruct", "qwen2.5-coder"),
        ("mistral:7b-instruct", "mistral"),
        ("deepseek-r1:14b", "deepseek-r1"),
    ],
)
def test_a_dated_tagged_or_pathed_name_means_its_model(name, means):
    found, base = KNOWN.find(name), KNOWN.find(means)

    assert found.known
    assert (found.tier, found.max_output, found.capabilities) == (base.tier, base.max_output, base.capabilities)
    assert found.name == name


@pytest.mark.parametrize(
    "name", ["gpt-99", "my-model", "llama", "llama3000", "gpt-4o-super", "claude", "auto", "", "ft:"]
)
def test_a_name_that_means_nothing_known_is_not_listed(name):
    assert KNOWN.find(name) is None


def test_an_unknown_model_is_ordinary_can_do_everything_and_has_no_limits():
    model = KNOWN.model("my-model", None, "openai")

    assert not model.known
    assert (model.context_window, model.max_output, model.price, model.tier) == (None, None, None, None)
    assert all(model.can(word) for word in ("vision", "tools", "json_schema", "audio", "documents", "streaming"))
    assert not model.can("reasoning")


@pytest.mark.parametrize(
    ("name", "can", "cannot"),
    [
        (
            "gpt-3.5-turbo",
            "tools json_object sampling streaming",
            "vision json_schema reasoning documents audio prefill",
        ),
        ("gpt-4", "tools", "vision json_object json_schema"),
        (
            "gpt-4o",
            "vision tools json_schema documents developer_role",
            "audio reasoning prefill max_completion_tokens",
        ),
        ("gpt-4o-2024-05-13", "vision json_object", "json_schema"),
        ("gpt-4o-audio-preview", "audio", "vision"),
        ("o1", "reasoning vision max_completion_tokens", "sampling streaming"),
        ("o1-mini", "reasoning", "tools system_anywhere developer_role json_schema"),
        ("o3-mini", "reasoning tools json_schema streaming", "vision sampling"),
        ("gpt-5", "reasoning vision max_completion_tokens", "sampling"),
        (
            "claude-3-haiku-20240307",
            "vision tools prefill sampling",
            "json_schema reasoning documents audio system_anywhere",
        ),
        ("claude-3-5-sonnet-20241022", "documents prefill", "json_schema reasoning"),
        ("claude-sonnet-4-5", "json_schema prefill reasoning sampling", "adaptive_thinking"),
        ("claude-opus-4-6", "adaptive_thinking sampling json_schema", "prefill"),
        ("claude-sonnet-4-6", "adaptive_thinking", "prefill"),
        ("claude-opus-4-7", "adaptive_thinking reasoning", "prefill sampling system_anywhere"),
        ("claude-opus-4-8", "system_anywhere", "prefill sampling"),
        ("llama3", "json_schema sampling", "tools vision developer_role"),
        ("llama3.1", "tools", "vision"),
        ("llava", "vision", "tools"),
        ("gemma3:4b", "vision", "tools"),
        ("gemma3:1b", "sampling", "vision"),
        ("deepseek-r1", "reasoning", "vision"),
        ("text-embedding-3-small", "embeddings", "streaming tools"),
        ("nomic-embed-text", "embeddings", "streaming"),
    ],
)
def test_what_a_model_can_do(name, can, cannot):
    model = KNOWN.find(name)

    assert [word for word in can.split() if not model.can(word)] == []
    assert [word for word in cannot.split() if model.can(word)] == []


@pytest.mark.parametrize(
    ("name", "tier", "window", "output"),
    [
        ("gpt-3.5-turbo", Tier.ECO, 16385, 4096),
        ("gpt-4o-mini", Tier.BALANCED, 128000, 16384),
        ("gpt-4o", Tier.PREMIUM, 128000, 16384),
        ("claude-3-haiku-20240307", Tier.ECO, 200000, 4096),
        ("claude-3-sonnet-20240229", Tier.BALANCED, 200000, 4096),
        ("claude-3-5-sonnet-20241022", Tier.PREMIUM, 200000, 8192),
        ("llama3", Tier.ECO, 8192, None),
    ],
)
def test_the_limits_of_the_default_models(name, tier, window, output):
    model = KNOWN.find(name)

    assert (model.tier, model.context_window, model.max_output) == (tier, window, output)


def test_the_table_kept_by_hand_uses_the_closed_set_of_words():
    table = json.loads((DATA / "models.json").read_text())
    words = {word for row in table["models"] for word in row["can"].split()} - set(table["groups"])
    words |= {word for group in table["groups"].values() for word in group.split()}
    names = [name for row in table["models"] for name in (row["name"], *row.get("also", ()))]

    assert words == set(CAPABILITIES)
    assert len(names) == len(set(names))
    assert {row["vendor"] for row in table["models"]} == set(table["sources"])


def test_every_model_kept_by_hand_that_a_vendor_sells_has_a_price():
    table = json.loads((DATA / "models.json").read_text())
    sold = [row["name"] for row in table["models"] if row["vendor"] != "open"]

    assert [name for name in sold if KNOWN.find(name).price is None] == []


def test_the_prices_say_where_they_come_from_and_are_small():
    assert KNOWN.source["package"] == "genai-prices"
    assert datetime.date.fromisoformat(KNOWN.source["date"])
    assert KNOWN.source["version"]
    assert (DATA / "prices.json").stat().st_size + (DATA / "models.json").stat().st_size < 300_000


def test_a_models_price_is_its_vendors():
    assert KNOWN.model("gpt-4o", None, "openai").price == Price(2.5, 10, 1.25)
    assert KNOWN.model("claude-3-haiku-20240307", None, "anthropic").price == Price(0.25, 1.25, 0.03, 0.3, 0.5)


def test_an_older_snapshot_has_its_own_price():
    assert KNOWN.find("gpt-4o-2024-05-13").price.input == 5


def test_a_fine_tuned_models_price_is_not_its_bases():
    assert KNOWN.find("ft:gpt-4o-mini-2024-07-18:org::abc").price == Price(0.3, 1.2)


def test_the_host_tells_whose_price_holds():
    groq = KNOWN.model("llama-3.3-70b-versatile", None, "openai", "https://api.groq.com/openai/v1")
    elsewhere = KNOWN.model("llama-3.3-70b-versatile", None, "openai", "http://localhost:8000/v1")

    assert groq.price == Price(0.59, 0.79)
    assert elsewhere.price is None
    assert groq.capabilities == elsewhere.capabilities


def test_a_stand_in_at_another_host_has_openais_prices():
    assert KNOWN.model("gpt-4o-mini", None, "openai", "http://127.0.0.1:9/v1").price.input == 0.15


@pytest.mark.parametrize("name", ["llama3", "gpt-oss:20b", "my-model"])
def test_a_model_on_ones_own_machine_costs_nothing(name):
    assert cost_usd(Usage(1000, 1000), KNOWN.model(name, None, "ollama").price) == 0


@pytest.mark.parametrize(
    ("name", "kind", "listed"),
    [
        ("o3-mini", "openai", True),
        ("claude-3-opus-20240229", "anthropic", True),
        ("gpt-4o", "azure", True),
        ("llama3.2:1b", "ollama", True),
        ("gpt-4o", "anthropic", False),
        ("claude-3-opus-20240229", "openai", False),
        ("gpt-4o", "ollama", False),
        ("gpt-4o", "demo", False),
        ("gpt-99", "openai", False),
    ],
)
def test_a_vendor_lists_its_own_models(name, kind, listed):
    assert KNOWN.lists(name, kind) is listed


class TestOperatorsWord:
    """What the configuration says stands above the catalogue."""

    def test_limits_and_price(self):
        said = ModelSettings("gpt-4o", context_window=1000, max_output=10, price=Price(1, 2))

        model = KNOWN.model("gpt-4o", said, "openai")

        assert (model.context_window, model.max_output, model.price) == (1000, 10, Price(1, 2))

    def test_a_price_on_ones_own_machine(self):
        assert KNOWN.model("llama3", ModelSettings("llama3", price=Price(1, 2)), "ollama").price == Price(1, 2)

    def test_capabilities_replace_what_a_request_may_hold(self):
        model = KNOWN.model("gpt-4o", ModelSettings("gpt-4o", capabilities=frozenset({"tools", "audio"})), "openai")

        assert model.can("audio")
        assert not model.can("vision")
        assert model.can("sampling")

    def test_a_deployments_base_model(self):
        model = KNOWN.model("prod", ModelSettings("prod", base_model="gpt-4o-mini"), "azure")

        assert (model.name, model.known, model.max_output, model.price.input) == ("prod", True, 16384, 0.15)


def test_cached_tokens_are_priced_apart():
    usage = Usage(input=1_000_000, output=100_000, cached_read=600_000, cached_write=100_000, reasoning=50_000)

    assert cost_usd(usage, Price(3, 15, 0.3, 3.75)) == pytest.approx(0.3 * 3 + 0.6 * 0.3 + 0.1 * 3.75 + 0.1 * 15)
    assert cost_usd(usage, Price(3, 15)) == pytest.approx(1.0 * 3 + 0.1 * 15)
    assert cost_usd(usage, None) == 0


def test_what_is_written_for_an_hour_has_a_price_of_its_own():
    usage = Usage(input=1_000_000, cached_write=500_000, cached_write_1h=200_000)

    assert cost_usd(usage, Price(3, 15, 0.3, 3.75, 6)) == pytest.approx(0.5 * 3 + 0.3 * 3.75 + 0.2 * 6)
    assert cost_usd(usage, Price(3, 15, 0.3, 3.75)) == pytest.approx(0.5 * 3 + 0.5 * 3.75)


def test_reasoning_is_part_of_the_output():
    assert cost_usd(Usage(0, 100, reasoning=90), Price(1, 10)) == cost_usd(Usage(0, 100), Price(1, 10))


def test_a_provider_that_counts_more_cached_than_sent_earns_nothing():
    assert cost_usd(Usage(input=10, cached_read=50), Price(1, 1, 0.5)) == pytest.approx(25 / 1_000_000)


@given(st.text(max_size=40))
def test_any_name_can_be_looked_up(name):
    model = KNOWN.model(name, None, "openai")

    assert model.name == name


def script():
    """The generator, loaded from its file: it is no part of the package."""
    path = Path(__file__).parent.parent / "training" / "prices.py"
    spec = importlib.util.spec_from_file_location("prices", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


price = SimpleNamespace


class TestGenerator:
    """``training/prices.py``, on data of its input's shape."""

    DAY = datetime.date(2026, 6, 1)

    def test_prices_are_those_of_the_day(self):
        history = [
            price(constraint=None, prices=price(input_mtok=10, output_mtok=40)),
            SimpleNamespace(
                constraint=price(start_date=datetime.date(2026, 5, 1)), prices=price(input_mtok=2, output_mtok=8)
            ),
            SimpleNamespace(
                constraint=price(start_date=datetime.date(2026, 7, 1)), prices=price(input_mtok=1, output_mtok=4)
            ),
            SimpleNamespace(constraint=price(start_time=1, end_time=2), prices=price(input_mtok=0, output_mtok=0)),
        ]

        assert script().price_of(history, self.DAY) == [2, 8]

    @pytest.mark.parametrize(
        ("given", "row"),
        [
            (price(input_mtok=0.5, output_mtok=1.5, cache_read_mtok=None, cache_write_mtok=None), [0.5, 1.5]),
            (price(input_mtok=3, output_mtok=15, cache_read_mtok=0.3, cache_write_mtok=3.75), [3, 15, 0.3, 3.75]),
            (price(input_mtok=3, output_mtok=15, cache_read_mtok=None, cache_write_mtok=3.75), [3, 15, None, 3.75]),
            (price(input_mtok=price(base=2.5), output_mtok=15), [2.5, 15]),
            (price(input_mtok=0.02, output_mtok=None), [0.02, 0]),
            (price(input_mtok=None, output_mtok=None), None),
        ],
    )
    def test_a_row_holds_four_prices_at_most(self, given, row):
        assert script().price_of(given, self.DAY) == row

    def test_names_and_beginnings_of_names(self):
        clauses = [price(equals="a"), price(starts_with="a-"), price(regex=r"^a-5\.1-\d{8}$"), price(contains="zz")]

        assert script().names_of(price(or_=clauses)) == ({"a", "a-5.1"}, {"a-"})
        assert script().names_of(price(equals="b")) == ({"b"}, set())

    def test_a_model_without_price_and_window_is_left_out(self):
        models = [
            price(id="a", match=price(equals="a"), context_window=None, prices=price()),
            SimpleNamespace(
                id="b", match=price(equals="b"), context_window=10, prices=price(input_mtok=1, output_mtok=2)
            ),
        ]

        rows = list(script().rows_of(price(models=models), self.DAY))

        assert rows == [{"id": "b", "window": 10, "price": [1, 2]}]


def test_the_generated_file_is_what_the_generator_makes(tmp_path):
    """The same version of the package and the same date give the same bytes."""
    pytest.importorskip("genai_prices")
    if importlib.metadata.version("genai-prices") != KNOWN.source["version"]:
        pytest.skip("another version of genai-prices is installed")

    made = script().document(datetime.date.fromisoformat(KNOWN.source["date"]))

    assert made == (DATA / "prices.json").read_text()
