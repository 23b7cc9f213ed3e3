"""A model and its settings as one text."""

from __future__ import annotations

import pytest

from cofactor.errors import ConfigError
from cofactor.models.specs import parse_spec, spec_text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ease", ("ease", {})),
        ("ease:reg=100", ("ease", {"reg": 100})),
        (" als : n-factors = 8 : epochs=3", ("als", {"n_factors": 8, "epochs": 3})),
        ("item-cosine:weighting=tfidf", ("item-cosine", {"weighting": "tfidf"})),
        ("ease:max_gb=inf", ("ease", {"max_gb": float("inf")})),
    ],
)
def test_a_text_is_read_and_written_back(text: str, found: tuple[str, dict[str, object]]) -> None:
    assert parse_spec(text) == found
    assert parse_spec(spec_text(*found)) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("eas:reg=1", "no model 'eas'.*did you mean 'ease'"),
        ("ease:rg=1", "no parameter 'rg'.*did you mean 'reg'"),
        ("ease:reg", "has no value; write it as ease:PARAMETER=VALUE"),
        ("ease:reg=much", "reg is 'much'; it must be a number"),
        ("als:epochs=2.5", "epochs is '2.5'; it must be a whole number"),
        ("ease:reg=1:reg=2", "gives reg twice"),
        ("ease:reg=-1", "must be above 0"),
    ],
)
def test_what_makes_no_sense_is_said(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=f"(?i){says}"):
        parse_spec(text)
