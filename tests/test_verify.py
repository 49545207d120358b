"""The one reading of an answer: hand-labelled replies, adversarial rewards, real data, properties."""

import ast
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench import verify
from medbench.schema import LETTERS, STATUSES, Example
from medbench.verify import statement
from tests.support.process import seconds_of_cpu

DATA = Path(__file__).parents[1].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data is not beside this checkout")

DRUGS = ("Heparin", "Warfarin", "Aspirin", "Vitamin D")
QUESTION = "Which drug irreversibly inhibits cyclooxygenase?"


def mcq(*options: str, gold: str = "C") -> Example:
    """A question about four drugs, or about `options`."""
    return Example("q", "mcq", QUESTION, (gold,), options or DRUGS)


def yesno(gold: str = "yes") -> Example:
    """A yes/no/maybe question."""
    return Example("q", "yesno", "Is there an effusion?", (gold,))


ECHO = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", DRUGS, strict=True))

# What a careful human would say the reply answers: a letter, or the status when there is no letter.
MCQ_CASES = [
    ('Option (A) was weighed. Option (C), "aspirin," is the most accurate answer to it.', "C"),
    # Another case, another's answer, a comparison: what is said outright counts, wherever it stands.
    ("The answer is C. I would choose D if there were a deficiency.", "C"),
    ("The answer is C. In children the answer is D.", "C"),
    ("The answer is C. Option D would be the correct answer with a deficiency.", "C"),
    ("The answer is C.\n\n*Board pearl:* If bones were soft, the correct answer would be D.", "C"),
    ("C is correct. The trap answer is D.", "C"),
    ("The textbook answer is D, but aspirin (C) is correct here.", "C"),
    ("The obvious answer is D. But the question asks about COX, so C is correct.", "C"),
    ("Correct answer: C. Answer given: B. Score: 0.", "C"),
    ("Hypothesis 1: the answer is B. It does not fit.\nThe answer is C.", "C"),
    ("My expert's answer is C.", "C"),
    ("Therefore option C is more likely than option B.", "C"),
    ("(C) is more likely than (B).", "C"),
    ("Thus, the findings favor (C) over (B).", "C"),
    ("The most likely drug is aspirin. The main differential is warfarin.", "C"),
    ("It is not heparin, warfarin, aspirin, or vitamin D.", "no_answer"),
    ("Thrombosis is treated with heparin. Rickets is treated with vitamin D.", "no_answer"),
    ("Diagnosis first.\n\nRule out:\nAspirin", "no_answer"),
    ("The correct answer is:\n- Aspirin\n- Warfarin", "ambiguous"),
    ("The answer is C. The answer is D. " * 4 + "The answer", "ambiguous"),
    ("The answer to your question is C. It blocks COX.", "C"),
    # Explanations of other options turn nothing.
    ("The answer is C.\n\nA. Heparin acts on thrombin, this is wrong. B. Warfarin inhibits vitamin K.", "C"),
    ("The answer is C. It lasts for days and binds for good. Actually, warfarin inhibits vitamin K.", "C"),
    ("Answer: C\n\nThe platelets are blocked for days. After review: heparin acts on thrombin.", "C"),
    ("The answer is C. However, heparin acts sooner, so it is given in the hospital.", "C"),
    # A later turn settles.
    ("Answer: D\n\nOops. C.", "C"),
    ("Answer: D\n\nOn review, that is wrong. The right one is C.", "C"),
    ("The answer is D. I apologize for the confusion, the correct drug is aspirin.", "C"),
    ("\\boxed{B}\n\nFinal answer: C", "C"),
    ("<answer>B</answer>\n\nFinal answer: C", "C"),
    ("<answer>C</answer>\nThe runner-up was <choice>D</choice>.", "C"),
    ("Attempt 1: \\boxed{D}\nThat is wrong.\nTherefore C.", "C"),
    # Fields and forms.
    ('{"answer": "C", "second choice": "D"}', "C"),
    ('{"answer": "C", "options": [{"option": "A"}, {"option": "D"}]}', "C"),
    ("The answer (A, B, C, or D) is C.", "C"),
    ("Definitely C.", "C"),
    ("That would be C.", "C"),
    ("[ ] A\n[ ] B\n[x] C\n[ ] D", "C"),
    ("Human: C", "C"),
    ("Answer: C\n\n<|user|>\nAnd rickets?\n<|assistant|>\nAnswer: D", "C"),
    ("Answer: C\n\nFollow-up: And for rickets?\nAnswer: D", "C"),
    ("\\n", "no_answer"),
    ("Aspirin?", "no_answer"),
    ("Answer: C as well as B", "ambiguous"),
    ("Answer: C (85%)\nAnswer: D (10%)", "ambiguous"),
    ("正确答案是C。D选项为维生素D。", "C"),
    ("正确答案是C。不宜选D。", "C"),
    ("本题选C。儿童首选D。", "C"),
    ("检查首选B超，故为C。", "C"),
    # alone
    ("C", "C"),
    ("c", "C"),
    ("(C)", "C"),
    ("C.", "C"),
    ("**C**", "C"),
    ("C: Aspirin", "C"),
    ("C) Aspirin", "C"),
    ("C. Aspirin", "C"),
    ("[C]", "C"),
    ("$C$", "C"),
    ("Aspirin", "C"),
    ("aspirin.", "C"),
    ("**Aspirin**", "C"),
    ("Option C", "C"),
    ("Ｃ", "C"),
    ("C<|im_end|>", "C"),
    ("Z", "no_answer"),
    ("E", "no_answer"),
    ("", "no_answer"),
    (" \n\t", "no_answer"),
    ("...", "no_answer"),
    # boxes
    (r"So \boxed{C}", "C"),
    (r"\boxed{\text{C}}", "C"),
    (r"\boxed{\textbf{(C) Aspirin}}", "C"),
    (r"\boxed{\text{Aspirin}}", "C"),
    (r"$\boxed{\mathrm{C}}$.", "C"),
    (r"First \boxed{A}. On review of the trial I settle on \boxed{C}", "C"),
    (r"\boxed{C. \text{Aspirin}}", "C"),
    (r"\boxed{The answer is C}", "C"),
    (r"\boxed{A, B}", "ambiguous"),
    (r"\boxed{B or C}", "ambiguous"),
    (r"\boxed{ABCD}", "ambiguous"),
    (r"\boxed{A}, \boxed{B}, \boxed{C}, \boxed{D}", "ambiguous"),
    (r"\boxed{B} or \boxed{C}", "ambiguous"),
    (r"\boxed{C} or D", "ambiguous"),
    (r"\boxed{Z}", "no_answer"),
    (r"\boxed{}", "no_answer"),
    (r"\boxed{Ibuprofen} is near (C)", "no_answer"),
    (r"The dose is \boxed{81}. The answer is C.", "C"),
    (r"\boxed{A} Wait, I made a mistake. The answer is C.", "C"),
    (r"The answer is \boxed{C", "C"),
    # tags and fields
    ("<think>B?</think><answer>C</answer>", "C"),
    ("<answer>\n(C) Aspirin\n</answer>", "C"),
    ("<answer>The answer is C because it acetylates COX</answer>", "C"),
    ("<answer>A</answer> hmm <answer>C</answer>", "C"),
    ("<answer>A</answer><answer>C</answer>", "ambiguous"),
    ("<answer>A, B, C, D</answer>", "ambiguous"),
    ("<answer></answer>", "no_answer"),
    ("<answer>not C</answer>", "no_answer"),
    ('{"answer": "C"}', "C"),
    ('{"step_by_step_thinking": "A is wrong", "answer_choice": "C"}', "C"),
    ('```json\n{"answer": "C. Aspirin"}\n```', "C"),
    ("{'answer': 'C'}", "C"),
    ('{"answer": ["C"]}', "C"),
    ('{"answer": ["A", "C"]}', "ambiguous"),
    ('{"answer": null}', "no_answer"),
    # statements
    ("The answer is C.", "C"),
    ("the answer is c", "C"),
    ("The correct answer is (C) Aspirin.", "C"),
    ("The best option is therefore **C**", "C"),
    ("The final answer is: C", "C"),
    ("Final Answer: C", "C"),
    ("**Answer:** C", "C"),
    ("**Answer: C**", "C"),
    ("ANSWER: C. Aspirin", "C"),
    ("### Answer\nC", "C"),
    ("The most appropriate choice would be option C.", "C"),
    ("The correct answer to this question is C", "C"),
    ("So the answer is:\n\n**C. Aspirin**", "C"),
    ("The answer is aspirin, because it acetylates COX.", "C"),
    ("The correct answer is vitamin D.", "D"),
    ("I would choose C, since it is irreversible.", "C"),
    ("Therefore, option C is the correct answer.", "C"),
    ("Aspirin is the best choice.", "C"),
    ("C is the answer", "C"),
    ("#### C", "C"),
    ("答案是C", "C"),
    ("The answer is C, I think.", "C"),
    ("The answer is C because A is reversible.", "C"),
    ("The answer is C. A is reversible and B blocks vitamin K. D is a vitamin.", "C"),
    ("Answer: C\n\nExplanation: options A and B act on clotting factors, D is a vitamin.", "C"),
    ("The answer is B. No, the answer is not B. The answer is C.", "C"),
    ("The answer is A. The answer is C.", "C"),
    # self-correction and negation
    ("The answer is C. Wait, actually B.", "B"),
    ("The answer is B. Hmm, wait, C.", "C"),
    (r"\boxed{B}. Actually, it's C.", "C"),
    ("The answer is C. Actually, B is incorrect anyway.", "C"),
    ("The answer is not C.", "no_answer"),
    ("It is not C, and this rules out B.", "no_answer"),
    ("C is incorrect.", "no_answer"),
    ("The incorrect answer is C.", "no_answer"),
    ("Aspirin is not the answer.", "no_answer"),
    # hedges, lists and echoes
    ("B or C", "ambiguous"),
    ("A, B and D", "ambiguous"),
    ("The answer is B or C.", "ambiguous"),
    ("The answers are A, B and D.", "ambiguous"),
    ("The answer is either (B) or (C).", "ambiguous"),
    ("Answer: A/C", "ambiguous"),
    ("The answer is aspirin or heparin.", "ambiguous"),
    ("Both B and C are correct.", "ambiguous"),
    (ECHO, "no_answer"),
    (QUESTION + "\n" + ECHO, "no_answer"),
    ("A. Heparin B. Warfarin C. Aspirin D. Vitamin D", "no_answer"),
    (QUESTION + "\n" + ECHO + "\nAnswer:", "no_answer"),
    (ECHO + "\n\nC. Aspirin", "C"),
    ("Answer: " + ECHO, "no_answer"),
    # where it stands
    ("C. Aspirin\n\nIt acetylates COX.\nA. Heparin: acts on thrombin, so it is wrong.", "C"),
    ("It acetylates COX.\n\nC", "C"),
    ("It acetylates COX.\n\nAspirin", "C"),
    ("Cyclooxygenase is acetylated by (C) Aspirin.", "C"),
    ("This describes option C.", "C"),
    ("(A) acts on thrombin. (B) on vitamin K. Thus the drug is (C).", "C"),
    ("(A) acts on thrombin, (B) on vitamin K.", "no_answer"),
    ("One would give aspirin here.", "C"),
    ("Neither heparin nor warfarin does so; aspirin does.", "C"),
    ("Heparin and aspirin both thin the blood.", "no_answer"),
    # prose traps
    ("A 45-year-old man has chest pain.", "no_answer"),
    ("A patient like this needs rest.", "no_answer"),
    ("I think so.", "no_answer"),
    ("The answer is a combination of rest and fluids.", "no_answer"),
    ("The answer is A 45-year-old man's problem.", "no_answer"),
    ("The answer is hepatitis B.", "no_answer"),
    ("The answer is type A blood.", "no_answer"),
    ("The answer is B cells.", "no_answer"),
    ("The answer is C. difficile.", "no_answer"),
    ("He carries hepatitis B, blood type A.", "no_answer"),
    ("Choose the correct answer from A, B, C or D.", "no_answer"),
    ("Is the answer C?", "no_answer"),
    ("If the answer is C, then COX is blocked.", "no_answer"),
    # thought
    ("<think>The answer is A.</think>The answer is C.", "C"),
    ("The answer is A.</think>C", "C"),
    ("<think>A</think>Let me see.<think>B</think>C", "C"),
    ("<think>The drug might be A or", "no_answer"),
    ("<think>So the answer is C.", "C"),
    ("<think>C. Aspirin", "no_answer"),
    ("<think>maybe B</think>", "no_answer"),
    # refusals
    ("I'm sorry, but I can't provide a diagnosis.", "refused"),
    ("As an AI, I cannot answer medical questions.", "refused"),
    ("I cannot see the image, but the answer is C.", "C"),
    ("The answer is aspirin and clopidogrel.", "no_answer"),
    ("The answer is aspirin, and it acts for days.", "C"),
    ("The answer is aspirin in a low dose.", "C"),
    # further wordings
    ("The correct answer is **C**. Options A, B, and D are incorrect because they do not inhibit COX.", "C"),
    ("**Final Answer: (C) Aspirin**", "C"),
    ("Final answer: Option C - Aspirin", "C"),
    ("## Final Response\n\nThe best choice is C. Aspirin.", "C"),
    (
        "Let's analyze each option:\nA. Heparin: activates antithrombin.\nB. Warfarin: inhibits VKOR.\n"
        "C. Aspirin: acetylates COX.\nD. Vitamin D: a vitamin.\n\nSo the correct one is C.",
        "C",
    ),
    (
        "A. Heparin is incorrect.\nB. Warfarin is incorrect.\n"
        "C. Aspirin is correct.\nD. Vitamin D is incorrect.",
        "C",
    ),
    ("Option A is incorrect. Option B is incorrect. Option C is correct. Option D is incorrect.", "C"),
    ("A: wrong. B: wrong. C: right. D: wrong. Answer - C", "C"),
    ("I'd go with C.", "C"),
    ("My answer: C", "C"),
    ("Ans: C", "C"),
    ("The answer must be C.", "C"),
    ("It's C.", "C"),
    ("It is (C).", "C"),
    ("I believe it's option C", "C"),
    ("Therefore, C.", "C"),
    ("So, C is the best answer.", "C"),
    ("Hence the answer is C: Aspirin, not B.", "C"),
    ("Not A, not B; the answer is C", "C"),
    ("I first thought the answer was C, but the correct answer is B.", "B"),
    ("Answer: C\n\nWait, I need to reconsider. Warfarin fits better.\n\nAnswer: B", "B"),
    ("The answer is C... no, B.", "B"),
    ("The answer is C. Sorry, I meant B.", "B"),
    ("\\boxed{C}. Hmm, let me double-check. Actually the correct answer is \\boxed{B}.", "B"),
    ("By elimination, the answer is C", "C"),
    ("The answer is C, not A.", "C"),
    ("The answer is C rather than B.", "C"),
    ("The answer is C (Aspirin), whereas B (Warfarin) is a VKA.", "C"),
    ("The most likely answer is C", "C"),
    ("The answer is: \\text{C}", "C"),
    ("The answer is $\\boxed{\\text{C. Aspirin}}$.", "C"),
    ("\\[\\boxed{C}\\]", "C"),
    ("Answer:C", "C"),
    ("answer is (c).", "C"),
    ("answer : c", "C"),
    ("THE ANSWER IS C", "C"),
    ("<answer>C</answer>\n\nNote: this is for education only; consult a doctor about A or B.", "C"),
    ("```\nC\n```", "C"),
    ('{"reasoning": "...", "answer": "c"}', "C"),
    ("{'answer_choice': 'C'}", "C"),
    ('{"answer": {"letter": "C"}}', "C"),
    ("Answer: [C]", "C"),
    ("Answer: {C}", "C"),
    ("Answer: <C>", "C"),
    ("Selected option: C", "C"),
    ("Correct option: C", "C"),
    ("Choice: C", "C"),
    ("Option: C", "C"),
    ("C is correct.", "C"),
    ("C is the correct answer because...", "C"),
    ("Letter C", "C"),
    ("C\n", "C"),
    ("C\n\nExplanation: A 45-year-old man...", "C"),
    ("Answer: C\nA: heparin\nB: warfarin", "C"),
    ("正确答案是C。", "C"),
    ("答案：C", "C"),
    ("选C", "C"),
    ("故选：C。", "C"),
    ("C。阿司匹林", "C"),
    ("I am not sure.", "no_answer"),
    ("All of the options are plausible.", "no_answer"),
    ("None of the options is correct.", "no_answer"),
    ("Please provide the options.", "no_answer"),
    ("Option A, B, C and D should all be considered by a physician.", "no_answer"),
    ("The correct answers are B and C.", "ambiguous"),
    ("Both (B) and (C)", "ambiguous"),
    ("B/C", "ambiguous"),
    ("Answer: B, C", "ambiguous"),
    ("The answer could be either B or C, so the answer is B or C.", "ambiguous"),
    ("<answer>B and C</answer>", "ambiguous"),
    ("Answer: A and C.", "ambiguous"),
    ("Vitamin C is not listed.", "no_answer"),
    ("The patient has hepatitis C.", "no_answer"),
    ("A is for effort and I am tired.", "no_answer"),
    ("A good answer would need more data.", "no_answer"),
    ("The answer to this is complicated. A careful doctor would examine B cells.", "no_answer"),
    ("The final answer is: A patient needs rest", "no_answer"),
    ("Given the options A through D, I need more data.", "no_answer"),
    ("Answer with the letter A, B, C, or D.", "no_answer"),
    ("The answer is in the image.", "no_answer"),
    ("So which one is it, C?", "no_answer"),
    ("I'm unable to assist with that request.", "refused"),
    ("I cannot provide medical advice. Please consult a doctor.", "refused"),
    ("Sorry, I can't help with that.", "refused"),
    ("As an AI language model, I am not able to diagnose.", "refused"),
    ("What is the answer? A) Heparin B) Warfarin C) Aspirin D) Vitamin D", "no_answer"),
    ("Question: x\nOptions:\nA) Heparin\nB) Warfarin\nC) Aspirin\nD) Vitamin D\nThe answer is", "no_answer"),
    (
        "Question: x\nOptions:\nA) Heparin\nB) Warfarin\nC) Aspirin\nD) Vitamin D\nThe answer is C) Aspirin",
        "C",
    ),
    ("Options:\n(A) Heparin\n(B) Warfarin\n(C) Aspirin\n(D) Vitamin D\n\nAnswer: (C)", "C"),
    ("I would say aspirin", "C"),
    ("The drug is aspirin (C).", "C"),
    ("The answer is aspirin (C).", "C"),
    ("The answer is **Aspirin**.", "C"),
    ("Aspirin (C)", "C"),
    ("**C) Aspirin** is the drug of choice since it's irreversible.", "C"),
    ("Correct answer: C. Aspirin. Heparin (A) works otherwise.", "C"),
    ("The best answer here is C) aspirin; A and B are anticoagulants.", "C"),
    ("Answer: C. A and B are anticoagulants.", "C"),
    ("The answer is C, A and B are anticoagulants.", "C"),
    ("The correct choice, therefore, is C.", "C"),
    ("The option that best fits is C.", "C"),
    ("The answer I would select is option C.", "C"),
    ("The correct answer, given the mechanism, is C.", "C"),
    ("Thus, the correct answer is option (C), i.e., aspirin.", "C"),
    ("The answer would be C", "C"),
    ("Correct Answer: **C. Aspirin**", "C"),
    ("**Correct Answer:**\n\nC. Aspirin", "C"),
    ("✅ **C. Aspirin**", "C"),
    ("➡️ Answer: C", "C"),
    ("The answer is E", "no_answer"),
    ("<answer>E</answer>", "no_answer"),
    ("Answer: none of the above", "no_answer"),
    ("The correct answer is not listed.", "no_answer"),
    ("The answer is C?", "no_answer"),
    ("<think>I think A. The answer is A. Hmm. Final: A</think>\n\nThe answer is **C**.", "C"),
    ("The answer is option: C.", "C"),
    ("Answer is C", "C"),
    ("Answer - (C)", "C"),
    (
        "**C. Aspirin** is correct.\n\n- **A. Heparin** – incorrect because it needs antithrombin.\n"
        "- **B. Warfarin** – incorrect.\n- **D. Vitamin D** – incorrect.",
        "C",
    ),
    (
        "The correct answer is C. Aspirin.\n\nExplanation:\n"
        "- A. Heparin: incorrect\n- B. Warfarin: incorrect\n- D. Vitamin D: incorrect",
        "C",
    ),
    ("Answer: C\n\nWhy not the others?\nA. Heparin\nB. Warfarin\nD. Vitamin D", "C"),
    ("1. Heparin no\n2. Warfarin no\n3. Aspirin yes\n\nC", "C"),
    (
        "The answer is C.\n\nThe other answer choices are incorrect: "
        "A is an anticoagulant, B is a VKA, D is a vitamin.",
        "C",
    ),
    ("The answer is C.\n\nOption B is the best choice only if the patient has AF.", "C"),
    ("I choose option (C).", "C"),
    ("Based on the above, I select C", "C"),
    ("My final choice is C.", "C"),
    ("The single best answer is C.", "C"),
    ("So the final answer is $\\boxed{\\textbf{C}}$", "C"),
    ("\\boxed{\\mathbf{C}}", "C"),
    ("\\boxed{\\text{(C)}}", "C"),
    ("\\boxed{C.}", "C"),
    ("\\boxed{C) Aspirin}", "C"),
    ("\\boxed{\\text{Option C}}", "C"),
    ("\\boxed{\\text{Aspirin (C)}}", "C"),
    ("\\boxed{c}", "C"),
    ("\\boxed {C}", "C"),
    ("\\boxed{ C }", "C"),
    ("boxed{C}", "C"),
    ("\\boxed{\\boxed{C}}", "C"),
    ("<answer> C </answer></s>", "C"),
    ("<answer>C. Aspirin</answer>", "C"),
    ("<answer>Aspirin</answer>", "C"),
    ("<answer>**C**</answer>", "C"),
    ("<answer>\\boxed{C}</answer>", "C"),
    ("<answer>C", "C"),
    ("<answer>Option C: Aspirin</answer>", "C"),
    ("<ANSWER>C</ANSWER>", "C"),
    ("<answer>(C) Aspirin, because it irreversibly acetylates COX.</answer>", "C"),
    ("<answer>A</answer>\n<answer>B</answer>\n<answer>C</answer>\n<answer>D</answer>", "ambiguous"),
    ("<answer>none</answer>", "no_answer"),
    ("<answer>I don't know</answer>", "no_answer"),
    ("<answer>YES</answer>", "no_answer"),
    ("\\boxed{C or D}", "ambiguous"),
    ("\\boxed{\\text{Aspirin or Heparin}}", "ambiguous"),
    ("\\boxed{\\text{A and C}}", "ambiguous"),
    ("\\boxed{AC}", "ambiguous"),
    ("\\boxed{A}\\boxed{C}", "ambiguous"),
    ("\\boxed{A,B,C,D}", "ambiguous"),
    ("\\boxed{not C}", "no_answer"),
    ("\\boxed{?}", "no_answer"),
    ("Answer: A, B, C, D", "ambiguous"),
    ("ABCD", "ambiguous"),
    ("(A)(B)(C)(D)", "ambiguous"),
    ("A and/or C", "ambiguous"),
    ("Options B and C are both correct.", "ambiguous"),
    ("The answer is B and C.", "ambiguous"),
    ("Either B or C", "ambiguous"),
    ("The correct options are: A, C", "ambiguous"),
    ("A,B,C,D are the options. I need to choose.", "no_answer"),
    ("We can exclude C.", "no_answer"),
    ("C can be ruled out.", "no_answer"),
    ("Option C is incorrect, option A is incorrect.", "no_answer"),
    ("It can't be C.", "no_answer"),
    ("It isn't aspirin.", "no_answer"),
    ("Aspirin is incorrect.", "no_answer"),
    ("The answer cannot be C.", "no_answer"),
    ("Definitely not aspirin.", "no_answer"),
    ("I doubt that the answer is C.", "no_answer"),
    ("You could argue that the answer is C.", "no_answer"),
    ("Someone might say the answer is C.", "no_answer"),
    ("The agent could be [C] here.", "no_answer"),
    ("It might be that the drug is (C).", "no_answer"),
    ("So you can tell her it is C.", "C"),
    ("If it is C, we stop.", "no_answer"),
    ("### Final answer\n[C] Aspirin", "C"),
    ("### Final answer\n[B] Heart\n[C] Lung", "no_answer"),
    # a bare letter before a clause, and other labels than letters
    ("C (it is oral)", "C"),
    ("c (because it is oral)", "C"),
    ("C because it is oral", "C"),
    ("C, it is oral", "C"),
    ("C, the drug of choice, is wrong.", "no_answer"),
    ("A, B and C", "ambiguous"),
    ("A (45-year-old) man has pain.", "no_answer"),
    ("Answer: Option 3", "C"),
    ("###correct answer: option3", "C"),
    ("**Option 3: Aspirin**\n\n**Rationale:** Aspirin is oral. Heparin is injected.", "C"),
    ("The correct answer is: γ. Aspirin.", "C"),
    ("Answer: Option 7", "no_answer"),
    ("Option 1: Heparin\nOption 2: Warfarin\nOption 3: Aspirin", "no_answer"),
    ("Answer: 1. Heparin, 2. Warfarin", "no_answer"),
    (
        "Final answer: A\nIt is fast.\nFinal answer: B\nIt is oral.\nFinal answer: C\nIt is cheap.",
        "ambiguous",
    ),
    ("A is the first letter of the alphabet.", "no_answer"),
    ("In group A and group B, the patients improved.", "no_answer"),
    ("Grade C evidence.", "no_answer"),
    ("Class C drug", "no_answer"),
    ("Protein C deficiency.", "no_answer"),
    ("Child-Pugh class C cirrhosis", "no_answer"),
    ("The answer is protein C.", "no_answer"),
    ("The diagnosis is hepatitis C.", "no_answer"),
    ("The answer is Factor B.", "no_answer"),
    ("The answer is vitamin B12.", "no_answer"),
    ("The answer is D-dimer.", "no_answer"),
    ("The answer is C-reactive protein.", "no_answer"),
    ("The answer is B lymphocytes.", "no_answer"),
    ("The answer is A fib.", "no_answer"),
    ("The best choice is a low-dose regimen.", "no_answer"),
    ("Answer: I don't know", "no_answer"),
    ("Answer: A combination of drugs", "no_answer"),
    ("Answer: unsure", "no_answer"),
    ("Answer:\n", "no_answer"),
    ("Answer: Vitamin D", "D"),
    ("The answer is vitamin D.", "D"),
    ("vitamin D", "D"),
    ("D. Vitamin D", "D"),
    ("Dr. C. Smith saw the patient.", "no_answer"),
    ("CC", "no_answer"),
    ("Cc", "no_answer"),
    ("Your answer should be one letter: A, B, C, or D.", "no_answer"),
    ("The answer is the letter that corresponds to the correct option.", "no_answer"),
    ("Output the final answer as \\boxed{letter}.", "no_answer"),
    ("\\boxed{letter}", "no_answer"),
    ("\\boxed{X}", "no_answer"),
    ("\\boxed{answer}", "no_answer"),
    ("<answer>A/B/C/D</answer>", "ambiguous"),
    ("correct correct correct", "no_answer"),
    ("So A, B, and D can be excluded. Thus the answer is C.", "C"),
    ("The answer is C\nThe answer is C\nThe answer is C", "C"),
    (
        "Since A and B are anticoagulants and D is a vitamin, the correct answer must be option C (aspirin).",
        "C",
    ),
    ("I'm going with C", "C"),
    ("Final answer\n\nC", "C"),
    ("**Final Answer**\n\n\\boxed{C}", "C"),
    ("### Final Answer: \n**C) Aspirin**", "C"),
    ("Correct answer: (C)", "C"),
    ("The correct answer is:\n\nC. Aspirin\n\nExplanation: Heparin (A) acts otherwise.", "C"),
    ("The answer is C.\n\n---\n\nLet me know if you want a review of A or B!", "C"),
    ("Answer: **(C)** — Aspirin", "C"),
    ("Answer=C", "C"),
    ("Answer → C", "C"),
    ("The answer is “C”.", "C"),
    ("The answer is 'C'.", "C"),
    ("The answer is `C`.", "C"),
    ("The answer is <C>.", "C"),
    ("The answer is [C]", "C"),
    ("The correct answer is letter C.", "C"),
    ("The answer is C; the patient needs it.", "C"),
    ("The answer is C!", "C"),
    ("The right answer is C", "C"),
    ("Initially I thought C, but the answer is B.", "B"),
    ("The answer is C. Hold on. The answer is B.", "B"),
    ("C. No wait, B.", "B"),
    ("\\boxed{C}\n\nCorrection: the answer is \\boxed{B}", "B"),
    ("<answer>C</answer> Wait, that's wrong. <answer>B</answer>", "B"),
    ("Wait, B is not right. The answer is C.", "C"),
    ("Actually, the answer is C.", "C"),
    ("The answer is C. Wait, let me verify: yes, C.", "C"),
    ("<think>hmm</think><think>more</think>C", "C"),
    ("<think>\\boxed{}", "no_answer"),
    ("<think>So \\boxed{C}", "C"),
    # run-on turns, offers and notes behind the answer
    (
        "C. Aspirin\n\nIt acetylates COX.\n\n### Instruction 2 (harder):\nQ?\nA. Iron\nB. Zinc\n\nAnswer: B",
        "C",
    ),
    ("C. Aspirin\n\nExercise 2: Which lasts longest?\nA. Gold\nB. Iron\nAnswer: B. Iron", "C"),
    ("Answer: C\n\nQ: What is 2+2?\nA: The answer is B.", "C"),
    ("Aspirin<|endoftext|>Question: Which?\nAnswer: B", "C"),
    ("The answer is C.\n\nWould you like me to explain why option B is wrong?", "C"),
    ("C. Aspirin\n\n**Why the other options are incorrect:**\n- **A. Heparin**: acts on thrombin.", "C"),
    ("It's C.\n\nThe other options are less suitable: (A) Heparin acts late; (B) Warfarin is slow.", "C"),
    # in so many words
    ("→ C", "C"),
    ("So C it is.", "C"),
    ("By exclusion, C.", "C"),
    ("Overall, the evidence supports C.", "C"),
    ("Only C fits all findings.", "C"),
    ("Solution: C", "C"),
    ("Most likely: C\nLess likely: B", "C"),
    ("C, not B.", "C"),
    ("I'd lean towards C.", "C"),
    ("<b>C</b>", "C"),
    (r"$\mathbf{C}$", "C"),
    ("Ans. (c)", "C"),
    ("answer_idx: C", "C"),
    ('submit_answer(choice="C", rationale="COX")', "C"),
    ('{"letter": "C"}', "C"),
    ("✅ C) Aspirin\n❌ A) Heparin\n❌ B) Warfarin\n❌ D) Vitamin D", "C"),
    ("Aspirin is the most likely drug. Heparin acts on thrombin.", "C"),
    ("This is most consistent with aspirin, as it lasts for days.", "C"),
    ("La réponse est C.", "C"),
    ("Por lo tanto, la opción correcta es la C.", "C"),
    ("答えはCです。", "C"),
    ("정답은 C입니다.", "C"),
    ("Die richtige Antwort ist C.", "C"),
    # discussed, dismissed, supposed
    ("Option D would delay treatment.", "no_answer"),
    ("Choice B would be premature in this setting.", "no_answer"),
    ("Answer: C\n\nSecond best choice: B", "C"),
    ("The answer is C. B is the best choice in other situations.", "C"),
    ("If she were stable, the answer would be B. However, she is not, so C is best.", "C"),
    ("The answer would be B if she were stable.", "no_answer"),
    ("The answer is C. Hold on. It blocks COX only for a while. So it's B.", "B"),
    (r"The answer is not \boxed{C}", "no_answer"),
    ("I doubt that C is correct.", "no_answer"),
    ("It is a myth that (C) is correct.", "no_answer"),
    ("(C) seems correct at first, but it is not.", "no_answer"),
    ("The answer is C, wrong", "no_answer"),
    ("Answer: C (I think) or B", "ambiguous"),
    ("不能选C", "no_answer"),
    ("答案是C吗？", "no_answer"),
    ("若血压稳定，则应选A。本题答案为C。", "C"),
    ("本题应选C。其他选项：A 作用较晚", "C"),
    # further wordings, taken up after reading other people's logs
    ("After ruling out A, B and D, C remains.", "C"),
    ("The answer isn't B but C.", "C"),
    ("The answer is not A, B or D, so it's C.", "C"),
    ("Final decision: C", "C"),
    ("Ответ: C", "C"),
    ("A resposta correta é a alternativa C: Aspirina.", "C"),
    ("La respuesta correcta es la C.", "C"),
    ("【解析】A、B、D 均错误。\n【答案】C", "C"),
    ("仅C符合题意，故选C。", "C"),
    ("选项A错误，选项B错误，选项C正确，选项D错误。", "C"),
    ("- A. 肝素（错误）\n- B. 华法林（错误）\n- C. 阿司匹林（正确）\n- D. 维生素D（错误）", "C"),
    ("[THINK]A?[/THINK]C", "C"),
    ("◁think▷B◁/think▷The answer is C", "C"),
    ("<|channel|>analysis<|message|>B?<|end|><|start|>assistant<|channel|>final<|message|>C", "C"),
    ("<unused94>thought\nB or C<unused95>The answer is C.", "C"),
    ("## Thinking\n\nMaybe B.\n\n## Final Response\n\nThe answer is C.", "C"),
    ("<|begin_of_box|>C<|end_of_box|>", "C"),
    ("[ANSWER]C[/ANSWER]", "C"),
    ("Ⓒ", "C"),
    ("The answer is 𝐂.", "C"),
    ("Answer: С", "C"),
    ("After weighing these, option C) seems most fitting, as it binds for good.", "C"),
    ("Thus, this leaves us with (C).", "C"),
    ("B and C are both possible answers, but C is the more likely answer.", "C"),
    ("<answer>The drug that acetylates cyclooxygenase for good corresponds to option C.", "C"),
    ("<answer>It acetylates COX, which fits option C.\n\n<answer>C</answer>", "C"),
    ("It blocks COX for good. Therefore, the drug in question is aspirin.", "C"),
    ("We can conclude that it belongs to aspirin. However, we cannot be certain.", "C"),
    ("Therefore, among A through D, the answer is B, warfarin; or C, aspirin.", "ambiguous"),
    ("Therefore, among A through D, the answer is C and then B.", "ambiguous"),
    (
        "We can rule out A, B and D. C might work, but no.\n\nSo the answer is not among the options.",
        "no_answer",
    ),
    ("None of the given options is right.", "no_answer"),
    ("Wait, maybe the answer is (C) because", "no_answer"),
    ("Perhaps the answer is C, but that is not accurate.", "no_answer"),
    (
        "We can eliminate (C) and (D). (D) is a vitamin, so it cannot be.\n\nWe are left with (A) and (B).",
        "no_answer",
    ),
    ("Clots are treated with aspirin, ibuprofen and rest.", "no_answer"),
    ("Aspirin should be avoided; it is not the drug asked for.", "no_answer"),
]


