"""Interpretation: find the rows with the largest errors of a Learner."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from cofactor.errors import ConfigError
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._keywords import takes, takes_its_own
from cofactor.notebook._loaders.frames import show
from cofactor.notebook._loaders.procs import CategoryMap
from cofactor.notebook._measures.metric_functions import sklearn_function

__all__ = [
    "ClassificationInterpretation",
    "Interpretation",
]


@takes_its_own
class Interpretation:
    """The losses of rows, with the largest ones first."""

    def __init__(self, learn: Any, dl: Any, losses: Any, act: Any = None) -> None:
        self.learn, self.dl, self.losses, self.act = learn, dl, losses, act

    @classmethod
    def from_learner(cls, learn: Any, ds_idx: int = 1, dl: Any = None, act: Any = None) -> Any:
        """Make it of the validation rows, or of a loader."""
        dl = learn.dls[ds_idx].new(shuffle=False, drop_last=False) if dl is None else dl
        return cls(learn, dl, learn.get_preds(dl=dl, with_loss=True, act=act)[-1], act)

    def __getitem__(self, idxs: Any) -> tuple[Any, ...]:
        at = [int(i) for i in (idxs if hasattr(idxs, "__len__") else [idxs])]
        inputs, preds, targs, decoded = self.learn.get_preds(
            dl=self.dl, with_input=True, with_decoded=True, act=self.act
        )
        return tuple(o[at] for o in (inputs, preds, targs, decoded, self.losses))

    def top_losses(self, k: int | None = None, largest: bool = True, items: bool = False) -> tuple[Any, ...]:
        """Return the ``k`` largest (or smallest) losses and their rows."""
        if k is not None and k > len(self.losses):
            raise ConfigError(f"k is {k}; there are {len(self.losses)} losses")
        losses, at = self.losses.topk(len(self.losses) if k is None else k, largest=largest)
        return (losses, at, self.dl.items.iloc[at.numpy()]) if items else (losses, at)

    @takes("ctxs", "figsize", "nrows", "ncols")
    def plot_top_losses(self, k: Any, largest: bool = True) -> None:
        """Show the rows with the largest (or smallest) losses."""
        losses, at = self.top_losses(k if isinstance(k, int) else len(list(k)), largest)
        self.show_results(at, losses=losses)

    @takes("ctxs", "figsize", "nrows", "ncols")
    def show_results(self, idxs: Any, losses: Any = None) -> None:
        """Show targets and predictions of rows."""
        at = np.asarray([int(i) for i in (idxs if hasattr(idxs, "__len__") else [idxs])])
        ds = self.dl.dataset
        rows = ds.new(ds.items.iloc[at])
        frame = rows.new(rows.all_cols).decode().items.reset_index(drop=True)
        decoded = self[at][3].reshape(len(at), -1)
        for i, y in enumerate(ds.y_names):
            frame[f"{y}_pred"] = decoded[:, min(i, decoded.shape[1] - 1)].numpy()
        if losses is not None:
            frame["loss"] = torch.as_tensor(losses).numpy()
        show(frame)


@takes_its_own
class ClassificationInterpretation(Interpretation):
    """The same for classes, with a confusion matrix."""

    def __init__(self, learn: Any, dl: Any, losses: Any, act: Any = None) -> None:
        super().__init__(learn, dl, losses, act)
        vocab = getattr(learn.dls, "vocab", None)
        if isinstance(vocab, (list, tuple, L)) and len(vocab) and isinstance(vocab[-1], CategoryMap):
            vocab = vocab[-1]  # one for each block: the target's is the last
        self.vocab: Any = vocab if vocab is not None else [0, 1]

    def confusion_matrix(self) -> Any:
        """Return counts of classes (rows) by predicted class (columns)."""
        _, targs, decoded = self.learn.get_preds(dl=self.dl, with_decoded=True, act=self.act)
        d, t, n = decoded.reshape(-1).long().numpy(), targs.reshape(-1).long().numpy(), len(self.vocab)
        found = np.zeros((n, n), np.int64)
        np.add.at(found, (t, d), 1)
        return found

    def most_confused(self, min_val: int = 1) -> list[tuple[Any, Any, int]]:
        """Return pairs of class and predicted class, the most frequent mistakes first."""
        counts = self.confusion_matrix()
        np.fill_diagonal(counts, 0)
        found = [(self.vocab[i], self.vocab[j], int(counts[i, j])) for i, j in zip(*np.where(counts >= min_val))]
        return sorted(found, key=lambda o: o[2], reverse=True)

    def print_classification_report(self) -> None:
        """Print precision, recall and F1 of each class (scikit-learn's report)."""
        _, targs, decoded = self.learn.get_preds(dl=self.dl, with_decoded=True, act=self.act)
        names = [str(v) for v in self.vocab]
        t, d = targs.reshape(-1).long().numpy(), decoded.reshape(-1).long().numpy()
        print(
            sklearn_function("classification_report")(
                t, d, labels=list(range(len(names))), target_names=names, zero_division=0
            )
        )

    def plot_confusion_matrix(
        self,
        normalize: bool = False,
        title: str = "Confusion matrix",
        cmap: Any = "Blues",
        norm_dec: int = 2,
        plot_txt: bool = True,
        figsize: Any = None,
        dpi: Any = None,
    ) -> Any:
        """Plot the confusion matrix, with its numbers (``plot_txt``). Returns a matplotlib Axes."""
        import matplotlib.pyplot as plt

        counts = self.confusion_matrix()
        shown = counts / counts.sum(1, keepdims=True) if normalize else counts
        ax = plt.subplots(figsize=figsize, dpi=dpi)[1]
        ax.imshow(shown, cmap=cmap)
        for (i, j), value in np.ndenumerate(shown) if plot_txt else ():
            words, dark = (f"{value:.{norm_dec}f}" if normalize else str(value)), value > shown.max() / 2
            ax.text(j, i, words, ha="center", va="center", color="white" if dark else "black")
        ax.set_xticks(range(len(self.vocab)), [str(v) for v in self.vocab])
        ax.set_yticks(range(len(self.vocab)), [str(v) for v in self.vocab])
        ax.set_xlabel("predicted")
        ax.set_ylabel("actual")
        ax.set_title(title)
        return ax
