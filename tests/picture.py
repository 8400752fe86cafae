"""The picture docs/check.svg: a run of ``mockanka check`` against the simulator, as a terminal shows it.

``python -m tests.picture`` writes it.
"""

from __future__ import annotations

import re
from html import unescape
from io import StringIO
from itertools import count
from pathlib import Path

from rich.console import Console
from rich.text import Text

from mockanka.check.console import render_results
from mockanka.check.runner import CheckPlan, check_controller
from mockanka.check.session import Pace
from mockanka.check.write_checks import find_write_target
from mockanka.remote.client import ControllerClient
from tests.check.simulated import SimulatedController

PICTURE = Path(__file__).parent.parent / "docs" / "check.svg"
URL = "http://anka.example:8090"
COMMAND = f"mockanka check {URL} --write --template 14.5-arm64 --node mini-01"
WIDTH = 100


def draw() -> str:
    """Return the picture of a run that is made now."""
    simulated = SimulatedController("default")
    ticks = count()
    with ControllerClient(URL, transport=simulated, clock=lambda: next(ticks) * 0.002) as client:
        target = find_write_target(client, "14.5-arm64", None, "mini-01")
        results = check_controller(client, CheckPlan(target=target, pace=Pace(interval=2.0)), simulated.sleep)
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ {COMMAND}", style="bold"))
    console.print(render_results(results))
    picture = console.export_svg(title="mockanka check", unique_id="check")
    # The picture must load nothing from elsewhere: without its font another one of fixed width is used.
    return re.sub(r"\s*@font-face \{.*?\}\n", "\n", picture, flags=re.DOTALL)


def words(picture: str) -> list[str]:
    """Return the texts in a picture, without times."""
    texts = [
        unescape(text).replace("\N{NO-BREAK SPACE}", " ").strip()
        for text in re.findall(r"<text[^>]*>([^<]*)<", picture)
    ]
    return [re.sub(r"\d+\.\d\d s", "... s", text) for text in texts if text]


if __name__ == "__main__":
    PICTURE.write_text(draw(), "utf-8")