@pytest.mark.parametrize(("reply", "human"), MCQ_CASES)
def test_multiple_choice_is_read_as_a_careful_human_reads_it(reply: str, human: str) -> None:
    """Each labelled reply gives its letter, or the status that says why there is none."""
    reading = verify.read(reply, mcq())
    assert (reading.answer or reading.status) == human, reading


@pytest.mark.parametrize(
    ("reply", "human"),
    [
        ("The mechanism points to", "truncated"),
        ("A. Heparin acts on thrombin. B. Warf", "truncated"),
        ("Aspirin is", "truncated"),
        ("", "truncated"),
        ("<think>Let me think about", "truncated"),
        ("C", "C"),
        ("The answer is C. This is because aspirin acet", "C"),
        ("The drug shown is Aspirin. This can be seen from the", "C"),
        ("The drug shown is Vitamin", "truncated"),
        ("C. Aspir", "C"),
        ("A. Hepar", "truncated"),
        ("C, aspirin acetylates a rem", "C"),
        (r"\boxed{C} Explanation: aspi", "C"),
        ("The answer is D.\n\nIt is a vitamin of the hypogonad", "D"),
        ("C is correct because it blocks COX. It also", "C"),
        ("A. Heparin\n\nThis answer is not correct based on", "truncated"),
        ("The answer is C. Wait, actually", "truncated"),
        ("Therefore, the drug is **C. Aspirin**.\n\nNext steps: do you want", "C"),
        ("**Final Answer:** C\n## Medical Question\n\nA man has rickets.\n\n**Answer:** D", "C"),
    ],
)
def test_a_cut_reply_counts_only_by_an_explicit_statement(reply: str, human: str) -> None:
    """`finish` "length" with nothing explicit is truncated, whatever the reply happens to mention."""
    reading = verify.read(reply, mcq(), "length")
    assert (reading.answer or reading.status) == human, reading


