"""Draws a growth document (JSON) as an image: `plot.py growth.json growth.svg`. Needs matplotlib."""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

EVENTS = 10e6 / 36  # a month at scale 1
PANELS = [("full", "wall_s", "full build, seconds"), ("night", "wall_s", "one more day, seconds"),
          ("full", "peak_mb", "full build, peak MB"), ("night", "peak_mb", "one more day, peak MB")]  # fmt: skip
STYLES = {"keizoku": "-", "reference": "--"}


def main(source: Path, image: Path) -> None:
    cells = json.loads(source.read_text())["cells"]
    plt.rcParams.update({"svg.hashsalt": "keizoku", "svg.fonttype": "none", "font.size": 9})
    months = sorted({cell["months"] for cell in cells})
    figure, panels = plt.subplots(2, 2, figsize=(9, 6.5), sharex=True, layout="constrained")
    for panel, (case, measure, title) in zip(panels.flat, PANELS, strict=True):
        for contender, style in STYLES.items():
            for index, length in enumerate(months):
                line = sorted(
                    (cell["scale"] * length * EVENTS, cell[measure])
                    for cell in cells
                    if (cell["case"], cell["contender"], cell["months"]) == (case, contender, length)
                )
                if line:
                    label = f"{contender}, {length} months"
                    panel.loglog(*zip(*line, strict=True), style, marker="o", color=f"C{index}", label=label, ms=4)
        panel.set_title(title)
        panel.grid(alpha=0.3)
    for panel in panels[1]:
        panel.set_xlabel("events")
    panels[0][0].legend(fontsize=7)
    figure.savefig(image, metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
