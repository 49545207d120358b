"""The one reading of an answer, shared by metric, difficulty filter and reward.

    read(reply, example)       the answer in a reply, without looking at the gold
    matches(answer, example)   whether an answer that was read is an accepted one
    grade(reply, example)      both
    gold_reply(example)        the gold, worded as a reply

`docs/reading.md` lists the rules in order.
"""

from medbench.verify.extract import RULES, Reading, read
from medbench.verify.match import gold_reply, grade, matches

__all__ = ["RULES", "Reading", "gold_reply", "grade", "matches", "read"]
