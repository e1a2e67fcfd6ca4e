"""The figures of a comparison show the folder's numbers, and its arms can be told from one another."""

from itertools import combinations

import numpy as np
import pytest
from made_up_comparison import BEST, TWELVE, write_comparison
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from scipy.optimize import minimize

from upperhand.report import comparison_curves, comparison_figures, style
from upperhand.report.comparison import courses, read, summary
from upperhand.report.comparison_labels import short, spread, window


def told_of(out):
    found = read(out)
    return found, summary(found), courses(found)


def lines_of(axes, colour):
    return [line for line in axes.lines if line.get_color() == colour and len(line.get_xdata()) > 2]


def words_of(axes):
    return " ".join(text.get_text() for text in axes.texts)


def test_every_arm_is_drawn_over_what_it_spent(tmp_path):
    found, told, went = told_of(write_comparison(tmp_path / "c", {"a": {"products": 1}, "b": {"level": 0.1}}))
    for currency, ends in {"samples": (128000, 128000), "gradients": (4000, 3000), "seconds": (10, 10)}.items():
        (axes,) = comparison_curves.value(found, told, went, currency).axes
        for place, (label, end) in enumerate(zip("ab", ends, strict=True)):
            (line,) = lines_of(axes, style.arm(place)[0])
            np.testing.assert_array_equal(line.get_ydata(), went[label].middle)
            assert line.get_xdata()[-1] == end
        assert axes.get_xscale() == "linear" and f"best known −{-BEST:g}" in words_of(axes)
        assert {"a", "b"} <= {text.get_text() for text in axes.texts}


def test_what_spends_nothing_is_a_level_and_far_costs_are_logarithmic(tmp_path):
    arms = {"a": {}, "free": {"free": True, "level": 0.05, "products": 200}, "b": {"products": 2}}
    found, told, went = told_of(write_comparison(tmp_path / "c", arms))
    (axes,) = comparison_curves.value(found, told, went, "samples").axes
    (level,) = [line for line in axes.lines if line.get_color() == style.arm(1)[0]]
    assert np.allclose(level.get_ydata(), went["free"].middle[-1]) and level.is_dashed()
    assert "kernel known, no samples" in words_of(axes)
    (axes,) = comparison_curves.value(found, told, went, "gradients").axes  # 3 and 203 an update
    assert axes.get_xscale() == "log"
    (line,) = lines_of(axes, style.arm(1)[0])
    assert line.get_xdata()[0] == 203 * 50, "a log axis begins at the first cost, not at zero"
    everything_free = {label: {"free": True} for label in "ab"}
    found, told, went = told_of(write_comparison(tmp_path / "free", everything_free))
    assert comparison_curves.value(found, told, went, "samples") is None
    assert comparison_curves.gap(found, told, went, "samples") is None


def test_the_gap_is_the_course_above_the_best(tmp_path):
    found, told, went = told_of(write_comparison(tmp_path / "c", {"a": {"level": 0.03}, "b": {"level": 0.2}}))
    (axes,) = comparison_curves.gap(found, told, went, "samples").axes
    (line,) = lines_of(axes, style.arm(1)[0])
    np.testing.assert_allclose(line.get_ydata(), went["b"].middle - BEST, atol=1e-12)
    assert axes.get_yscale() == "log"


def test_finals_show_every_seed_best_first_and_failures_marked(tmp_path):
    arms = {"a": {"level": 0.2, "failed": (3,)}, "b": {"level": 0.0}}
    found, told, _ = told_of(write_comparison(tmp_path / "c", arms))
    (axes,) = comparison_figures.finals(found, told).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    last = found.arms[0].folder.rows["value"][:, -1]
    shown = [np.asarray(points.get_offsets()) for points in axes.collections]
    in_a = [points[:, 0] for points in shown if len(points) and points[0, 1] > 0.5]
    assert sorted(map(len, in_a)) == [1, 7] and sorted(np.concatenate(in_a)) == sorted(last)
    (lost,) = [points for points in in_a if len(points) == 1]
    assert lost == last[3] and "×: failed" in words_of(axes)
    (ground,) = [line for line in axes.lines if line.is_dashed()]
    assert np.allclose(ground.get_xdata(), BEST)


def test_the_matrix_holds_the_probabilities_row_against_column(tmp_path):
    found, told, _ = told_of(write_comparison(tmp_path / "c", {"a": {"level": 0.02}, "b": {}, "c": {"level": 0.3}}))
    (axes,) = comparison_figures.improvement(found, told).axes
    (image,) = axes.images
    shown, order = np.asarray(image.get_array()), [arm["label"] for arm in told["arms"]]
    assert order[-1] == "c" and np.allclose(shown[:2, 2], 1) and np.allclose(shown[2, :2], 0)
    written = {(text.get_position()): text for text in axes.texts if text.get_text().isdigit()}
    assert len(written) == 6 and written[2, 0].get_text() == "100" and written[0, 2].get_text() == "0"
    assert written[2, 0].get_fontweight() == "bold"
    assert comparison_figures.improvement(*told_of(write_comparison(tmp_path / "one", {"a": {}}))[:2]) is None


