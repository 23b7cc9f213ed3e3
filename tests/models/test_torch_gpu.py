"""GPUs: the same seed gives the same weights, runs go on from checkpoints of either kind of device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cofactor as cf

torch = pytest.importorskip("torch")
from cofactor.models.torch import stepper as torch_run  # noqa: E402
from cofactor.models.torch.module import TorchModule  # noqa: E402
from cofactor.train.learner import Learner  # noqa: E402

GPU = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else None
on_gpu = pytest.mark.skipif(GPU is None, reason="there is no GPU here")


def build(n_users: int, n_items: int) -> Any:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.users, self.items = torch.nn.Embedding(n_users, 4), torch.nn.Embedding(n_items, 4)
            self.drop = torch.nn.Dropout(0.2)

        def forward(self, x: Any) -> Any:
            return 3 + (self.drop(self.users(x[:, 0])) * self.items(x[:, 1])).sum(1)

    return Net()


def learner(device: str) -> Learner:
    rng = np.random.default_rng(0)
    frame = {"user": rng.integers(0, 40, 800), "item": rng.integers(0, 30, 800), "rating": rng.integers(1, 6, 800)}
    return Learner(cf.read(frame), TorchModule(module=build, device=device), seed=3, verbose=False)


class FakeMps:
    """The generator of Apple's GPU, as far as it is asked for."""

    def __init__(self) -> None:
        self.state = torch.zeros(8, dtype=torch.uint8)

    def get_rng_state(self) -> Any:
        return self.state.clone()

    def set_rng_state(self, state: Any) -> None:
        self.state = state.clone()

    def manual_seed(self, seed: int) -> None:
        self.state = torch.from_numpy(np.frombuffer(int(seed).to_bytes(8, "little"), np.uint8).copy())


def test_the_generator_of_apple_gpus_is_seeded_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, device = FakeMps(), torch.device("mps")
    for name in ("get_rng_state", "set_rng_state", "manual_seed"):
        monkeypatch.setattr(torch.mps, name, getattr(fake, name))
    before = torch.get_rng_state(), fake.get_rng_state()
    with torch_run.own_rng(device):
        torch_run.seed_rng(7, device)
        seeded = torch_run.rng_state(device)
        assert len(seeded) == 2
        assert seeded[1].tolist() == [7, *[0] * 7]
        torch.rand(3)
        torch_run.set_rng_state(seeded, device)
        assert all(torch.equal(a, b) for a, b in zip(torch_run.rng_state(device), seeded))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.equal(fake.get_rng_state(), before[1])


def test_a_checkpoint_of_another_device_is_restored() -> None:
    """One from a CPU lacks the GPU's generator, which then begins as seeded; one from a GPU has one too many."""
    run = learner("cpu")
    run.fit_one_cycle(1, 1e-2)
    stepper: Any = run.stepper
    state = stepper.snapshot()
    begun = torch.arange(16, dtype=torch.uint8)
    stepper.rng = [stepper.rng[0], begun]
    stepper.restore(state)
    assert torch.equal(stepper.rng[1], begun)
    stepper.rng = stepper.rng[:1]
    stepper.restore({**state, "rng.1": begun.numpy()})
    assert len(stepper.rng) == 1
    assert np.array_equal(stepper.rng[0].numpy(), state["rng.0"])


class Ends(cf.Callback):
    """Ends a run in an epoch, as a power cut does."""

    at = 1

    def before_epoch(self, learn: Any) -> None:
        if learn.epoch == self.at:
            raise RuntimeError("power cut")


@pytest.mark.parametrize(
    ("begun", "ended"),
    [("cpu", "cpu"), *(pytest.param(*pair, marks=on_gpu) for pair in (("cpu", GPU), (GPU, "cpu"), (GPU, GPU)))],
)
def test_a_file_of_one_device_goes_on_on_another(begun: str, ended: str, tmp_path: Path) -> None:
    file, never = tmp_path / "run.ckpt", Ends()
    never.at = -1

    def run(device: str, callback: Ends, **how: Any) -> Learner:
        made = learner(device)
        made.fit_one_cycle(2, 1e-2, callbacks=[callback], **how)
        return made

    with pytest.raises(RuntimeError, match="power cut"):
        run(begun, Ends(), checkpoint=file)
    whole, resumed = run(ended, never), run(ended, never, checkpoint=file, resume=True)
    assert len(resumed.recorder.values) == 2
    users = np.arange(30)
    found, expected = (r.model.predict(users, users) for r in (resumed, whole))
    if begun == ended:
        np.testing.assert_array_equal(found, expected)
    else:  # the first epoch had the dropout of another generator
        assert np.corrcoef(found, expected)[0, 1] > 0.9


@on_gpu
def test_one_seed_gives_one_result_on_a_gpu() -> None:
    found = []
    for _ in range(2):
        run = learner(str(GPU))
        run.fit_one_cycle(2, 1e-2)
        found.append(run.model.predict(np.arange(30), np.arange(30)))
    np.testing.assert_array_equal(*found)


@on_gpu
def test_a_run_from_a_cpu_goes_on_on_a_gpu() -> None:
    first, second = learner("cpu"), learner(str(GPU))
    first.fit_one_cycle(2, 1e-2)
    second.stepper.restore(first.stepper.snapshot())
    users = np.arange(30)
    np.testing.assert_allclose(second.model.predict(users, users), first.model.predict(users, users), atol=1e-4)
    second.fit_one_cycle(1, 1e-2)
