"""Names of expressions: which are the same, and what becomes of the others."""

import pytest

from stgt.data.catalog.cards import list_cards, load_card
from stgt.data.vocabulary import SYNONYMS, canonical, match, meaning, plain
from stgt.errors import StgtError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("happiness", "happiness"),
        ("Happy", "happiness"),
        ("JOY", "happiness"),
        (" joyful ", "happiness"),
        ("HAP", "happiness"),
        ("smiles", "happiness"),
        ("angry", "anger"),
        ("ANG", "anger"),
        ("fearful", "fear"),
        ("Afraid", "fear"),
        ("fears", "fear"),
        ("surprised", "surprise"),
        ("Surprises", "surprise"),
        ("sad", "sadness"),
        ("disgusted", "disgust"),
        ("contempt", "contempt"),
        ("no_expression", "neutral"),
        ("Neutral", "neutral"),
        ("calm", "calm"),
        ("anxious", "anxiety"),
        ("helpless", "helplessness"),
        ("disappointed", "disappointment"),
        # What is not in the table is not guessed at.
        ("wink", None),
        ("", None),
        ("1", None),
        ("a", None),
        ("unhappy", None),
        ("happily surprised", None),
        ("not angry", None),
    ],
)
def test_canonical_names(name, expected):
    assert canonical(name) == expected


def test_no_word_has_two_meanings():
    words = [plain(word) for name, others in SYNONYMS.items() for word in (name, *others)]
    assert len(words) == len(set(words))
    assert all(word == plain(word) for others in SYNONYMS.values() for word in others)


def test_the_classes_of_every_card_are_canonical():
    for name in list_cards():
        assert all(canonical(label) == label for label in load_card(name).classes), name


def test_labels_are_matched_by_meaning_and_the_rest_is_told():
    found = match(["joy", "Angry", "contempt", "wink", "calm"], ["neutral", "anger", "happiness", "Wink"])
    assert found.pairs == {"joy": "happiness", "Angry": "anger", "wink": "Wink"}
    assert found.unmatched_dataset == ("contempt", "calm"), "calm is not neutral"
    assert found.unmatched_model == ("neutral",)
    assert found.shared == ("happiness", "anger", "Wink")


def test_an_equal_name_goes_before_an_equal_meaning():
    found = match(["happy"], ["joy", "happy"])
    assert found.pairs == {"happy": "happy"}
    assert found.renamed == {}
    assert match(["happiness"], ["joy", "happy"]).pairs == {"happiness": "joy"}


def test_two_labels_of_a_dataset_may_be_one_of_the_model():
    found = match(["joy", "happiness"], ["happiness", "fear"])
    assert found.pairs == {"joy": "happiness", "happiness": "happiness"}
    assert found.shared == ("happiness",)
    assert found.renamed == {"joy": "happiness"}


def test_the_user_may_know_better():
    found = match(["calm", "joy"], ["neutral", "happiness"], {"calm": "neutral", "joy": ""})
    assert found.pairs == {"calm": "neutral"}
    assert found.unmatched_dataset == ("joy",)
    with pytest.raises(StgtError, match="no label 'clam': the labels of the dataset are calm"):
        match(["calm"], ["neutral"], {"clam": "neutral"})
    with pytest.raises(StgtError, match="no label 'bored': the labels of the model are neutral"):
        match(["calm"], ["neutral"], {"calm": "bored"})


def test_what_the_table_does_not_know_means_itself():
    assert meaning("Wink_Left") == "wink left"
    assert match(["wink left"], ["Wink_Left"]).pairs == {"wink left": "Wink_Left"}