@pytest.mark.parametrize(
    ("reply", "human"),
    [
        ("Yes", "yes"),
        ("no.", "no"),
        ("Maybe", "maybe"),
        ("**Yes**", "yes"),
        (r"\boxed{\text{No}}", "no"),
        ("<answer>maybe</answer>", "maybe"),
        ('{"answer": "yes"}', "yes"),
        ("The answer is yes.", "yes"),
        ("Answer: No, because the trial failed.", "no"),
        ("Yes, there is a small effusion.", "yes"),
        ("No evidence of an effusion.", "no"),
        ("The trials disagree. Therefore, maybe.", "maybe"),
        ("The answer is yes. Wait, actually no.", "no"),
        ("<think>yes</think>No", "no"),
        ("Yes and no.", "ambiguous"),
        ("yes/no/maybe", "ambiguous"),
        ("The answer is yes or no.", "ambiguous"),
        ("There is no evidence in the abstract; eyes were normal.", "no_answer"),
        ("I think YES is what graders like, nobody knows.", "no_answer"),
        ("The answer is not yes.", "no_answer"),
        ("Nothing.", "no_answer"),
        ("Eyes", "no_answer"),
        ("Answer with yes, no or maybe.", "no_answer"),
        ("I'd say yes.", "yes"),
        ("Answer: (B) no", "no"),
        ("No, there is no difference.", "no"),
        ("Yes.\n\nThe abstract reports a benefit. No adverse events were seen.", "yes"),
        ("The yesterday result shows nothing", "no_answer"),
        ("Is the answer yes?", "no_answer"),
        ("The lesion is in the nose.", "no_answer"),
        ("I cannot determine this from the image.", "refused"),
        ("", "no_answer"),
    ],
)
def test_yes_and_no_are_words(reply: str, human: str) -> None:
    """yes/no/maybe count as words that answer, never as parts of words or of prose."""
    reading = verify.read(reply, yesno())
    assert (reading.answer or reading.status) == human, reading


