"""The words of the report: guards that hold, and languages that say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT

from pipeline.core.model.naming import read_playbook
from pipeline.core.run.errors import InputError
from pipeline.render_report.conditions import condition_in_words, gates_in_words
from pipeline.render_report.language import (
    CONDITION,
    FIELDS,
    PLACEHOLDER,
    WORDS,
    Alternative,
    holds,
    read_language,
)
from pipeline.render_report.sentences import CUSTOMER_FIGURES, SEGMENT_FIGURES, Writer

LANGUAGES = sorted(file.stem for file in WORDS.glob("*.yaml"))
CODE = ROOT / "pipeline" / "render_report"


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("orders >= 2", True),
        ("orders < 2", False),
        ("recency <= rest_recency", True),
        ("recency > rest_recency", False),
        ("unknown > 1", False),
        ("orders > unknown", False),
        ("top == Kitchen", True),
        ("top != Kitchen", False),
    ],
)
def test_a_condition_is_held_against_the_figures(condition: str, told: bool) -> None:
    figures = {"orders": 2.0, "recency": 10, "rest_recency": 40, "unknown": None, "top": "Kitchen"}
    assert holds(condition, figures) is told


def test_what_is_no_condition_is_named() -> None:
    with pytest.raises(InputError, match="'many orders' is no condition"):
        holds("many orders", {})


def test_a_sentence_is_said_only_where_its_guards_hold_and_its_figures_are_known() -> None:
    sentence = Alternative(say="{gap} days", needs=("orders >= 2",), contradicts=("recency < 5",))
    assert sentence.holds({"gap": 9, "orders": 2, "recency": 5})
    assert not sentence.holds({"gap": None, "orders": 2, "recency": 5})
    assert not sentence.holds({"gap": 9, "orders": 1, "recency": 5})
    assert not sentence.holds({"gap": 9, "orders": 2, "recency": 4})


def test_of_alternatives_the_first_that_holds_is_written_and_of_none_nothing() -> None:
    writer = Writer(read_language("en"), "£")
    sentences = writer.language.plays["champions"].cadence
    figures = {"gap": 13.0, "gap_customers": 200, "quiet_days": 30.0}
    first, second = writer.fill(sentences, figures, SEGMENT_FIGURES)
    assert first.startswith("Half of their reorders come within 13 days")
    assert second == "Also before each new range."
    assert writer.fill(sentences, figures | {"gap_customers": 8}, SEGMENT_FIGURES)[0] == (
        "About once a month."
    )


def test_advice_does_not_name_a_season_that_is_far_nor_a_rest_that_is_near() -> None:
    writer = Writer(read_language("en"), "£")
    cadence = writer.language.plays["need_attention"].cadence
    far = {"peak_month": 11, "days_to_peak": 327}
    assert len(writer.fill(cadence, far, SEGMENT_FIGURES)) == 1
    near = writer.fill(cadence, far | {"days_to_peak": 40}, SEGMENT_FIGURES)
    assert near[1] == "Again before November, their strongest month so far."
    about = writer.language.plays["need_attention"].about
    alike = {"spend": 632.0, "rest_spend": 702.0, "recency": 48.0, "rest_recency": 59.0}
    (text,) = writer.fill(about, alike, SEGMENT_FIGURES)
    assert text.startswith("They order and spend about as much as other customers")


@pytest.mark.parametrize(
    ("share", "only", "said"),
    [(0.95, False, "No discount: 95% of their"), (0.1, True, "so write when there is one"),
     (0.5, False, ""), (None, False, "")],
)  # fmt: skip
def test_a_discount_is_refused_or_advised_by_how_the_customer_buys(share, only, said) -> None:
    writer = Writer(read_language("en"), "£")
    customer = dict.fromkeys(("offer_category_title", "next_category_title", "expected_spend"))
    customer |= {"play": "loyal", "recency_days": 9, "frequency": 3, "monetary": 90}
    plain = writer.customer_action(customer)
    told = writer.customer_action(
        customer | {"full_price_share": share, "buys_on_promotion": only}
    ).removeprefix(plain)
    assert (said in told, bool(told)) == (True, bool(said))


def test_a_segment_of_a_later_name_has_its_own_words_and_the_rest_of_its_play() -> None:
    language = read_language("en")
    near, first = language.play("champions", "near champions"), language.play("champions")
    assert near.action == "Move them up to Champions"
    assert near.goal != first.goal
    assert near.channel == first.channel
    with pytest.raises(InputError, match="plays: dancers of playbook"):
        language.play("dancers")


def test_a_language_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"report\.language: 'fr': there are"):
        read_language("fr")
    (tmp_path / "xx.yaml").write_text("language: xx\nstyle: {commas: none}\n")
    with pytest.raises(InputError, match=r"xx\.yaml: words\.style\.commas"):
        read_language("xx", tmp_path)


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_play_has_words_and_asks_for_figures_that_there_are(name: str) -> None:
    language, plays = read_language(name), read_playbook().plays
    assert set(plays) <= set(language.plays)
    for key, play in language.plays.items():
        for each in (play, *play.otherwise.values()):
            for field in (*FIELDS, "for_customer"):
                known = CUSTOMER_FIGURES if field == "for_customer" else SEGMENT_FIGURES
                for alternative in (a for sentence in getattr(each, field) for a in sentence):
                    assert set(PLACEHOLDER.findall(alternative.say)) <= set(known), (key, field)
                    for condition in (*alternative.needs, *alternative.contradicts):
                        found = CONDITION.fullmatch(condition)
                        assert found, condition
                        assert found[1] in known
                        assert found[3] in known or float(found[3]) is not None
        assert set(play.otherwise) <= set(plays[key].names)


@pytest.mark.parametrize("name", [name for name in LANGUAGES if name != "en"])
def test_another_language_has_the_same_texts_guards_and_figures(name: str) -> None:
    english, other = read_language("en"), read_language(name)
    assert set(other.terms) == set(english.terms)
    for section, texts in english.texts.items():
        if section.endswith("glossary"):
            assert len(other.texts[section]) == len(texts)
            continue
        assert set(other.texts[section]) == set(texts), section
        for key, alternatives in texts.items():
            same = [(set(PLACEHOLDER.findall(a.say)), a.needs) for a in alternatives]
            theirs = [(set(PLACEHOLDER.findall(a.say)), a.needs) for a in other.texts[section][key]]
            assert theirs == same, (section, key)
    for key, play in english.plays.items():
        theirs = other.plays[key]
        assert set(theirs.otherwise) == set(play.otherwise)
        for field in (*FIELDS, "for_customer"):
            guards = [[(a.needs, a.contradicts) for a in s] for s in getattr(play, field)]
            assert [
                [(a.needs, a.contradicts) for a in s] for s in getattr(theirs, field)
            ] == guards, (key, field)


def test_every_word_that_is_asked_for_is_there_and_none_is_idle() -> None:
    code = "".join(
        file.read_text() for file in sorted(CODE.glob("*")) if file.suffix in (".py", ".j2", ".js")
    )
    language = read_language("en")
    asked = set(re.findall(r"""t\("(\w+\.\w+)["\s]""", code))
    there = {f"{section}.{key}" for section, texts in language.texts.items() for key in texts}
    assert {key for key in asked if not key.endswith("_")} <= there
    built = {
        "glossary", "weekdays", "notes", "script", "cost", "play", "test", "lists", "campaigns",
        "conditions", "gates", "reasons", "method_glossary",
    }  # fmt: skip
    for section, texts in language.texts.items():
        for key in texts if section not in built else ():
            stem = re.sub(
                r"^sweep_|_(title|caption|note|too_small|page|none|continuum|clusters|buyers|spend|measured)$",
                "",
                key,
            )
            assert key in code or stem in code, (section, key)
    for key in language.texts["script"]:
        assert f"say.{key}" in code or f'"{key}"' in code, key


@pytest.mark.parametrize(
    ("name", "condition", "told"),
    [
        ("en", "recency_days > 90 and <= 180, monetary > 849", "last order 91 to 180 days ago and"),
        ("en", "frequency >= 2 and <= 4 or frequency = 0", "2 to 4 orders; or returned everything"),
        ("en", "rank > 0.1 and <= 0.25", "among the top 25% but not the top 10% by orders and"),
        ("de", "tenure_days > 9, distinct_products <12", "erste Bestellung vor mindestens 10"),
        ("de", "tenure_days > 9, distinct_products <12", "und Verschiedene Produkte: höchstens 11"),
        ("de", "said by hand; or not", "said by hand; or not"),
    ],
)
def test_a_condition_is_said_in_the_language_and_any_other_text_stays(name, condition, told):
    assert told in condition_in_words(condition, Writer(read_language(name), "£"))


def test_a_failed_gate_says_what_was_found_and_what_was_asked() -> None:
    writer = Writer(read_language("en"), "£")
    assert gates_in_words("segments 1 < 2; jaccard 0.775 - 0.028 < 0.75", writer) == (
        "a single segment; Jaccard 0.775 less its standard error 0.028, at least 0.75"
    )
