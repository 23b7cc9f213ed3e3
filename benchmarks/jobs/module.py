"""A user's own nn.Module: cofactor's Learner against fastai's."""

from __future__ import annotations

from common import HERE, QUICK, Page, script
from environments import python_of, versions_of


def main() -> None:
    rival = python_of("fastai")
    page = Page("module", "A user's own `nn.Module`")
    page.versions.append(versions_of(rival, "fastai", "torch"))
    size = ["--epochs", "1", "--rounds", "1", "--threads", "1"] if QUICK else ["--epochs", "1", "--rounds", "3"]
    shown = script(HERE / "torch_path.py", "--rival", rival, *size)
    page.say(
        "Five modules in `cofactor.notebook`'s Learner and in fastai's: ML-100k by title, 80,000"
        " training rows, batches of 64, validation included, no progress bar in either. Each side in a process of"
        " its own, warm, in turn; medians of 3 rounds. The ratio is to the fastest of fastai's numbers of threads;"
        " in brackets, by processor seconds."
    )
    page.show(shown)
    page.say(
        "The first three are dot products: the Learner finds that out by what they compute, and trains them by the"
        " kernel of `dot-bias`. Of the other two it writes down what they compute, and a kernel trains that. Modules"
        " that do something else go through autograd, where dot products were about ten times faster than fastai's"
        " Learner (2026-11-30)."
    )
    page.say("Target: 15 times faster than fastai's Learner (every row).")
    page.write()


if __name__ == "__main__":
    main()