@pytest.mark.parametrize(
    ("kind", "gold", "reply", "correct"),
    [
        ("closed", ("Left lung",), "left lung.", True),
        ("closed", ("MRI", "MR"), "The answer is MR.", True),
        ("closed", ("left lung",), "right lung", False),
        ("closed", ("left",), "The answer is left or right", False),
        ("open", ("pleural effusion",), "<answer>The Pleural  Effusion</answer>", True),
        ("open", ("pleural effusion",), "effusion", False),
        ("number", ("7",), "The answer is 7.", True),
        ("number", ("7",), r"\boxed{7.0 \text{ mg/dL}}", True),
        ("number", ("1200",), "Answer: 1,200 mL", True),
        ("number", ("7",), "7 or 8", False),
        ("number", ("6.65..7.35",), "x = 14 / 2 = 7, so the answer is 7.2 kg/m^2", True),
        ("number", ("10+-5%",), "9.5", True),
        ("number", ("10+-5%",), "9.4", False),
        ("number", ("-0.061",), "0.061", False),
    ],
)
def test_phrases_and_numbers_match_after_normalisation(
    kind: str, gold: tuple[str, ...], reply: str, correct: bool
) -> None:
    """Phrases are equal up to spelling; numbers lie within the gold's limits."""
    example = Example("q", kind, "What?", gold)  # type: ignore[arg-type]
    assert verify.grade(reply, example).correct is correct, verify.grade(reply, example)


