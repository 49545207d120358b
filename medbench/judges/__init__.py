"""Models that judge replies, and how far each can be believed.

    panel = seated(["equivalence=openai:my-judge@http://…"], catalog, open_model)
    heard = Hearing(run, panel).hear("medqa judge", cases)     one Finding per case
    certify(run, panel, labelled, probing)                     the same judge against people's labels

A judge is a row of the catalog (`rubrics.Judge`) and a model on its seat; one or several seats with one row
make a panel. What a judge is asked is a `Case`; nothing in it can give the judge an order. A verdict that is
not there is unscored, never 0.
"""

from medbench.judges.cases import Case, cases
from medbench.judges.hearing import Hearing
from medbench.judges.panel import Finding, Panel, Seat, seated

__all__ = ["Case", "Finding", "Hearing", "Panel", "Seat", "cases", "seated"]
