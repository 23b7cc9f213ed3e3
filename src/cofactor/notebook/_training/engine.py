"""Choose how a module is trained: by the dot-bias kernel on shared memory, by whole epochs of autograd, or batch by
batch with callbacks. All three are used through one ``cofactor.train.Learner``, which has the loop over epochs."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from cofactor.notebook._loaders.table_loader import TabDataLoader
from cofactor.notebook._training.event_core import EventCore
from cofactor.notebook._training.jobs import Core, Job, Run
from cofactor.notebook._training.kernel_core import KernelCore, kernel_of, reaches
from cofactor.notebook._training.module_core import ModuleCore

Array = NDArray[Any]


def make(job: Job, by_batch: bool, run: Run) -> Core:
    """Return the fastest way that meets the requirements of the job.

    These are: the kernel for an unaltered ``EmbeddingDotBias`` on a CPU, by Adam, with a loss that the kernel knows and
    ratings within reach of its sigmoid; whole epochs on a table; batch by batch if callbacks need batches, or for other
    loaders.
    """
    if by_batch or not plain_table(job.dls):
        return EventCore(job, run)
    if (found := kernel_of(job)) is not None and reaches(job.dls.train_ds, found[1]):
        return KernelCore(job, *found)
    return ModuleCore(job)


def plain_table(dls: Any) -> bool:
    """Return whether the training loader is an unaltered, shuffled loader of a table."""
    dl = dls.train
    return (
        type(dl) is TabDataLoader
        and dl.plain
        and dl.shuffle
        and dl.drop_last
        and dl.bs is not None
        and len(dl.dataset) > 0
    )