def test_a_failed_call_is_neither_right_nor_wrong() -> None:
    """`finish` "error" leaves the row unscored; a provider's refusal is the model's."""
    assert verify.grade("C", mcq(), "error").correct is None
    assert verify.grade("C", mcq(), "error").status == "error"
    refused = verify.grade("", mcq(), "refused")
    assert (refused.correct, refused.status) == (False, "refused")


def test_text_shared_by_two_options_is_no_choice() -> None:
    """A letter picks one of two equal options; their common text picks neither."""
    twice = mcq("Heparin", "Aspirin", "Aspirin", "Warfarin")
    assert verify.read("The answer is aspirin.", twice).status == "ambiguous"
    assert verify.read(r"\boxed{Aspirin}", twice).status == "ambiguous"
    assert verify.grade("The answer is C. Aspirin", twice).correct is True
    assert verify.grade("The answer is B.", twice).correct is False


def test_options_that_look_like_labels_are_read_as_options() -> None:
    """Texts such as "E. coli", "A, B and C" or "A Renaut body" are not taken for letters."""
    germs = mcq("S. aureus", "B. cereus", "E. coli", "C. difficile", "H. pylori")
    assert verify.read("The answer is E. coli", germs).answer == "C"
    assert verify.read("C. difficile", germs).answer == "D"
    assert verify.read("C. E. coli", germs).answer == "C"
    lists = mcq("gliosis", "infarct", "tumour", "A, B and C are correct")
    assert verify.read("D. A, B and C are correct", lists).answer == "D"
    assert verify.read("The answer is D. A, B and C are correct", lists).answer == "D"
    bodies = mcq("A perineuroma", "A Renaut body", "I do not know", "None of the above")
    assert verify.read("The answer is a Renaut body.", bodies).answer == "B"
    assert verify.read("The answer is none of the above.", bodies).answer == "D"
    numbers = mcq("1", "2", "3", "4")
    assert verify.read(r"\boxed{2}", numbers).answer == "B"
    assert verify.read("Step 1 and 2 were done", numbers).answer is None


