"""What a blend is made of, by how far ahead it looks."""

from matplotlib.figure import Figure

from framegen.evaluation.results import Weights
from framegen.report.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY, finish, new_chart

COLORS = (GREY, SKY, BLUE, GREEN, ORANGE, RED, PINK, BLACK)


def shares(blend: Weights) -> Figure:
    """Each expert's weight in percent at each horizon, one above the other."""
    figure, axes = new_chart(3.4)
    horizons = [number + 0.5 for number in range(len(blend.weights) + 1)]
    lower = [0.0] * len(blend.weights)
    for place, (name, color) in enumerate(zip(blend.experts, COLORS, strict=False)):
        upper = [low + 100 * weights[place] for low, weights in zip(lower, blend.weights, strict=True)]
        steps = {"step": "post", "color": color, "linewidth": 0, "label": name}
        axes.fill_between(horizons, [*lower, lower[-1]], [*upper, upper[-1]], **steps)
        lower = upper
    axes.set(xlim=(horizons[0], horizons[-1]), ylim=(0, 100))
    finish(
        axes, "horizon: frames since the prompt ended", "weight (%)", "What the blend is made of", legend=2
    )
    return figure
