"""Our benchmarks as tasks of lm-evaluation-harness, for its own command.

A folder per export: `medbench_<name>.yaml` and its rows as `medbench_<name>.jsonl`, and one
`medbench_tasks.py` that grades with `medbench.verify`, so that its number and ours come from the same
reading. Each benchmark gets a generative task and a `…_loglikelihood` twin.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from medbench import prompts
from medbench.catalog import Benchmark, Catalog, Place
from medbench.errors import UsageError
from medbench.files import write_text
from medbench.schema import Example, frame
from medbench.solve import Asking, gold_choice, offered

FUNCTIONS = '''"""Grades lm-eval's generations with medbench's reader. Written by `medbench export`."""

from medbench import verify
from medbench.schema import Example


def grade(doc, results):
    """Accuracy, and whether an answer could be read."""
    row = dict(doc["example"])
    row["tags"] = {}
    for name in ("gold", "options", "labels"):
        row[name] = tuple(row[name])
    verdict = verify.grade(results[0], Example(**row))
    return {"acc": float(bool(verdict.correct)), "answered": float(verdict.status == "scored")}
'''

GENERATE = """task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{gold}}}}"
generation_kwargs:
  until: []
  do_sample: false
  max_gen_toks: 2048
process_results: !function medbench_tasks.grade
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: answered, aggregation: mean, higher_is_better: true}}
metadata:
  version: 1.0
  medbench: {note}
"""

LOGLIKELIHOOD = """task: {task}_loglikelihood
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{cloze}}}}"
doc_to_target: "{{{{gold}}}}"
doc_to_choice: "{{{{choices}}}}"
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
metadata:
  version: 1.0
  medbench: {note}
"""


def write(names: Sequence[str], catalog: Catalog, *, place: Place, out: Path) -> list[Path]:
    """Write the tasks of `names` into `out`; gives the files. Gated benchmarks are refused."""
    for name in names:
        if catalog.source(catalog.benchmark(name).source).gated:
            raise UsageError(
                f"'{name}' is gated: its questions are not written out", "leave it out of the export"
            )
    written = [write_text(out / "medbench_tasks.py", FUNCTIONS)]
    for name in names:
        loaded = catalog.examples(name, place, pictures=False)
        if any(example.images for example in loaded.examples):
            raise UsageError(
                f"'{name}' has images, which these tasks cannot show", "leave it out of the export"
            )
        task = f"medbench_{name.replace('-', '_')}"
        data = (out / f"{task}.jsonl").resolve()
        rows = documents(catalog.benchmark(name), loaded.examples)
        written.append(write_text(data, rows))
        values = {
            "task": task,
            "data": json.dumps(str(data)),
            "note": json.dumps(f"{name} {loaded.revision}"),
        }
        written.append(write_text(out / f"{task}.yaml", GENERATE.format(**values)))
        if all(example.options for example in loaded.examples):
            written.append(write_text(out / f"{task}_loglikelihood.yaml", LOGLIKELIHOOD.format(**values)))
    return written


def documents(row: Benchmark, examples: Sequence[Example]) -> str:
    """JSON lines: the prompt as we ask it, the cloze form, the choices, the gold's place, the example."""
    asked, cloze = prompts.named(row.prompt), prompts.named("mcq-cloze")
    table = frame(examples).drop("tags").to_dicts()
    lines = []
    for example, plain in zip(examples, table, strict=True):
        choices = offered(Asking(cloze), example)
        gold = gold_choice(Asking(cloze), example)
        document = {
            "prompt": prompts.render(asked, example)[-1]["content"],
            "cloze": prompts.render(cloze, example)[-1]["content"],
            "choices": list(choices),
            "gold": choices.index(gold) if gold in choices else gold,
            "example": plain,
        }
        lines.append(json.dumps(document, ensure_ascii=False))
    return "\n".join(lines) + "\n"