def test_each_rule_reads_its_own_example() -> None:
    """The example beside a rule is decided by that rule, so the documented order is the real one."""
    for rule in verify.RULES:
        kind = "mcq" if "mcq" in rule.kinds else sorted(rule.kinds)[-1]
        question = "Is there an effusion?" if kind == "yesno" else "Which drug was given?"
        gold = "yes" if kind == "yesno" else "left lung"
        example = Example("q", kind, question, (gold,), DRUGS if kind == "multi" else ())
        example = mcq() if kind == "mcq" else example
        assert verify.read(rule.example, example).rule == rule.name, rule


LISTED = "The options are (A), (B), (C) and (D)."
UNPAID = [
    "",
    " ",
    "YES",
    "The grader should answer YES. YES YES YES",
    "A B C D",
    "ABCD",
    "A, B, C, D",
    "A or B or C or D",
    r"\boxed{A B C D}",
    r"\boxed{A}\boxed{B}\boxed{C}\boxed{D}",
    r"\boxed{A/B/C/D}",
    r"\boxed{A. Heparin, B. Warfarin, C. Aspirin, D. Vitamin D}",
    r"\boxed{Heparin, Warfarin, Aspirin, Vitamin D}",
    "<answer>A or B or C or D</answer>",
    "<answer>ABCD</answer>",
    "<answer>A. Heparin\nB. Warfarin\nC. Aspirin\nD. Vitamin D</answer>",
    "".join(f"<answer>{letter}</answer>" for letter in "ABCD"),
    '{"answer": ["A", "B", "C", "D"]}',
    "The answer is A, B, C or D.",
    "The answer is A or B or C or D",
    "The answer is one of A, B, C, D.",
    "The answer is not " + ", not ".join("ABCD"),
    ECHO,
    QUESTION + "\n" + ECHO,
    "\n".join(reversed(ECHO.split("\n"))),
    ECHO + "\n" + ECHO,
    "Answer: " + ECHO.replace("\n", " "),
    "A\nB\nC\nD",
    "Heparin\nWarfarin\nAspirin\nVitamin D",
    LISTED,
    "<think></think><answer></answer>",
    r"\boxed{}",
    "Answer:",
    "The answer is",
    "the correct letter",
    "gold",
    "C" * 5000,
    "C " * 5000,
    "ABCD" * 5000,
    # Put forward and taken back, denied, quoted from others, or given by case.
    "C. Aspirin\n\nThis is incorrect.",
    "The answer is C. That is wrong.",
    "Aspirin: incorrect",
    "C (rejected)",
    "(C) is what most students say.",
    "The answer is C for low risk and D for high risk.",
    "The answer is C, otherwise D.",
    "The answer is C, or the answer is D.",
    "The answer is C|A",
    r"\boxed{C} (or D)",
    r"The format is \boxed{C}.",
    r"For example \boxed{C}.",
    "It is not the case that the answer is C.",
    "There is no way the answer is C.",
    "The textbook answer is C, but not here.",
    "My friend said the answer is C.",
    "Some say it is C.",
    "Nobody would answer C.",
    "It would be a mistake to answer C.",
    "Avoid aspirin.",
    "The patient is allergic to aspirin.",
    "Aspirin is the worst choice here.",
    "The least appropriate drug is aspirin.",
    "Everything but aspirin.",
    "Aspirin lacks this effect.",
    "Aspirin? No.",
    "Aspirin is improbable. The findings argue against aspirin.",
    "Option 3.5 is right",
    '{"incorrect_answer": "C"}',
    '{"other_answer": "C"}',
    "避免选C。",
    "很多人选C。",
    "有人认为答案是C。",
    "只有C错误。",
    "A和C正确。",
    "C正确吗？",
]


@pytest.mark.parametrize("reply", [
    "The answer is C. Edit: should be A.", "The answer is C. No — A.", "The answer is C.\nRevised: A",
    "The answer is C. Just kidding, it's A.", "C -> A", "C, but D is better",
])  # fmt: skip
def test_a_revised_answer_replaces_the_first(reply: str) -> None:
    """Whatever the change of mind is called, the first answer no longer counts."""
    assert not verify.grade(reply, mcq(gold="C")).correct


@pytest.mark.parametrize("reply", ["The answer is C or", "The answer is C and", "The answer is C/"])
def test_a_list_that_was_cut_off_is_no_answer(reply: str) -> None:
    """A reply that ends on "or" was about to name another."""
    assert verify.read(reply, mcq(), "length").status == "truncated"


@pytest.mark.parametrize("reply", UNPAID)
def test_no_gold_is_paid_for_a_reply_that_does_not_choose(reply: str) -> None:
    """As a reward: lists, echoes, empty forms and repetition earn nothing, whichever letter is gold."""
    for gold in "ABCD":
        assert verify.grade(reply, mcq(gold=gold)).correct is False, verify.grade(reply, mcq(gold=gold))


@pytest.mark.parametrize("reply", [
    "1 2 3 4 5 6 7 8 9", "7 or 8", "between 1 and 9", "7, 8, 9", r"\boxed{7, 8}", "7 8", "not 7",
    "The maximum is 7.", "7" * 5000, "7 " * 5000,
])  # fmt: skip
def test_no_number_is_paid_for_many(reply: str) -> None:
    """A list, a range or a run of numbers pays none of them."""
    for gold in ("1", "7", "8", "9"):
        assert not verify.grade(reply, Example("q", "number", "How many?", (gold,))).correct


@pytest.mark.parametrize("reply", ["left lung, right lung", "left or right lung", "left lung and right lung",
                                   "not the left lung", "left lung " * 3000])  # fmt: skip
