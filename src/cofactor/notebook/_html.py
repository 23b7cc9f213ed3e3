"""HTML for notebooks: small tables and bars, readable in light and dark."""

from __future__ import annotations

from html import escape
from typing import Any

from cofactor._html import table_html


def progress_html(names: Any, rows: Any, epochs: int, text: str = "") -> str:
    """Return the table of training so far, with a bar while training runs."""
    done = len(rows)
    bar = ""
    if done < epochs:
        label = escape(text or f"{done} of {epochs} epochs")
        shape = "width:240px;vertical-align:middle"
        bar = f'<div><progress value="{done}" max="{epochs}" style="{shape}"></progress> {label}</div>'
    return bar + table_html(names, rows)


def loaders_html(dls: Any, columns: Any = ()) -> str:
    """Return the rows of loaders, and the number of classes of each of the ``columns``."""
    rows = []
    for name, dl in zip(("train", "valid"), dls.loaders):
        size = getattr(dl, "n", None)
        rows.append(
            (
                name,
                "" if size is None else f"{size:,}",
                getattr(dl, "bs", getattr(dl, "batch_size", "")),
                len(dl) if hasattr(dl, "__len__") else "",
            )
        )
    found = table_html(("loader", "rows", "batch size", "batches"), rows)
    if columns:
        classes = getattr(dls, "classes", {})
        found += table_html(("column", "classes"), [(n, f"{len(classes[n]):,}") for n in columns if n in classes])
    return found


def learner_html(learn: Any) -> str:
    """Return a description of a Learner and its progress."""
    count = sum(p.numel() for p in learn.model.parameters())
    rows = [
        ("model", type(learn.model).__name__),
        ("parameters", f"{count:,}"),
        ("loss", repr(learn.loss_func)),
        ("epochs done", len(learn.recorder.values)),
    ]
    found = table_html(("Learner", ""), rows)
    if learn.recorder.values:
        found += table_html(
            learn.recorder.metric_names[:-1],
            [
                [i, *(f"{v:.6f}" if isinstance(v, float) else v for v in row)]
                for i, row in enumerate(learn.recorder.values)
            ],
        )
    return found
