"""What people do in a clip: the shares and ranges that performances are drawn from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PerformanceSettings:
    """Shares of clips (0 to 1) and ranges; all of them can be changed."""

    least_intensity: float = 0.3
    """Weakest expression: 1 is the full strength of its variant, 0.15 is barely visible."""

    most_intensity: float = 1.0
    """Strongest expression."""

    speaking: float = 0.3
    """Share of clips in which the person talks."""

    sustained: float = 0.25
    """Share of expressions that began before the clip and are at their apex in its first frame."""

    returning: float = 0.4
    """Share of expressions that end within the clip."""

    blend: float = 0.15
    """Share of expressions with a weaker second one in them."""

    one_sided: float = 0.1
    """Share of expressions that are visibly stronger on one side (contempt mostly is, besides)."""

    least_rise_s: float = 0.2
    """Shortest time from the start of an expression to its apex."""

    most_rise_s: float = 3.0
    """Longest time; in short clips at most half the clip, so that the apex is seen."""

    frontal: float = 0.7
    """Share of clips in which the head faces the camera but for a few degrees."""

    most_yaw: float = 35.0
    """Degrees, to either side."""

    most_pitch: float = 20.0
    """Degrees, up and down."""

    most_roll: float = 15.0
    """Degrees."""

    most_lean: float = 0.1
    """Metres towards the camera or away from it."""
