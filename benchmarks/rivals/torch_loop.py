"""A plain PyTorch loop for the notebook's job: tensors permuted by index, dense AdamW, the same schedule."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import torch
from torch import nn

asked = json.loads(sys.argv[1])
data = np.load(asked["file"])
train, valid = (
    [torch.from_numpy(data[f"{p}_{k}"].astype(t)) for k, t in (("users", "i8"), ("items", "i8"), ("values", "f4"))]
    for p in ("train", "valid")
)
BS, K, LR, WD = 64, 50, 5e-3, 0.1


class DotBias(nn.Module):
    def __init__(self, n_users: int, n_items: int) -> None:
        super().__init__()
        sizes = (n_users, K), (n_items, K), (n_users, 1), (n_items, 1)
        self.u, self.i, self.ub, self.ib = (nn.Embedding(*size) for size in sizes)
        for table in self.children():
            nn.init.trunc_normal_(table.weight, 0, 0.01, -0.02, 0.02)

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        z = (self.u(users) * self.i(items)).sum(1) + self.ub(users)[:, 0] + self.ib(items)[:, 0]
        return torch.sigmoid(z) * 5.5


def one_cycle(t: float) -> tuple[float, float]:
    """Learning rate and momentum at a share ``t`` of the training."""
    wave = lambda a, b, p: b + (a - b) / 2 * (1 + np.cos(np.pi * p))  # noqa: E731
    if t < 0.25:
        return wave(LR / 25, LR, t / 0.25), wave(0.95, 0.85, t / 0.25)
    return wave(LR, LR / 1e5, (t - 0.25) / 0.75), wave(0.85, 0.95, (t - 0.25) / 0.75)


def run(epochs: int, rows: int) -> tuple[DotBias, float]:
    model = DotBias(*data["shape"].tolist())
    opt = torch.optim.AdamW(model.parameters(), LR, (0.95, 0.99), 1e-5, WD, fused=asked["fused"])
    steps, done, mse = epochs * (rows // BS), 0, 0.0
    for _ in range(epochs):
        order = torch.randperm(rows)
        users, items, values = (column[order] for column in train)
        for b in range(0, rows // BS * BS, BS):
            for group in opt.param_groups:
                group["lr"], mom = one_cycle(done / steps)
                group["betas"] = mom, 0.99
            opt.zero_grad()
            loss = (model(users[b : b + BS], items[b : b + BS]) - values[b : b + BS]).square().mean()
            loss.backward()
            opt.step()
            done += 1
        with torch.no_grad():
            mse = float((model(valid[0], valid[1]) - valid[2]).square().mean())
    return model, mse


torch.manual_seed(asked["seed"])
run(1, 2000)
start, busy = time.perf_counter(), time.process_time()
_, mse = run(5, asked.get("rows") or len(train[0]))
print(json.dumps({"seconds": time.perf_counter() - start, "cpu": time.process_time() - busy, "mse": mse}))
