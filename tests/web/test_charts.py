"""Where bars and lines go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.web import charts
from maild.web.charts import PLOT_HEIGHT, Series


def test_it_stacks_what_belongs_to_one_time():
    chart = charts.columns(
        "Messages",
        ["10:00", "11:00"],
        [Series("sent", "ok", [6, 0]), Series("failed", "bad", [2, 0])],
    )
    sent, failed = chart.columns[0].bars
    bottom = chart.plot_bottom
    assert (sent.tone, sent.y + sent.height) == ("ok", bottom)
    assert (failed.tone, failed.y + failed.height) == ("bad", sent.y)
    assert failed.y == bottom - PLOT_HEIGHT  # 8 of 8
    assert chart.columns[0].title == "10:00: 6 sent, 2 failed"
    assert chart.columns[1].bars == ()
    assert chart.columns[1].title == "11:00: nothing"


def test_it_says_in_words_what_it_shows():
    chart = charts.columns("Messages", ["10:00", "11:00"], [Series("sent", "ok", [1200, 3400])])
    assert chart.summary == "Messages: 4,600 sent. Most at 11:00: 3,400"
    assert [mark.words for mark in chart.scale] == ["4,000", "2,000", "0"]


@pytest.mark.parametrize("labels", [[], ["10:00"], ["10:00", "11:00"]])
def test_it_has_nothing_to_draw_where_nothing_happened(labels):
    chart = charts.columns("Messages", labels, [Series("sent", "ok", [0] * len(labels))])
    assert chart.is_empty
    assert chart.summary == "Messages: nothing"
    assert len(chart.columns) == len(labels)


def test_it_draws_no_series_at_all():
    assert charts.columns("Messages", ["10:00"], []).is_empty


def test_it_shows_one_among_thousands():
    chart = charts.columns(
        "Messages", ["a"], [Series("sent", "ok", [100_000]), Series("failed", "bad", [1])]
    )
    assert chart.columns[0].bars[1].height >= 1


def test_it_refuses_values_that_do_not_match_the_labels():
    with pytest.raises(ValueError, match="sent: 1 values for 2 labels"):
        charts.columns("Messages", ["a", "b"], [Series("sent", "ok", [1])])


def test_it_writes_few_labels_below_many_columns():
    chart = charts.columns(
        "Messages", [str(number) for number in range(60)], [Series("sent", "ok", [1] * 60)]
    )
    assert [mark.words for mark in chart.marks] == ["0", "10", "20", "30", "40", "50"]
    assert chart.marks[0].anchor == "start"


@given(st.integers(min_value=0, max_value=10**9))
def test_the_scale_reaches_the_highest_and_has_a_middle(highest):
    top = charts.nice_top(highest)
    assert top >= highest
    assert top % 2 == 0
    assert top <= max(2, highest * 2)


@given(st.lists(st.integers(min_value=0, max_value=10**6), max_size=60))
def test_a_line_stays_inside_its_place(values):
    line = charts.sparkline(values, "Sent")
    points = [tuple(map(float, point.split(","))) for point in line.points.split()]
    assert len(points) == len(values)
    assert all(0 <= x <= line.width and 0 <= y <= line.height for x, y in points)


def test_a_line_is_told_in_words():
    assert charts.sparkline([3, 9, 4], "Sent an hour").summary == (
        "Sent an hour: 4 at last, between 3 and 9"
    )
    assert charts.sparkline([], "Sent an hour").summary == "Sent an hour: nothing yet"


def test_a_line_goes_over_the_columns_on_the_same_scale():
    chart = charts.columns(
        "Messages",
        ["10:00", "11:00"],
        [Series("sent", "ok", [3, 0]), Series("failed", "bad", [1, 0])],
        line=Series("accepted", "info", [8, 2]),
    )
    bottom = chart.plot_bottom
    assert chart.line.points == f"0.5,{float(bottom - PLOT_HEIGHT)} 1.5,{bottom - PLOT_HEIGHT / 4}"
    assert [one.name for one in chart.series] == ["accepted", "sent", "failed"]
    assert chart.columns[0].title == "10:00: 8 accepted, 3 sent, 1 failed"
    assert chart.columns[0].values == (8, 3, 1)
    assert len(chart.columns[0].bars) == 2
    assert chart.summary == "Messages: 10 accepted, 3 sent, 1 failed. Most at 10:00: 4"


def test_a_line_alone_is_drawn_as_well():
    chart = charts.columns(
        "Messages", ["a", "b"], [Series("sent", "ok", [0, 0])], line=Series("in", "info", [0, 3])
    )
    assert not chart.is_empty
    assert chart.summary == "Messages: 3 in, 0 sent"


def test_a_line_has_a_value_for_each_label():
    with pytest.raises(ValueError, match="accepted: 1 values for 2 labels"):
        charts.columns("Messages", ["a", "b"], [], line=Series("accepted", "info", [1]))


def test_many_columns_stand_close():
    few, many = (
        charts.columns("Messages", ["x"] * count, [Series("sent", "ok", [1] * count)])
        for count in (99, 100)
    )
    assert (few.is_dense, many.is_dense) == (False, True)
    assert many.columns[0].bar_width == many.columns[0].width
