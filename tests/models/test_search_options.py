"""Penalties and limits against their formulas, and which configurations of search there are."""

import numpy as np
import pytest
from pydantic import ValidationError

from seq2seq_tfx.models.search_options import (
    SearchConfig,
    coverage_penalty,
    length_limits,
    length_penalty,
    options_for,
)


def test_length_penalty_is_gnmts_formula():
    assert float(length_penalty(7, 0.65)) == pytest.approx((12 / 6) ** 0.65)
    assert float(length_penalty(1, 2.0)) == pytest.approx(1.0)
    lengths, alphas = np.array([1, 4, 30]), np.array([0.0, 0.5, 2.0], "float32")
    np.testing.assert_allclose(
        length_penalty(lengths, alphas), ((5 + lengths) / 6) ** alphas, rtol=1e-6
    )


def test_coverage_penalty_is_gnmts_formula_over_real_positions():
    rng = np.random.default_rng(0)
    coverage = rng.uniform(0, 2, size=(5, 4)).astype("float32")
    mask = np.arange(4) < np.array([4, 1, 2, 3, 4])[:, None]
    beta = np.array([0.0, 1.0, 0.2, 0.5, 5.0], "float32")
    expected = [
        b * sum(np.log(min(c, 1.0)) for c, real in zip(row, m, strict=True) if real)
        for b, row, m in zip(beta, coverage, mask, strict=True)
    ]
    found = np.array(coverage_penalty(coverage, mask, beta))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert (found <= 0).all() and found[0] == 0


def test_a_position_without_attention_costs_much_and_not_all():
    found = float(coverage_penalty(np.zeros((1, 1)), np.ones((1, 1), bool), 1.0)[0])
    assert found == pytest.approx(np.log(1e-10), rel=1e-5)


@pytest.mark.parametrize(
    ("length", "most", "ratio", "limit"),
    [(1, 128, 2.0, 12), (50, 128, 2.0, 110), (60, 128, 2.0, 128), (3, 5, 2.0, 5), (7, 99, 0.5, 13)],
)
def test_the_limit_grows_with_the_source_up_to_the_longest(length, most, ratio, limit):
    found = length_limits(np.array([length], "int32"), most, ratio)
    np.testing.assert_array_equal(found, [limit])
    assert "int32" in str(found.dtype)


def test_each_row_may_have_a_longest_of_its_own():
    found = length_limits(np.array([50, 50, 1]), np.array([20, 128, 8]), 2.0)
    np.testing.assert_array_equal(found, [20, 110, 8])


def test_options_say_for_every_row_what_the_configuration_says():
    config = SearchConfig(
        beam_size=5,
        length_penalty=0.4,
        coverage_penalty=0.3,
        max_length=30,
        max_length_ratio=1.5,
        min_length=2,
        temperature=0.9,
        top_k=7,
        top_p=0.8,
    )
    options = options_for(config, np.array([4, 40]), hypotheses=3)
    expected = {
        "limits_B": [16, 30],
        "shortest_B": [2, 2],
        "beam_size_B": [5, 5],
        "hypotheses_B": [3, 3],
        "length_penalty_B": [0.4, 0.4],
        "coverage_penalty_B": [0.3, 0.3],
        "temperature_B": [0.9, 0.9],
        "top_k_B": [7, 7],
        "top_p_B": [0.8, 0.8],
    }
    for name, value in expected.items():
        found = getattr(options, name)
        np.testing.assert_allclose(found, value, rtol=1e-6)
        whole = name in ("limits_B", "shortest_B", "beam_size_B", "hypotheses_B", "top_k_B")
        assert ("int32" if whole else "float32") in str(found.dtype), name
    assert options.prefix_BP is None and options.prefix_length_B is None
    # No more hypotheses than the beam is wide.
    np.testing.assert_array_equal(options_for(config, np.array([4]), 9).hypotheses_B, [5])


def test_as_many_hypotheses_as_the_widest_beam():
    assert SearchConfig(beam_size=3).most_hypotheses == 3
    assert SearchConfig(beam_size=3, max_beam_size=8).most_hypotheses == 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam_size": 4, "max_beam_size": 3}, r"max_beam_size of at least beam_size \(4\).* 3"),
        ({"min_length": 9, "max_length": 9}, r"min_length below max_length \(9\).* 9"),
    ],
)
def test_limits_that_exclude_the_defaults_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        SearchConfig(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"beam_size": 0},
        {"beam_size": 65},
        {"beam_size": 2.0},
        {"max_beam_size": 65},
        {"length_penalty": -0.1},
        {"length_penalty": 5.1},
        {"coverage_penalty": -0.1},
        {"coverage_penalty": 5.1},
        {"max_length": 0},
        {"max_length_ratio": 0.0},
        {"min_length": -1},
        {"temperature": -1.0},
        {"temperature": float("inf")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"seed": -1},
        {"seed": 2**31},
        {"replace_unknown": 1},
        {"beams": 3},
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(settings):
    with pytest.raises(ValidationError) as caught:
        SearchConfig(**settings)
    (error,) = caught.value.errors()
    assert error["loc"] == tuple(settings)
