"""Handlers that tell about the served model and the stored versions."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from cofactor._version import __version__
from cofactor.bundle import info as bundle_info
from cofactor.data.kind import unit_of
from cofactor.model import Posterior
from cofactor.recommend.options import OPTIONS
from cofactor.serve.http.handlers.asked import iso
from cofactor.serve.live.live import Live


def about(live: Live) -> dict[str, Any]:
    """Return facts about the served model and its capabilities."""
    served = live.now
    rec, data = served.rec, served.rec.data
    rating = rec.model.task == "rating"
    table = data.item_table
    scale = rec.scale
    return {
        "version": served.version,
        "model": rec.name,
        "task": rec.model.task,
        "users": data.n_users + len(rec.updates.new_ids),
        "items": data.n_items,
        "ratings": len(data),
        "newer_ratings": rec.updates.n_ratings,
        "kind": data.kind,
        "unit": unit_of(data.kind, data.columns.rating, data.counted),
        "scale": {"low": scale.low, "high": scale.high, "step": served.catalogue.step, "liked": scale.liked},
        "titles": rec.items.titles is not None,
        "image_column": served.catalogue.image_column if live.settings.images else None,
        "item_columns": [] if table is None else [c for c in table.columns if c != data.columns.item],
        "groups": served.catalogue.groups,
        "group_values": served.catalogue.group_values,
        "ranges": served.catalogue.ranges,
        "user_features": served.catalogue.user_features,
        "orders": served.catalogue.orders,
        "options": [{"name": name, **option._asdict()} for name, option in OPTIONS.items()],
        "id_types": {
            kind: "int" if ids.dtype.is_integer() else "text"
            for kind, ids in (("user", data.user_ids), ("item", data.item_ids))
        },
        "can": {
            "fold_in": True,
            "explain": True,
            "intervals": rating and (rec.intervals is not None or isinstance(rec.model, Posterior)),
            "map": int((data.item_counts > 0).sum()) >= 3,
            "update": live.store is not None,
            "biases": served.catalogue.has_biases,
        },
        "config": dataclasses.asdict(rec.model.config),
        "parameters": {f.name: f.metadata.get("help", "") for f in dataclasses.fields(rec.model.config)},
        "metrics": rec.metrics,
        "figures": [] if rec.figures is None else rec.figures.to_dicts(),
        "loaded": iso(int(served.loaded)),
        "read_only": live.store is None,
        "cofactor": __version__,
        "last_error": live.last_error,
    }


def versions(live: Live) -> dict[str, Any]:
    """List the stored versions."""
    if live.kept is None:
        facts = bundle_info(live.settings.model)
        only = {"version": live.now.version, "active": True, "model": live.now.rec.name, "created": facts["created"]}
        only |= {"metrics": facts["metrics"], "figures": facts["figures"]}
        return {"versions": [only | {"activated": iso(int(live.now.loaded)), "source": "given"}], "busy": None}
    rows = [
        {
            "version": v.version,
            "active": v.version == live.now.version,
            "model": v.model,
            "created": v.created,
            "activated": iso(int(v.activated)) if v.activated else None,
            "source": v.source,
            "events": live.kept.store.count_through(v.through) if v.through else 0,
            "drift": v.drift,
            "trial": None if (text := live.kept.store.note(f"trial {v.version}")) is None else json.loads(text),
        }
        | live.kept.measured(v)
        for v in live.kept.store.versions(candidates=True)
    ]
    return {"versions": rows, "busy": live.busy}
