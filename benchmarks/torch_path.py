"""A user's own ``nn.Module`` trained by cofactor and by fastai: the notebook's DotProductBias, ML-100k, batches of 64.

    COFACTOR_DATA_DIR=... python benchmarks/torch_path.py --rival PYTHON [--epochs 2] [--rounds 3]

``PYTHON`` is the interpreter of an environment with fastai. Each side runs in processes of its own, warm (an epoch on
2,000 rows first, which does not count), in turn, several rounds; the table shows medians of seconds an epoch,
validation included, and the ratio to the fastest of fastai with all its threads or fewer (processor seconds, which a
busy machine disturbs less, in brackets). Five modules: dot products with the notebook's ``Embedding``, with torch's own
``nn.Embedding``, and with plain parameters that are indexed; the book's layers over embeddings; a product of embeddings
beside layers with batch normalisation and dropout (He et al. 2017).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

MODELS = r"""
import sys, json, time, statistics
epochs = int(sys.argv[1])

def data(rows):
    import os
    import pandas as pd
    root = os.path.join(os.environ["COFACTOR_DATA_DIR"], "ml-100k")
    ratings = pd.read_csv(f"{root}/u.data", sep="\t", header=None, names=["user", "movie", "rating", "timestamp"])
    names = {"usecols": (0, 1), "names": ("movie", "title"), "header": None}
    ratings = ratings.merge(pd.read_csv(f"{root}/u.item", sep="|", encoding="latin-1", **names))
    return CollabDataLoaders.from_df(ratings[:rows], item_name="title", bs=64, seed=42)

def modules(dls):
    sizes = len(dls.classes["user"]), len(dls.classes["title"])

    class Tables(Module):
        def __init__(self, kind, n_users, n_movies, n_factors):
            self.user_factors, self.user_bias = kind(n_users, n_factors), kind(n_users, 1)
            self.movie_factors, self.movie_bias = kind(n_movies, n_factors), kind(n_movies, 1)

        def forward(self, x):
            users, movies = self.user_factors(x[:, 0]), self.movie_factors(x[:, 1])
            res = (users * movies).sum(dim=1, keepdim=True)
            res += self.user_bias(x[:, 0]) + self.movie_bias(x[:, 1])
            return sigmoid_range(res, 0, 5.5)

    def create_params(size):
        return nn.Parameter(torch.zeros(*size).normal_(0, 0.01))

    class Parameters(Module):
        def __init__(self, n_users, n_movies, n_factors):
            self.user_factors, self.user_bias = create_params([n_users, n_factors]), create_params([n_users])
            self.movie_factors, self.movie_bias = create_params([n_movies, n_factors]), create_params([n_movies])

        def forward(self, x):
            res = (self.user_factors[x[:, 0]] * self.movie_factors[x[:, 1]]).sum(dim=1)
            res += self.user_bias[x[:, 0]] + self.movie_bias[x[:, 1]]
            return sigmoid_range(res, 0, 5.5)

    class Layers(Module):
        def __init__(self, n_act=100, y_range=(0, 5.5)):
            self.user_factors, self.item_factors = Embedding(sizes[0], 74), Embedding(sizes[1], 102)
            self.layers = nn.Sequential(nn.Linear(176, n_act), nn.ReLU(), nn.Linear(n_act, 1))
            self.y_range = y_range

        def forward(self, x):
            embs = self.user_factors(x[:, 0]), self.item_factors(x[:, 1])
            return sigmoid_range(self.layers(torch.cat(embs, dim=1)), *self.y_range)

    class Both(nn.Module):
        def __init__(self, k=32):
            super().__init__()
            self.ug, self.ig, self.um, self.im = (plain(n, k) for n in sizes * 2)
            self.one, self.two, self.norm = nn.Linear(2 * k, 64), nn.Linear(64, 32), nn.BatchNorm1d(64)
            self.drop, self.out = nn.Dropout(0.1), nn.Linear(32 + k, 1)

        def forward(self, x):
            u, i = x[:, 0], x[:, 1]
            h = self.drop(torch.relu(self.norm(self.one(torch.cat([self.um(u), self.im(i)], 1)))))
            h = torch.cat([self.ug(u) * self.ig(i), torch.relu(self.two(h))], 1)
            return torch.sigmoid(self.out(h).squeeze()) * 5.5

    def plain(n, k):
        table = nn.Embedding(n, k)
        nn.init.normal_(table.weight, 0, 0.01)
        return table

    return {
        "notebook Embedding": lambda: Tables(Embedding, *sizes, 50),
        "torch nn.Embedding": lambda: Tables(plain, *sizes, 50),
        "nn.Parameter": lambda: Parameters(*sizes, 50),
        "layers over embeddings": lambda: Layers(),
        "product and layers (NeuMF)": lambda: Both(),
    }

