"""The table that the benchmarks print."""

import dataclasses
import statistics

HEADINGS = ["what", "measured", "baseline", "ratio", "target", ""]


@dataclasses.dataclass
class Row:
    what: str
    measured: str
    baseline: str = ""
    ratio: float | None = None
    target: str = ""
    met: bool | None = None  # None: there is no target, the row informs.

    def cells(self):
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        return [self.what, self.measured, self.baseline, ratio, self.target, verdict]


def ratio_row(what, measured, baseline, ratio, most):
    return Row(what, measured, baseline, ratio, f"<= {most:g}", ratio <= most)


def limit_row(what, value, unit, limit, measured=None):
    return Row(what, measured or f"{value:.2f} {unit}", target=f"< {limit:g} {unit}", met=value < limit)


def seconds(values):
    """The median, with the range when there are several."""
    middle = f"{statistics.median(values):.2f} s"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f}-{max(values):.2f})"


def print_table(rows):
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip(), flush=True)
