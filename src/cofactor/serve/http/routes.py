"""The table of the routes under /v1, each with its query, body, answer and statuses.

The OpenAPI description is made from the same table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from cofactor.serve.http import schemas
from cofactor.serve.http.handlers import catalogue, changes, experiments, facts, lists
from cofactor.serve.http.handlers.asked import Asked

Schema = dict[str, Any]
_CHANGING = ("/v1/events", "/v1/reload", "/v1/rollback", "/v1/refit", "/v1/feedback", "/v1/experiment")
REF = "#/components/schemas/{model}"


class Route(NamedTuple):
    """A route. ``run`` is its handler, ``shape`` the schema of its answer.

    ``heavy``: the answer is slow, and computed once for all clients. ``kept``: the answer is about a user, and is
    cached until the user has newer ratings. ``batch``: the request is for many users or pairs. ``short``: the answer is
    often so fast that a thread would cost more.
    """

    method: str
    path: str
    summary: str
    run: Callable[[Asked], Any]
    shape: Schema
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200
    more: tuple[int, ...] = ()
    heavy: bool = False
    kept: bool = False
    batch: bool = False
    short: bool = False

    @property
    def writes(self) -> bool:
        """Whether the route changes state."""
        return self.method == "DELETE" or self.path in _CHANGING


def _object(**fields: Any) -> Schema:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": True}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": ["number", "null"]}
WORDS: Schema = {"type": "string"}
MAYBE: Schema = {"type": ["string", "null"]}
FLAG: Schema = {"type": "boolean"}
ID: Schema = {"type": ["integer", "string"]}
ANY: Schema = {}
LISTED = _object(rank=WHOLE, item=ID, score=NUMBER, reason=MAYBE, status=WORDS)
LISTS = _object(version=WHOLE, recommendations=_list(LISTED))
ITEM_FACTS = _object(item=ID, title=MAYBE, ratings=WHOLE, mean=NUMBER)
MOVED = _object(version=WHOLE)

ROUTES = (
    Route("GET", "/v1/info", "Facts about the served model and its capabilities", lambda a: facts.about(a.live),
          _object(version=WHOLE, model=WORDS, users=WHOLE, items=WHOLE, ratings=WHOLE)),
    Route("GET", "/v1/items", "Search items by words in their titles or ids", catalogue.items,
          _object(items=_list(ITEM_FACTS), total=WHOLE), query=schemas.ItemsQuery),
    Route("GET", "/v1/item", "All facts about one item", catalogue.item,
          ITEM_FACTS, query=schemas.ItemQuery, more=(404,)),
    Route("GET", "/v1/users", "Search users by a part of their id", catalogue.users,
          _object(users=_list(_object(user=ID, ratings=WHOLE)), total=WHOLE), query=schemas.SearchQuery),
    Route("GET", "/v1/user", "The ratings of a user", catalogue.user,
          _object(user=ID, ratings=_list(ANY), total=WHOLE, mean=NUMBER, status=WORDS),
          query=schemas.RatedQuery, more=(404,)),
    Route("DELETE", "/v1/user", "Erase a user from everything that is stored", changes.erase,
          _object(deleted=WHOLE, versions=_list(WHOLE), held=_list(WORDS), refit=FLAG),
          query=schemas.EraseQuery, more=(404, 409)),
    Route("GET", "/v1/recommend", "The best items for a user", lists.recommend_known,
          LISTS, query=schemas.ListQuery, more=(404,), kept=True, short=True),
    Route("POST", "/v1/recommend", "The best items for a user, or for a new user with a history", lists.recommend,
          LISTS, body=schemas.Recommend, more=(404,), kept=True, short=True),
    Route("POST", "/v1/recommend-many", "Lists for many users or histories", lists.recommend_many,
          _object(version=WHOLE, lists=_list(_list(LISTED))), body=schemas.RecommendMany, more=(404,), batch=True),
    Route("POST", "/v1/predict", "Predicted ratings of pairs", lists.predict,
          _object(version=WHOLE, predictions=_list(_object(user=ID, item=ID, prediction=NUMBER, status=WORDS))),
          body=schemas.Predict, more=(404,), batch=True),
    Route("GET", "/v1/similar", "The items most similar to an item", lists.similar,
          _object(version=WHOLE, similar=_list(_object(rank=WHOLE, item=ID, similarity=NUMBER))),
          query=schemas.SimilarQuery, more=(404,)),
    Route("GET", "/v1/similar-users", "The users most similar to a user", lists.similar_users,
          _object(version=WHOLE, similar=_list(_object(rank=WHOLE, user=ID, similarity=NUMBER, shared_items=WHOLE))),
          query=schemas.SimilarUsersQuery, more=(404,)),
    Route("POST", "/v1/explain", "Explain a prediction", lists.explain,
          _object(version=WHOLE, label=WORDS, prediction=NUMBER, because=WORDS), body=schemas.Explain, more=(404,),
          short=True),
    Route("POST", "/v1/what-if", "How a list changes with other ratings", lists.what_if,
          _object(version=WHOLE, changes=_list(ANY)), body=schemas.WhatIf, more=(404,)),
    Route("GET", "/v1/biases", "The items with the lowest and highest biases", catalogue.biases,
          _object(version=WHOLE, biases=_list(ANY)), query=schemas.CountQuery),
    Route("GET", "/v1/map", "Places of the most rated items", catalogue.item_map,
          _object(items=_list(ANY), groups=_list(WORDS)), query=schemas.MapQuery, heavy=True),
    Route("POST", "/v1/events", "Add newer ratings", changes.tell,
          _object(accepted=WHOLE, version=WHOLE, events=WHOLE, new_items=_list(ID)),
          body=schemas.NewRatings, more=(404, 409)),
    Route("DELETE", "/v1/events", "Delete the newer ratings of a user", changes.forget,
          _object(deleted=WHOLE), query=schemas.UserQuery, more=(404,)),
    Route("GET", "/v1/versions", "The stored versions", lambda a: facts.versions(a.live),
          _object(versions=_list(_object(version=WHOLE, active=FLAG, model=WORDS)), busy=MAYBE)),
    Route("POST", "/v1/reload", "Serve a saved model", changes.reload, MOVED, body=schemas.Reload, more=(409,)),
    Route("POST", "/v1/rollback", "Go back to a version", changes.rollback, MOVED,
          body=schemas.Rollback, more=(404, 409)),
    Route("POST", "/v1/refit", "Train the model again, newer ratings included", changes.refit,
          _object(started=FLAG), body=schemas.Refit, status=202, more=(409,)),
    Route("POST", "/v1/feedback", "Report shown lists, and clicked or bought items",
          experiments.feedback, _object(accepted=WHOLE), body=schemas.Feedback, more=(404,)),
    Route("GET", "/v1/outcomes", "The outcomes of the lists of each version", experiments.outcomes,
          _object(live=WHOLE, versions=_list(ANY), days=_list(ANY), drift=ANY)),
    Route("POST", "/v1/experiment", "Start an experiment: a version serves a share of the users",
          experiments.begin_experiment, _object(experiment=ANY), body=schemas.BeginExperiment, more=(404, 409)),
    Route("DELETE", "/v1/experiment", "End the experiment", experiments.end_experiment,
          _object(ended=ANY), more=(409,)),
)  # fmt: skip

BY_PATH: Mapping[str, Mapping[str, Route]] = {
    path: {route.method: route for route in ROUTES if route.path == path}
    for path in dict.fromkeys(route.path for route in ROUTES)
}


def takes_body(method: str, path: str) -> bool:
    """Return whether a route takes a body."""
    route = BY_PATH.get(path, {}).get(method)
    return route is not None and route.body is not None


_MEANING = {
    400: "The request is not valid HTTP", 401: "The token is missing or wrong",
    403: "The token, or the origin of the page, does not allow this", 404: "A user, an item or a path is unknown",
    405: "The method is not allowed; see Allow", 408: "The body took too long to arrive",
    409: "A conflict with a change in progress", 413: "The body is too long", 415: "The body is not plain JSON",
    421: "The host name is not allowed", 422: "The request is not valid; the sentence says where",
    500: "An internal error", 501: "An optional package is not installed", 503: "Not available now; see Retry-After",
}  # fmt: skip
_ALWAYS = (400, 401, 403, 404, 421, 422, 500, 501, 503)
_WITH_BODY = (408, 413, 415)


def openapi(version: str) -> Schema:
    """Return the description of all routes (OpenAPI 3.1)."""
    models = [(m, "validation") for route in ROUTES for m in (route.body,) if m is not None]
    _, found = models_json_schema(list(dict.fromkeys(models)), ref_template=REF)  # type: ignore[arg-type]
    components = found.get("$defs", {})
    components["Problem"] = _object(type=WORDS, title=WORDS, status=WHOLE, detail=WORDS)
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    for path, shape in (("/health", _object(status=WORDS)), ("/ready", _object(status=WORDS, version=WHOLE))):
        answers = {"200": _answer("Yes", shape)} | ({} if path == "/health" else {"503": _problem(503)})
        paths[path] = {
            "get": {"summary": path[1:].capitalize(), "operationId": f"get_{path[1:]}", "responses": answers}
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cofactor", "version": version,
            "description": "Recommendations, explanations and newer ratings of one model. See docs/serving.md.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }  # fmt: skip


def _operation(route: Route) -> Schema:
    statuses = {*_ALWAYS, *route.more, *(_WITH_BODY if route.body is not None else ())}
    name = re.sub(r"\W+", "_", f"{route.method.lower()}{route.path.removeprefix('/v1')}")
    found: Schema = {
        "summary": route.summary,
        "operationId": name,
        "responses": {str(route.status): _answer("The answer", route.shape)}
        | {str(s): _problem(s) for s in sorted(statuses)},
    }
    if route.query is not None:
        found["parameters"] = _parameters(route.query)
    if route.body is not None:
        content = {"application/json": {"schema": {"$ref": REF.format(model=route.body.__name__)}}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _parameters(query: type[BaseModel]) -> list[Schema]:
    schema = query.model_json_schema(ref_template=REF)
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": {k: v for k, v in facts.items() if k != "title"},
        }
        for name, facts in schema["properties"].items()
    ]


def _answer(words: str, shape: Schema) -> Schema:
    return {"description": words, "content": {"application/json": {"schema": shape}}}


def _problem(status: int) -> Schema:
    content = {"application/problem+json": {"schema": {"$ref": REF.format(model="Problem")}}}
    return {"description": _MEANING[status], "content": content}
