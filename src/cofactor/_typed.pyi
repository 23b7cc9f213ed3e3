"""What ``cofactor.fit`` takes, model by model, for type checkers alone. Made by ``tools/typed_fit.py``."""

from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, overload

from cofactor.data.interactions import Interactions
from cofactor.recommend.fitted import Fitted
from cofactor.recommender import Recommender

class BiasOptions(TypedDict, total=False):
    epochs: int
    reg_user: float
    reg_item: float

class AlsOptions(TypedDict, total=False):
    n_factors: int
    epochs: int
    reg: float
    nu: float
    reg_user: float
    reg_item: float

class SvdppOptions(TypedDict, total=False):
    n_factors: int
    epochs: int
    reg: float
    flipped: bool

class ItemKnnOptions(TypedDict, total=False):
    k: int
    shrink: float
    power: float
    damping: float

class UserKnnOptions(TypedDict, total=False):
    k: int
    shrink: float
    power: float
    damping: float

class DotBiasOptions(TypedDict, total=False):
    n_factors: int
    y_range: tuple[float, float] | str | None
    loss: str
    epochs: int
    lr: float
    weight_decay: float
    batch_size: int
    parallel: str

class BayesMfOptions(TypedDict, total=False):
    n_factors: int
    epochs: int
    burn_in: int
    chains: int
    n_samples: int
    implicit: bool
    time: bool
    likelihood: str
    noise_df: float
    user_time_scales: tuple[float, ...]
    item_time_scales: tuple[float, ...]

class PopularOptions(TypedDict, total=False):
    half_life: float
    min_rating_weight: float

class ItemCosineOptions(TypedDict, total=False):
    weighting: str
    neighbours: int
    k1: float
    b: float
    shrink: float
    min_rating_weight: float
    half_life: float
    propensity: float

class EaseOptions(TypedDict, total=False):
    reg: float
    min_rating_weight: float
    half_life: float
    propensity: float
    dropout: float
    neighbours: int | None
    local_reg: float | None
    max_gb: float

class IalsOptions(TypedDict, total=False):
    n_factors: int | None
    epochs: int
    alpha: float | None
    reg: float | None
    nu: float | None
    min_rating_weight: float
    half_life: float
    propensity: float
    steps: int

class SlimOptions(TypedDict, total=False):
    l1: float
    l2: float
    positive: bool
    min_rating_weight: float
    half_life: float
    propensity: float
    passes: int
    tolerance: float
    max_gb: float

class GraphFilterOptions(TypedDict, total=False):
    n_factors: int
    neighbours: int
    from_power: float
    to_power: float | None
    user_power: float
    low_pass: float | None
    min_rating_weight: float
    half_life: float
    propensity: float
    users: int
    max_users: int

class NextItemOptions(TypedDict, total=False):
    steps: int
    power: float | None
    time_power: float | None
    backward: float | None
    from_power: float | None
    to_power: float | None
    shrink: float | None
    decay: float | None
    share: float | None
    popular: float | None
    half_life: float | None
    transitions: int
    neighbours: int
    reg: float
    users: int
    max_rows: int
    min_rating_weight: float
    max_gb: float

class RepeatBuyOptions(TypedDict, total=False):
    rate_power: float | None
    count_power: float | None
    age_power: float | None
    max_rows: int

class BprOptions(TypedDict, total=False):
    n_factors: int
    epochs: int
    lr: float
    reg: float
    min_rating_weight: float

class WarpOptions(TypedDict, total=False):
    n_factors: int
    epochs: int
    lr: float
    reg: float
    min_rating_weight: float
    trials: int
    margin: float

class BlendOptions(TypedDict, total=False):
    models: tuple[str, ...]
    weights: tuple[float, ...]
    share: float | None
    held_out: str
    relevant: float | None
    n: int
    rounds: int
    half_life: float

class NeuralOptions(TypedDict, total=False):
    layers: tuple[int, ...]
    n_factors: int
    user_factors: int
    item_factors: int
    y_range: tuple[float, float] | str | None
    dropout: float
    embed_dropout: float
    batch_norm: bool
    loss: str
    epochs: int
    lr: float
    weight_decay: float
    batch_size: int

@overload
def fit(
    ratings: Any,
    model: Literal["auto", "auto-ranking"] = "auto",
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Any,
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["bias"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[BiasOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["als"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[AlsOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["svd++"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[SvdppOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["item-knn"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[ItemKnnOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["user-knn"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[UserKnnOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["dot-bias"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[DotBiasOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["bayes-mf"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[BayesMfOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["popular"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[PopularOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["item-cosine"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[ItemCosineOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["ease"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[EaseOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["ials"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[IalsOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["slim"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[SlimOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["graph-filter"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[GraphFilterOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["next-item"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[NextItemOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["repeat-buy"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[RepeatBuyOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["bpr"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[BprOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["warp"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[WarpOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["blend"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[BlendOptions],
) -> Recommender: ...
@overload
def fit(
    ratings: Any,
    model: Literal["neural"],
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Unpack[NeuralOptions],
) -> Recommender: ...
