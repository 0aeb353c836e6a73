"""What a Matplotlib figure draws, in lines of text: labels, and the numbers of every artist."""

import numpy as np
from matplotlib.category import StrCategoryFormatter
from matplotlib.collections import Collection, PathCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter

SHOWN = 6
"""Numbers up to which a column is written whole; of more the count, first, last and mean."""


def described(fig):
    """Return the lines that describe a figure."""
    lines = [f"text: {_text(t)}" for t in fig.texts if _text(t)]
    lines += [line for legend in fig.legends for line in _legend(legend)]
    for ax in fig.axes:
        lines += _axes(ax)
    return lines


def _axes(ax):
    titles = [ax.get_title(loc) for loc in ("left", "center", "right")]
    lines = [f"axes: {' | '.join(_one_line(t) for t in titles if t) or 'no title'}"]
    if ax.axison:
        lines += [f"  {_axis(ax.xaxis, ax.get_xlim())}", f"  {_axis(ax.yaxis, ax.get_ylim())}"]
    bars = {id(p): c for c in ax.containers if isinstance(c, BarContainer) for p in c.patches}
    alike = {}
    for artist in _drawn(ax):
        heading, columns = _artist(artist, bars.get(id(artist)))
        alike.setdefault(heading, []).append(columns)
    lines += [f"  {heading}: {_columns(found)}" for heading, found in alike.items()]
    texts = [t for t in ax.texts if _text(t)]
    if texts:
        lines.append(f"  texts, {len(texts)}: {' / '.join(map(_text, texts))}")
    if ax.get_legend() is not None:
        lines += [f"  {line}" for line in _legend(ax.get_legend())]
    return lines


def _axis(axis, limits):
    label, formatter = _one_line(axis.get_label_text()), axis.get_major_formatter()
    said = f"{axis.axis_name}: {label or '-'}, {axis.get_scale()}, {_number(limits[0])} to "
    said += _number(limits[1])
    if isinstance(formatter, (FixedFormatter, StrCategoryFormatter)):
        said += ", " + " / ".join(_text(t) for t in axis.get_majorticklabels())
    return said


def _drawn(ax):
    kinds = (Line2D, Patch, Collection, AxesImage)
    children = [c for c in ax.get_children() if isinstance(c, kinds) and c.get_visible()]
    own = {id(ax.patch), *map(id, ax.spines.values())}
    return [c for c in children if id(c) not in own]


def _legend(legend):
    title = _one_line(legend.get_title().get_text())
    names = " / ".join(_text(t) for t in legend.get_texts())
    return [f"legend: {title + ': ' if title else ''}{names}"]


def _artist(artist, container):
    """Return how an artist is headed, and its columns of numbers."""
    label = str((container or artist).get_label())
    named = "" if label.startswith("_") else f' "{_one_line(label)}"'
    kind, style, columns = _described(artist)
    return f"{kind}{named} {style}".strip(), columns


def _described(artist):
    if isinstance(artist, Line2D):
        x, y = np.asarray(artist.get_xydata(), float).T
        style = f"{_color(artist.get_color())} {artist.get_linestyle()} {artist.get_marker()}"
        return "line", style.replace("None", "").strip(), {"x": x, "y": y}
    if isinstance(artist, Rectangle):
        box = {"x": artist.get_x(), "y": artist.get_y()}
        box |= {"width": artist.get_width(), "height": artist.get_height()}
        return "bar", _patch_style(artist), {k: np.array([v], float) for k, v in box.items()}
    if isinstance(artist, Patch):
        path = artist.get_patch_transform().transform_path(artist.get_path())
        return type(artist).__name__, _patch_style(artist), _points(path.vertices)
    if isinstance(artist, (QuadMesh, AxesImage)):
        return type(artist).__name__, "", {"values": np.ma.filled(artist.get_array(), np.nan)}
    style = " ".join(dict.fromkeys(map(_color, [*artist.get_facecolor(), *artist.get_edgecolor()])))
    if isinstance(artist, PathCollection):
        sizes = np.asarray(artist.get_sizes(), float)
        return "points", style, _points(artist.get_offsets()) | {"size": sizes}
    paths = [path.vertices for path in artist.get_paths()]
    return type(artist).__name__, style, _points(np.vstack(paths) if paths else np.zeros((0, 2)))


def _patch_style(patch):
    fill = _color(patch.get_facecolor()) if patch.get_fill() else "no fill"
    return f"{fill} {patch.get_hatch() or ''}".strip()


def _points(points):
    x, y = np.ma.filled(np.ma.asarray(points, float), np.nan).reshape(-1, 2).T
    return {"x": x, "y": y}


def _columns(found):
    """Return the columns of artists that are headed alike as one line."""
    together = {name: np.concatenate([np.ravel(c[name]) for c in found]) for name in found[0]}
    return "; ".join(f"{name} {_values(values)}" for name, values in together.items())


def _values(values):
    values = np.asarray(values, float)
    largest = np.max(np.abs(values[np.isfinite(values)]), initial=0.0)
    values = np.where(np.abs(values) < 1e-9 * largest, 0.0, values)
    if len(values) <= SHOWN:
        return ", ".join(map(_number, values))
    first, last = _number(values[0]), _number(values[-1])
    if np.ptp(values) == 0:
        return f"{len(values)} times {first}"
    missing = int(np.isnan(values).sum())
    mean = np.nanmean(values) if missing < len(values) else np.nan
    said = f"{len(values)} from {first} to {last}, mean {_number(mean)}"
    return said + (f", {missing} missing" if missing else "")


def _number(value):
    return f"{float(value) + 0.0:.4g}"


def _color(color):
    return to_hex(color, keep_alpha=True).removesuffix("ff") if len(np.ravel(color)) else ""


def _text(text: Text):
    return _one_line(text.get_text())


def _one_line(text):
    return " ".join(str(text).split())
