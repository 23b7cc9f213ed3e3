"""How things look in a notebook: small HTML tables and bars, readable in light and dark."""

from __future__ import annotations

from html import escape
from typing import Any

from cofactor._html import table_html


def progress_html(names: Any, rows: Any, epochs: int, text: str = "") -> str:
    """The table of training so far, with a bar while it goes on."""
    done = len(rows)
    bar = ""
    if done < epochs:
        label = escape(text or f"{done} of {epochs} epochs")
        shape = "width:240px;vertical-align:middle"
        bar = f'<div><progress value="{done}" max="{epochs}" style="{shape}"></progress> {label}</div>'
    return bar + table_html(names, rows)


def loaders_html(dls: Any, columns: Any = ()) -> str:
    """Rows of loaders, and how many classes each of the ``columns`` has."""
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
    """What a Learner is, and how far it is."""
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
