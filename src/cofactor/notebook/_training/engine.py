"""Which way a module is trained: the dot-bias kernel on shared memory, whole epochs of autograd, or batch by batch with
callbacks. All three stand behind one ``cofactor.train.Learner``, which has the loop over epochs."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from cofactor.notebook._loaders.data_loader import TabDataLoader
from cofactor.notebook._training.event_core import EventCore
from cofactor.notebook._training.jobs import Core, Job, Run
from cofactor.notebook._training.kernel_core import KernelCore, kernel_of, reaches
from cofactor.notebook._training.module_core import ModuleCore

Array = NDArray[Any]


def make(job: Job, by_batch: bool, run: Run) -> Core:
    """The fastest way that honours the job: the kernel for an ``EmbeddingDotBias`` as it was made, on a CPU, by Adam,
    with a loss it knows and ratings that its sigmoid reaches; whole epochs on a table; batch by batch where callbacks
    look, or for other loaders."""
    if by_batch or not plain_table(job.dls):
        return EventCore(job, run)
    if (found := kernel_of(job)) is not None and reaches(job.dls.train_ds, found[1]):
        return KernelCore(job, *found)
    return ModuleCore(job)


def plain_table(dls: Any) -> bool:
    """Whether the training loader is a table's, shuffled, as it is."""
    dl = dls.train
    return (
        type(dl) is TabDataLoader
        and dl.plain
        and dl.shuffle
        and dl.drop_last
        and dl.bs is not None
        and len(dl.dataset) > 0
    )