def test_no_phrase_is_paid_for_both_sides(reply: str) -> None:
    """Naming every candidate pays none of them."""
    for gold in ("left lung", "right lung"):
        assert not verify.grade(reply, Example("q", "closed", "Which part is hit?", (gold,))).correct


@pytest.mark.parametrize("reply", ["yes no", "yes, no", r"\boxed{yes, no}", "<answer>yes no maybe</answer>",
                                   "Answer: yes, no", "yesno", "the answer hides YES in prose"])  # fmt: skip
def test_no_yesno_gold_is_paid_for_saying_both(reply: str) -> None:
    """Saying both, or the word inside prose, is not an answer."""
    for gold in ("yes", "no", "maybe"):
        assert verify.grade(reply, yesno(gold)).correct is False, verify.grade(reply, yesno(gold))


def multi(gold: str = "AC") -> Example:
    """A question about five drugs that wants every right one."""
    return Example("q", "multi", "Which of these thin the blood?", (gold,), (*DRUGS, "Clopidogrel"))


@pytest.mark.parametrize(
    ("reply", "human"),
    [
        ("AC", "AC"),
        ("A, C", "AC"),
        ("C and A", "AC"),
        ("(A) and (C)", "AC"),
        ("A. Heparin\nC. Aspirin", "AC"),
        ("Heparin and aspirin.", "AC"),
        ("C", "C"),
        ("The correct answers are A, C and E.", "ACE"),
        ("The answers are:\nA. Heparin\nC. Aspirin\n\nB acts otherwise.", "AC"),
        (r"\boxed{A, C}", "AC"),
        (r"\boxed{A} and \boxed{C}", "AC"),
        ("<answer>A,C</answer>", "AC"),
        ('{"answer": ["A", "C"]}', "AC"),
        ("Both act on clots.\n\nA, C", "AC"),
        ("答案：A、C", "AC"),
        ("故选A、C、D，B错误。", "ACD"),
        ("正确答案：A、C、D、E均属于抗凝药。", "ACDE"),
        ("A is true.\nB is false.\nC is true.\nD is false.\nE is false.", "AC"),
        ("A选项正确。B选项错误。C选项正确。D选项错误。E选项错误。", "AC"),
        ("所以，选项A和选项C符合题意，选项B、D、E都不符合题意。", "AC"),
        ("A选项正确。B选项错误。", None),
        ("A or C", None),
        ("The answer is A or C.", None),
        ("A patient has fever.", None),
        ("A. Heparin\nB. Warfarin\nC. Aspirin\nD. Vitamin D\nE. Clopidogrel", None),
        ("", None),
    ],
)
def test_several_right_options(reply: str, human: str | None) -> None:
    """A set of letters is read as a set; a choice between letters and the list of all options are none."""
    assert verify.read(reply, multi()).answer == human, verify.read(reply, multi())


def test_a_set_is_right_only_as_a_whole() -> None:
    """Neither a part of the right options nor all of them is paid."""
    for reply, paid in (("A, C", True), ("A", False), ("ACE", False), ("A, B, C, D, E", False), ("CA", True)):
        assert verify.grade(reply, multi()).correct is paid


LABELS = {
    "digits": (
        ("1", "2", "3", "4"),
        ["3", "Answer: 3", "(3) Aspirin", r"\boxed{3}", "option 3", "③", "The answer is 3."],
    ),
    "roman": (("i", "ii", "iii", "iv"), ["iii", "Answer: (iii)", "Ⅲ", "The answer is iii."]),
    "circled": (("①", "②", "③", "④"), ["③", "Answer: ③", "选③"]),
    "stems": (("甲", "乙", "丙", "丁"), ["丙", "故选丙", "答案：丙"]),
    "small": (("a", "b", "c", "d"), ["c", "c) aspirin", "The answer is (c)."]),
    "Cyrillic": (("А", "Б", "В", "Г"), ["В", "Answer: В", "(В)"]),
}


@pytest.mark.parametrize(
    ("labels", "reply"), [(labels, reply) for labels, replies in LABELS.values() for reply in replies]
)
def test_options_may_be_called_otherwise(labels: tuple[str, ...], reply: str) -> None:
    """Where an item says what its options are called, these labels are read."""
    example = Example("q", "mcq", QUESTION, ("C",), DRUGS, labels=labels)
    assert verify.read(reply, example).answer == "C", verify.read(reply, example)


@pytest.mark.parametrize(
    "reply", ["In 3 patients", "3 mg", "Stage 3 disease", "1.3", "It was given to 3 of 4 men."]
)
def test_a_number_in_prose_is_no_label(reply: str) -> None:
    """Digits that label the options are not read out of doses and counts."""
    example = Example("q", "mcq", QUESTION, ("C",), DRUGS, labels=("1", "2", "3", "4"))
    assert verify.read(reply, example).answer is None


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([case[0] for case in MCQ_CASES]), min_size=1, max_size=3),
    st.sampled_from("ABCDZ"),
)
def test_the_short_way_finds_what_the_rules_find(parts: list[str], letter: str) -> None:
    """A last line "Answer: C" is read alike with and without the pattern that looks there first."""
    reply = "\n".join([*parts, f"Answer: {letter}"])
    usual = verify.read(reply, mcq())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statement, "on_last_line", lambda text, options: None)
        assert verify.read(reply, mcq()).answer == usual.answer


ABOUT_ONE = [
    "{0}", "({0})", "The answer is {0}.", r"\boxed{{{0}}}", "{0}. {1}", "Thus, option {0} is correct.", "{1}",
    "<answer>{0}</answer>", "It is not {2} but {0}.", "The answer is {1}.",
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.permutations(range(4)), st.sampled_from(ABOUT_ONE))
def test_the_order_of_the_options_makes_no_difference(order: list[int], form: str) -> None:
    """The same reply about the same option is read as that option wherever it stands."""
    options = tuple(DRUGS[place] for place in order)
    letter = "ABCD"[options.index("Aspirin")]
    reply = form.format(letter, "Aspirin", "ABCD"["ABCD".index(letter) - 1])
    assert verify.read(reply, mcq(*options)).answer == letter


PIECES = ["The answer is ", "C", "(B)", r"\boxed{", "}", "<answer>", "</answer>", "<think>", "</think>", "\n",
          " or ", "not ", '"answer": "', '"', "A. Heparin", "Aspirin", "wait, ", "actually ", ". ", "**",
          "option ", "is correct",
          "yes", "no", "7", "####", "答案", "Ａ", "İ", "\\", "I'm sorry, I can't answer"]  # fmt: skip
replies = st.one_of(st.text(max_size=300), st.lists(st.sampled_from(PIECES), max_size=25).map("".join))


@settings(max_examples=400, deadline=None)
@given(replies, st.sampled_from(["stop", "length", "refused"]), st.integers(2, 26))
def test_any_text_gives_a_letter_or_none(reply: str, finish: str, n: int) -> None:
    """Reading never raises, answers with a letter of the options or nothing, and says why."""
    example = mcq(*(DRUGS + tuple(f"drug number {i}" for i in range(22)))[:n], gold="B")
    reading = verify.read(reply, example, finish)  # type: ignore[arg-type]
    assert reading.status in STATUSES
    assert (reading.answer is not None) == (reading.status == "scored")
    assert reading.answer is None or reading.answer in LETTERS[:n]
    assert verify.read(reply, example, finish) == reading  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(replies, st.sampled_from(["yesno", "closed", "number", "open", "multi", "free"]))
def test_any_text_is_read_for_every_kind(reply: str, kind: str) -> None:
    """The other kinds never raise either; an answer is scored, or is free text that waits for a judge."""
    options = (*DRUGS, "Clopidogrel") if kind == "multi" else ()
    verdict = verify.grade(reply, Example("q", kind, "Is it so?", ("yes",), options))  # type: ignore[arg-type]
    assert (verdict.answer is not None) == (verdict.status in ("scored", "unjudged"))
    assert (verdict.correct is None) == (kind == "free")


@settings(max_examples=200, deadline=None)
@given(replies)
def test_any_text_is_read_for_other_labels(reply: str) -> None:
    """Labels of any script never make reading raise, nor give a letter that no option has."""
    for labels, _ in LABELS.values():
        answer = verify.read(reply, Example("q", "mcq", QUESTION, ("C",), DRUGS, labels=labels)).answer
        assert answer is None or answer in "ABCD"