def measure():
    small = data(2000)
    for make in modules(small).values():
        quiet(Learner(small, make(), loss_func=MSELossFlat()), 1)
    dls = data(None)
    for name, make in modules(dls).items():
        learn = Learner(dls, make(), loss_func=MSELossFlat())
        start, busy = time.perf_counter(), time.process_time()
        quiet(learn, epochs)
        seconds, cpu = (time.perf_counter() - start) / epochs, (time.process_time() - busy) / epochs
        print(json.dumps([name, seconds, cpu]), flush=True)
"""

FASTAI = r"""
from fastai.collab import *
from fastai.tabular.all import *
def quiet(learn, n):
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(n, 5e-3, wd=0.1)
measure()
"""

OURS = r"""
from cofactor.notebook import *
def quiet(learn, n):
    learn.verbose = False
    learn.fit_one_cycle(n, 5e-3, wd=0.1)
measure()
"""


def measured(python: str, tail: str, epochs: int, threads: str = "") -> dict[str, tuple[float, float]]:
    """Seconds an epoch and processor seconds an epoch, by module, of one process."""
    head, _, rest = tail.strip().partition("def quiet")
    code = f"{head}\n{MODELS}\ndef quiet{rest}"
    env = os.environ | ({"OMP_NUM_THREADS": threads} if threads else {})
    done = subprocess.run([python, "-c", code, str(epochs)], capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise SystemExit(f"{python} failed:\n{done.stderr}")
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return {name: (seconds, cpu) for name, seconds, cpu in rows}


def main() -> None:
    parse = argparse.ArgumentParser(description="A user's own module: cofactor against fastai.")
    parse.add_argument("--rival", required=True, help="a Python with fastai installed")
    parse.add_argument("--epochs", type=int, default=1)
    parse.add_argument("--rounds", type=int, default=3)
    parse.add_argument("--threads", nargs="+", default=["all", "1"], help="torch threads of fastai: all, 1, 2, ...")
    parse.add_argument("--out", type=Path, help="write the table here too (Markdown)")
    asked = parse.parse_args()
    if "COFACTOR_DATA_DIR" not in os.environ:
        raise SystemExit("set COFACTOR_DATA_DIR to a folder that holds ml-100k")
    ours: list[dict[str, tuple[float, float]]] = []
    theirs: dict[str, list[dict[str, tuple[float, float]]]] = {threads: [] for threads in asked.threads}
    for _ in range(asked.rounds):
        ours.append(measured(sys.executable, OURS, asked.epochs))
        for threads, rounds in theirs.items():
            rounds.append(measured(asked.rival, FASTAI, asked.epochs, "" if threads == "all" else threads))
    heads = " | ".join(f"fastai, {t} thread{'' if t == '1' else 's'}" for t in theirs)
    lines = [
        f"| module: seconds (processor seconds) an epoch | cofactor | {heads} | least ratio |",
        "|---" * (3 + len(theirs)) + "|",
    ]
    for name in ours[0]:
        sides = [ours, *theirs.values()]
        walls, cpus = ([median(r[name][i] for r in side) for side in sides] for i in (0, 1))
        cells = " | ".join(f"{wall:.2f} ({cpu:.2f})" for wall, cpu in zip(walls, cpus))
        ratios = [min(rivals) / mine for mine, *rivals in (walls, cpus)]
        lines.append(f"| {name} | {cells} | {ratios[0]:.1f} ({ratios[1]:.1f}) |")
    table = "\n".join(lines)
    print(table)
    if asked.out:
        asked.out.write_text(table + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
