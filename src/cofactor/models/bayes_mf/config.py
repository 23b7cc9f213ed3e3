"""The parameters of ``bayes-mf``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cofactor.errors import ConfigError
from cofactor.models.base.config import Search, option

LIKELIHOODS = ("gaussian", "ordinal")


@dataclass(frozen=True)
class BayesMFConfig:
    """Parameters of ``bayes-mf``. The defaults were chosen on parts of the training rows of ml-100k's folds."""

    n_factors: int = option(16, "factors of each user and item", Search(4, 40, log=True))
    epochs: int = option(150, "sweeps of each chain, burn-in included", Search(60, 400, log=True))
    burn_in: int = option(30, "burn-in sweeps of each chain, before samples count")
    chains: int = option(2, "independent chains, each on a thread of its own")
    n_samples: int = option(60, "posterior samples kept over all chains (fewer where they would take over 256 MB)")
    implicit: bool = option(True, "use which user rated which item as implicit feedback", Search(choices=(True, False)))
    time: bool = option(True, "model user drift in time, if the data have times", Search(choices=(True, False)))
    likelihood: str = option(
        "gaussian", "'gaussian', or 'ordinal': ordered probit, for few distinct ratings", Search(choices=LIKELIHOODS)
    )
    noise_df: float = option(
        10.0, "degrees of freedom of the per-user and per-item noise; 0: one shared noise", Search(3.0, 50.0, log=True)
    )
    user_time_scales: tuple[float, ...] = option(
        (30.0, 3600.0), "initial time scales of user drift in seconds; one process each"
    )
    item_time_scales: tuple[float, ...] = option(
        (7776000.0,), "initial time scales of item drift in seconds, as user_time_scales"
    )

    def continued(self) -> dict[str, Any]:
        """Return the changes for a run that starts from trained chains: a sixth of the burn-in, half of the sweeps that
        count."""
        burn_in = self.burn_in // 6
        return {"burn_in": burn_in, "epochs": burn_in + max(1, (self.epochs - self.burn_in) // 2)}


def check(c: BayesMFConfig) -> None:
    """Raise ConfigError for an invalid parameter."""
    for name, value, least in (
        ("n_factors", c.n_factors, 1),
        ("epochs", c.epochs, 1),
        ("chains", c.chains, 1),
        ("n_samples", c.n_samples, 1),
    ):
        if value < least:
            raise ConfigError(f"{name} is {value}; it must be at least {least}")
    if not 0 <= c.burn_in < c.epochs:
        raise ConfigError(f"burn_in is {c.burn_in}; it must be 0 or more, and below epochs ({c.epochs})")
    if c.noise_df != 0 and not c.noise_df > 2:
        raise ConfigError(f"noise_df is {c.noise_df}; it must be above 2 (below, noise has no variance), or 0")
    if c.likelihood not in LIKELIHOODS:
        raise ConfigError(f"likelihood is {c.likelihood!r}; it must be one of: {', '.join(LIKELIHOODS)}")
    for name, scales in (("user_time_scales", c.user_time_scales), ("item_time_scales", c.item_time_scales)):
        if any(s <= 0 for s in scales):
            raise ConfigError(f"{name} are {scales}; each must be a number of seconds above 0")