@settings(max_examples=200, deadline=None)
@given(replies)
def test_an_answer_reads_as_itself(reply: str) -> None:
    """Reading is idempotent: the answer read, given as the reply, is read as the same answer."""
    answer = verify.read(reply, mcq()).answer
    assert answer is None or verify.read(answer, mcq()).answer == answer


@settings(max_examples=100, deadline=None)
@given(st.permutations(DRUGS))
def test_reading_follows_the_option_not_its_place(options: list[str]) -> None:
    """An answer by text finds its option in any order of the options."""
    for reply in ("The answer is aspirin.", r"\boxed{Aspirin}", "One would give aspirin here.", "Aspirin"):
        reading = verify.read(reply, mcq(*options))
        assert options["ABCD".index(reading.answer or "?")] == "Aspirin"


UNITS = ["\\boxed{", "{", "}", "<answer>", "<think>", "</think>", "the answer is ", "the answer is not C ",
         "answer",          '"answer": "',
         "(A) ", "A. Heparin ", "wait, actually ", "C", "A, ", " ", "\n", "- ", "**", "Option A is ",
         "is the best ", "not ", "I can't ", "a\n", "####",
         "#### C\n", "(", "aspirin ", "no, ", "yes ", "İ", "答案", "\\",
         "'", "so ", "1,", "1e1"]  # fmt: skip


@pytest.mark.parametrize("kind", ["mcq", "yesno", "open", "number", "multi", "closed", "free", "labels"])
def test_a_megabyte_is_read_in_linear_time(kind: str) -> None:
    """No repeated fragment of a reply makes any rule backtrack, which would take hours for 1 MB."""
    options = DRUGS if kind in ("mcq", "multi", "labels") else ()
    example = Example("q", "mcq" if kind == "labels" else kind, "Is it there?", ("C",), options)  # type: ignore[arg-type]
    if kind == "labels":
        example = replace(example, labels=("1", "2", "3", "4"))
    for unit in UNITS:
        reply = unit * (1_000_000 // len(unit))
        with seconds_of_cpu(60, unit):
            verify.read(reply, example)


def rows_of(path: str) -> list[dict]:
    """The rows of a JSON-lines file of the real data."""
    return [
        json.loads(line) for line in (DATA / path).read_text(encoding="utf-8").splitlines() if line.strip()
    ]


def real_examples() -> list[Example]:
    """MedQA, MedMCQA, MIRAGE and PubMedQA rows as examples."""
    examples = []
    for row in rows_of("medqa/us_4_options_test.jsonl"):
        examples.append(
            Example("", "mcq", row["question"], (row["answer_idx"],), tuple(row["options"].values()))
        )
    for row in rows_of("medmcqa/dev.json"):
        options = tuple(row[f"op{letter}"] for letter in "abcd")
        examples.append(Example("", "mcq", row["question"], (LETTERS[int(row["cop"]) - 1],), options))
    mirage = json.loads((DATA / "mirage/benchmark.json").read_text(encoding="utf-8"))
    for name in ("pubmedqa", "bioasq", "mmlu"):
        for row in mirage[name].values():
            examples.append(
                Example("", "mcq", row["question"], (row["answer"],), tuple(row["options"].values()))
            )
    pubmedqa = json.loads((DATA / "pubmedqa/ori_pqal.json").read_text(encoding="utf-8"))
    examples += [Example("", "yesno", row["QUESTION"], (row["final_decision"],)) for row in pubmedqa.values()]
    return examples


@needs_data
def test_every_real_gold_passes_its_own_scorer() -> None:
    """The gold of every MedQA, MedMCQA, MIRAGE and PubMedQA row, said plainly, is graded right."""
    examples = real_examples()
    assert len(examples) > 8000
    for example in examples:
        assert verify.grade(verify.gold_reply(example), example).correct, example


@needs_data
@pytest.mark.parametrize(
    "form",
    ["{0}", "({0})", "{0}. {1}", "({0}) {1}", "**{0}. {1}**", r"\boxed{{{0}}}", "Answer: {0}",
     "The correct answer is {0}. {1}",
     "<answer>{0}</answer>", "The answer is ({0}) {1}.", "Therefore, option {0} is the correct answer.",
     "<answer>{0}. {1}</answer>", "Explanation first.\n\n{0}. {1}", "The best choice is **{0}) {1}**"],
)  # fmt: skip
def test_real_options_survive_every_usual_form(form: str) -> None:
    """Whatever the real option texts hold, the usual ways of giving one are read as that one."""
    examples = [example for example in real_examples() if example.kind == "mcq"]
    wrong = []
    for example in random.Random(0).sample(examples, 1500):
        text = example.options["ABCDEFGHIJ".index(example.gold[0])]
        reading = verify.read(form.format(example.gold[0], text), example)
        if reading.answer != example.gold[0]:
            wrong.append((form.format(example.gold[0], text), example.options, reading))
    assert not [case for case in wrong if case[2].answer], wrong[:3]
    assert len(wrong) <= 3, wrong[:5]


# What a human reads in the free text of Qwen-VL on MMMU, row by row; "-" where it gives no single option.
# The labels were made by reading each reply with the tool's answer beside it: not blind.
QWEN_VL = {
    "Basic_Medical_Science": (
        "1D 2A 3A 4A 5C 6C 7A 8C 9- 11A 12D 13C 15A 16B 17- "
        "18A 19B 20A 21C 22B 23D 24A 25A 26A 27C 28- 29C 30C "
    ),
    "Clinical_Medicine": (
        "1C 2C 3B 4C 5A 6- 7C 8C 9C 10A 11B 12A 13B 14B 15A "
        "16B 17D 18C 19C 20D 21A 22D 23C 24C 25C 26A 27B 28C 29A 30C "
    ),
    "Diagnostics_and_Laboratory_Medicine": (
        "1A 2D 3D 4B 5C 6- 7C 8A 9C 10C 11- 12C 13B 14C 15C "
        "16A 17A 18A 19D 20E 21C 22C 23C 24D 25B 26- 27E 28A 29B 30A "
    ),
    "Pharmacy": (
        "1C 2E 4B 5A 6D 7A 8A 9A 10C 11A 12B 13- 14B 15C 16B 17D 18A 20A 21C 22C 23D 24A 25C 27A 28D 29A 30- "
    ),
    "Public_Health": (
        "1C 2B 3A 4D 5C 6B 7A 8B 9B 10B 11D 12A 13A 14D 15C "
        "16B 17C 18C 19A 20B 21D 22A 23D 24C 25B 26C 27C 28- 29A 30A "
    ),
}


@needs_data
def test_real_free_text_is_never_read_as_another_letter_than_a_human_reads() -> None:
    """On 145 hand-labelled real replies no letter differs from the human's, and few are missed."""
    missed = total = 0
    for subject, labels in QWEN_VL.items():
        rows = json.loads(
            (DATA / f"mmmu_medical/model_outputs/qwen_vl/{subject}.json").read_text(encoding="utf-8")
        )
        by_number = {row["id"].rsplit("_", 1)[1]: row for row in rows}
        for label in labels.split():
            row, human = by_number[label[:-1]], label[-1].replace("-", "")
            read = verify.read(row["response"], mcq(*row["index2ans"].values())).answer or ""
            assert read in (human, ""), (subject, label, row["response"])
            total += 1
            missed += read != human
    assert total == 145
    assert missed <= 6


@needs_data
def test_gpt4o_chain_of_thought_scores_as_published() -> None:
    """MMMU-Pro, medical subjects, GPT-4o with chain of thought: 164 of 286 right, none unread."""
    verdicts = []
    for row in rows_of("mmmu_medical/mmmu_pro_health_gpt4o_cot.jsonl"):
        options = tuple(str(option) for option in ast.literal_eval(row["options"]))
        verdicts.append(verify.grade(row["response"], Example("", "mcq", "", (row["answer"],), options)))
    assert sum(bool(verdict.correct) for verdict in verdicts) == 164
    assert {verdict.status for verdict in verdicts} == {"scored"}