def test_tuning_shows_each_trial_and_rings_the_chosen_one(tmp_path):
    found, told, _ = told_of(write_comparison(tmp_path / "c", {"a": {"lost": (2, 5)}, "b": {}}))
    (axes,) = comparison_figures.tuning(found, told).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    for height, label in enumerate(labels):
        tuning = found.arms["ab".index(label)].tuning
        (ring,) = [line for line in axes.lines if line.get_marker() == "o" and line.get_ydata()[0] == height]
        able = [score for score in tuning.scores if score is not None]
        assert ring.get_xdata()[0] == min(able) == tuning.scores[tuning.chosen]
        points = np.asarray(axes.collections[height].get_offsets())[:, 0]
        assert sorted(points[np.isfinite(points)]) == sorted(able)
    assert "2 failed" in words_of(axes)
    without = write_comparison(tmp_path / "without", {"a": {}, "b": {}}, tuned=False)
    assert comparison_figures.tuning(*told_of(without)[:2]) is None


def test_twelve_labels_do_not_cover_one_another(tmp_path):
    found, told, went = told_of(write_comparison(tmp_path / "c", TWELVE, seeds=2))
    drawn = comparison_curves.value(found, told, went, "samples")
    drawn.draw_without_rendering()
    (axes,) = drawn.axes
    boxes = [Text.get_window_extent(text) for text in axes.texts if getattr(text, "arrow_patch", None)]
    assert len(boxes) == 12 and all(drawn.bbox.y0 <= box.y0 and box.x1 <= drawn.bbox.x1 for box in boxes)
    for a, b in combinations(boxes, 2):
        assert min(a.y1, b.y1) - max(a.y0, b.y0) < 0.2 * a.height, "at most descenders meet"


@pytest.mark.parametrize("wanted", [[0.5, 0.5, 0.5], [0.0, 0.01, 0.9, 1.0], [0.3], [0.9, 0.2, 0.92, 0.95, 0.1]])
def test_spread_is_the_nearest_that_keeps_apart(wanted):
    found, order = np.array(spread(wanted, 0.08)), np.argsort(wanted, kind="stable")
    assert (np.diff(found[order]) > 0.08 - 1e-9).all() and found.min() > -1e-9 and found.max() < 1 + 1e-9
    near = minimize(
        lambda places: ((places - wanted) ** 2).sum(),
        np.linspace(0.05, 0.95, len(wanted))[np.argsort(order)],
        bounds=[(0, 1)] * len(wanted),
        constraints=[{"type": "ineq", "fun": lambda places: np.diff(places[order]) - 0.08}] if len(wanted) > 1 else (),
    )
    np.testing.assert_allclose(found, near.x, atol=1e-4)


def test_spread_without_room_is_centred():
    assert spread([0.1, 0.2, 0.9], 0.6) == pytest.approx([-0.1, 0.5, 1.1]) and spread([], 0.1) == []


def test_window_leaves_out_only_what_would_hide_the_rest():
    near = [[0.0, 1.0], [0.2, 0.8], [0.1, 3.0]]
    assert window(near) == (0.0, 3.0)
    assert window([*near, [1e9, 2.0]]) == (0.0, 6.0)
    assert window([*near, [-1e9, 2.0]]) == (-3.0, 3.0)
    assert window([[np.nan], [0.5, np.inf]]) == (0.5, 0.5) and window([]) == (0.0, 1.0)
    assert window([[-0.5, -0.49], [-0.4, -0.39], [-0.1, -0.09]]) == (-0.5, -0.09)


def test_long_labels_keep_both_ends():
    assert short("actor_critic") == "actor_critic"
    assert short("actor_critic_with_a_very_long_name") == "actor_criti…_long_name" and len(short("x" * 99)) == 22


MACHADO = {  # Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = to_xyz @ np.clip(rgb, 0, 1) / [0.95047, 1, 1.08883]
    cube = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * cube[1] - 16, 500 * (cube[0] - cube[1]), 200 * (cube[1] - cube[2])])


@pytest.mark.parametrize("kind", MACHADO)
def test_arms_are_told_apart_by_every_kind_of_colour_vision(kind):
    seen = [lab(np.array(MACHADO[kind]) @ linear(colour)) for colour in style.ARMS]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 15  # 2.3 is just noticeable
    for colour in style.ARMS:
        assert 1.05 / ([0.2126, 0.7152, 0.0722] @ linear(colour) + 0.05) > 2.9, "contrast to white"
    assert len({style.arm(place) for place in range(21)}) == 21
