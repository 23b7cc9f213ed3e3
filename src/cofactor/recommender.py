"""The Recommender: a trained model, the ratings it learned from, and everything one asks of them.

One line a verb: each method calls one function of the packages below, and returns a polars frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

import polars as pl
from numpy.typing import NDArray

from cofactor import bundle
from cofactor._fork import check_threads, checks_threads
from cofactor._frames import frames_out
from cofactor._paths import check_file
from cofactor._validate import check_bool, check_int
from cofactor.data.interactions import Interactions
from cofactor.errors import ConfigError
from cofactor.model import Interval
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.forget import forgotten
from cofactor.recommend.options import ListOptions, Unknown, list_options
from cofactor.recommend.parameters import biases_frame, embeddings_frame
from cofactor.recommend.predict import predict_codes, predict_frame, predict_interval
from cofactor.recommend.similar import SHRINK

if TYPE_CHECKING:
    from cofactor.explain.explanation import Explanation
    from cofactor.train.learner import Learner

Array = NDArray[Any]


@frames_out
@checks_threads
class Recommender(Fitted):
    """What :func:`cofactor.fit` returns and :func:`cofactor.load` reads back. Attributes: see ``Fitted``."""

    trials: pl.DataFrame | None

    @classmethod
    def from_learner(cls, learn: Learner) -> Self:
        """Around the model of a Learner, with the losses it recorded."""
        from cofactor.fitting.fit import from_learner

        return cls.of(from_learner(learn))

    # ---- predictions

    def predict(
        self,
        pairs: Any,
        *,
        interval: bool = False,
        level: float = 0.9,
        times: Sequence[int] | None = None,
        unknown: Unknown = "error",
    ) -> pl.DataFrame:
        """Predictions for (user, item) pairs, or a frame of such: user, item, prediction[, low, high], status.

        ``interval`` adds bounds that should hold ``level`` of true ratings. ``unknown`` says what to do with ids that
        were not in training: ``error``, ``skip`` (leave the row out), or ``popular`` (predict without knowing the user
        or item, and say so in ``status``). ``times`` are seconds since 1970, for models that use time.
        """
        return predict_frame(self, pairs, interval=interval, level=level, times=times, unknown=unknown)

    def predict_codes(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """float32 predictions for codes of the training data (-1: not known)."""
        return predict_codes(self, users, items, times)

    def predict_interval(self, users: Array, items: Array, level: float = 0.9, times: Array | None = None) -> Interval:
        """Predictions with bounds, from the posterior where the model has one, or else from held-out residuals."""
        return predict_interval(self, users, items, level, times)

    # ---- recommendations

    def recommend(
        self,
        user: Any = None,
        *,
        users: Iterable[Any] | None = None,
        history: Mapping[Any, float] | Iterable[Any] | None = None,
        histories: Any = None,
        features: Mapping[str, Any] | None = None,
        **options: Unpack[ListOptions],
    ) -> pl.DataFrame:
        """The ``n`` best items for a user of the training data, or for a new one with a ``history`` or ``features``.

        Returns a frame rank, item, [title,] score, [low, high,] reason, status. Nothing is retrained. ``users``: the
        lists of several users, one under the other, with the column ``user`` in front; :meth:`recommend_all` makes
        those of many quicker. ``histories``: the same for several new users, a list of histories (``user`` then counts
        them from 0), or a frame with a row for each rating and the columns of the training table.
        ``history`` maps items to ratings, on the scale of the training ratings, or lists items that were liked (each
        then counts for the upper quartile of these ratings), or is a frame with the columns of the training table.
        ``features`` maps columns of the table of users to values
        (``{"age": 31}``): a history, if any, starts from the scores of similar users.

        ``options`` are the fields of :class:`cofactor.recommend.options.ListOptions`:

        - ``n`` (10): the length of the list.
        - ``seen`` (False): whether items already rated may come up; ``allow``, ``deny``: only these items, or none of
          them; ``where``: a predicate over the side table, as a polars expression or as text
          (``"genres contains Drama and year >= 1990"``).
        - ``per_group=("genres", 3)``: at most three items of each genre; ``diversity`` (0 to 1): maximal marginal
          relevance (Carbonell & Goldstein 1998); ``calibration`` (0 to 1, or ``("column", strength)``): genres in
          proportion to those that the user likes (Steck 2018).
        - ``sure=0.9``: rank by the lower confidence bound (LCB); ``explore=0.9``: by the upper one (UCB);
          ``explore="draw"``: by a draw from the posterior (Thompson sampling), which ``seed`` fixes.
        - ``interval=0.9``: add ``low`` and ``high``, which should hold 90 % of true ratings.
        - ``unknown`` ("error"): an unknown user is an error, gets an empty list ("skip"), or the most rated items
          ("popular"). With the latter two, unknown items in ``history``, ``allow`` and ``deny`` are left out.

        ConfigError for an option that does not exist or makes no sense, UnknownIdError for an unknown id.
        """
        from cofactor.recommend import recommend as lists

        if histories is not None:
            if users is not None or user is not None or history is not None or features is not None:
                raise ConfigError("give histories=[...], or else users, one user, history or features, and not both")
            return lists.recommend_several(self, None, histories, list_options(**options))
        if users is not None:
            if user is not None or history is not None or features is not None:
                raise ConfigError("give users=[...], or else one user, history or features, and not both")
            return lists.recommend_several(self, users, None, list_options(**options))
        return lists.recommend_frame(self, user, history, features, list_options(**options))

    def recommend_all(
        self,
        n: int = 10,
        *,
        users: Iterable[Any] | None = None,
        out: str | Path | None = None,
        **options: Any,
    ) -> pl.DataFrame | None:
        """The ``n`` best items for every user: a frame user, rank, item, [title,] score, status, or a file.

        ``users`` (ids): lists for these alone, in this order, each once; ``unknown="skip"`` leaves out those that are
        not known. ``options`` are those of :meth:`recommend` (``allow``, ``deny``, ``where``, ``per_group`` ...). With
        ``out`` a Parquet file is written (CSV or TSV where its name says so, from memory). A file that holds another
        table, such as the ratings, is not replaced. Memory is bounded, and the file appears whole at the end. A run
        that was killed goes on where it was when it is started again with the same model and options; until then its
        parts are in ``<out>.parts``.
        """
        from cofactor.recommend.batch.recommend_all import recommend_all

        if out is not None:
            check_file(out)
        return recommend_all(self, list_options(n=n, **options), users, out)

    def approximate(
        self,
        n: int = 10,
        *,
        sample: int = 200,
        seed: int = 0,
        above: int = 100_000,
        connectivity: int = 16,
        effort: int = 256,
        threads: int = 1,
    ) -> Recommender:
        """A new Recommender whose ``recommend`` and ``recommend_all`` look for the best items in an index.

        For catalogues of at least ``above`` items; below, exact search is about as fast, and ``index`` is None. Where
        the lengths of the item vectors differ much (``ials``), items by descending length are the index: it is built in
        a second, and lists are the exact ones (``index.exact``). Else a graph of near items is. What it finds is scored
        exactly; what is missed is measured now: ``index.recall`` is the share of the exact ``n`` best that was found,
        the mean over ``sample`` users drawn by ``seed``. More ``effort`` (candidates looked at) or ``connectivity``
        (edges an item) finds more, and takes longer; more ``threads`` build the graph sooner, and each time a little
        differently. Lists with ``per_group``, ``diversity``, ``calibration``, ``sure`` or ``explore`` are exact all the
        same. :meth:`update` keeps the index, :meth:`save` writes it and ``cofactor.load(path, index=True)`` opens it;
        :meth:`refit` does not keep it. ConfigError for a model without vectors, MissingExtraError for a graph without
        the extra ``ann``.
        """
        from cofactor.recommend.ann.search import approximate

        return approximate(self, n, sample, seed, above, connectivity, effort, threads)

    def recommend_new(
        self,
        items: Any,
        user: Any = None,
        *,
        users: Iterable[Any] | None = None,
        history: Mapping[Any, float] | Iterable[Any] | None = None,
        histories: Any = None,
        n: int = 10,
        interval: bool = False,
        level: float = 0.9,
        unknown: Unknown = "error",
    ) -> pl.DataFrame:
        """The best of some *new* items (a frame with an id and columns of the side table) for a user or a history.

        A frame rank, item, [title,] score, [low, high,] reason, status. The user's scores of the known items are
        regressed on their features (those that the model was trained with, or else the columns of the side table); a
        new item's score is what that says of its own. Where nothing is known of an item it is the user's mean over the
        known ones, and ``status`` says so, as it does of values never seen and of columns that are missing. Items that
        are known after all are scored as ever. ``interval`` adds bounds (of rating models) that should hold ``level``
        of true ratings: from the errors on known items that are predicted by their features alone.
        ``users`` and ``histories`` (as :meth:`recommend` takes them): lists for several at once, one under the other,
        with the column ``user`` in front; each list is that of the user alone.
        """
        from cofactor.recommend.cold_start.items import recommend_new

        return recommend_new(self, items, user, history, users, histories, (n, unknown, interval, level))

    # ---- newer ratings

    def update(self, events: Any, *, unknown: Unknown = "error") -> Recommender:
        """A new Recommender that also knows these ratings, of known or new users; this one stays as it is.

        ``events``: a frame with the training table's column names, or (user, item, rating[, time]) tuples; of two
        ratings for the same item the later one counts. Each user's whole history is folded in with the items held
        fixed, which takes milliseconds; the model is shared. ``unknown="skip"`` leaves out ratings of items that the
        model does not know. An updated Recommender cannot be saved: :meth:`refit` it first.
        """
        from cofactor.recommend.update import apply_updates

        return self.replace(updates=apply_updates(self, events, unknown))

    def forget(self, user: Any) -> Recommender:
        """A new Recommender that knows nothing of a user: no rows, newer ratings, features or id.

        The model is shared. What it learned of the user (a vector that has no name any more, and their part in what it
        learned of items) stays until :meth:`refit`. UnknownIdError where nobody has this id.
        """
        return self.replace(**forgotten(self, user))

    def ratings(self) -> Interactions:
        """The training data with the newer ratings among them."""
        from cofactor.recommend.update import enlarged

        return enlarged(self)

    def refit(
        self,
        ratings: Any = None,
        *,
        seed: int | None = None,
        warm: bool | None = None,
        verbose: bool = False,
        **config: Any,
    ) -> Recommender:
        """The same model and config (apart from what ``config`` changes) trained on more ``ratings``.

        ``ratings``: by default the training data with the newer ratings; or anything that :func:`cofactor.fit` takes.
        ``user_features`` and ``item_features`` are as there.
        Models that train in sweeps over tables of vectors (als, svd++, ials) begin with the old ones, so that fewer
        ``epochs`` do; the chains of bayes-mf begin at their last samples, with a sixth of the burn-in and half of the
        sweeps. Those that learn by gradient steps (dot-bias, neural, bpr, warp) go on only with ``warm=True``, for a
        fifth of their epochs at a low learning rate: quicker, and next to no drift. ``bpr`` and ``warp`` lose nothing
        by it; ``dot-bias`` and ``neural`` stay near the old model and gain less from the new ratings. Others begin
        afresh, and so do all with ``warm=False``; ``verbose`` says why.
        ``metrics["warm_start"]`` says which (1 or 0).

        The new vectors are turned to lie on the old ones as well as they can (orthogonal Procrustes over the items that
        both know; Schönemann 1966), so that stored ones from :meth:`embeddings` stay comparable.
        ``metrics["embedding_shift"]`` is how far they moved even so: the mean of 1 - cosine over these items.
        """
        from cofactor.fitting.refit import refit

        return Recommender.of(refit(self, ratings, self.seed if seed is None else seed, warm, verbose, config))

    # ---- what it learned

    def similar_items(
        self, item: Any, n: int = 10, *, shrink: float = SHRINK, unknown: Unknown = "error"
    ) -> pl.DataFrame:
        """The ``n`` items nearest to one: a frame rank, item, [title,] similarity, shared_raters, status.

        By the model's own similarities where it has any, or else by the cosine of its vectors, times shared_raters /
        (shared_raters + ``shrink``), since vectors of items that few rated are alike by chance (Bell & Koren 2007);
        ``shrink=0`` gives the bare cosines.
        An unknown item is an ``error``, gives an empty frame (``skip``), or what most have rated (``popular``).
        A list of items gives the frames of all, one under the other, with the column ``of`` in front.
        """
        from cofactor.recommend.similar_items import similar_frame

        return similar_frame(self, item, n, shrink, unknown)

    def similar_users(
        self, user: Any, n: int = 10, *, shrink: float = SHRINK, unknown: Unknown = "error"
    ) -> pl.DataFrame:
        """The ``n`` users of the training data nearest to one: a frame rank, user, similarity, shared_items.

        By the cosine of the model's user vectors, times shared_items / (shared_items + ``shrink``); or, where it has
        none, by the cosine of the sets of rated items. A list of users gives the frames of all, with the column ``of``
        in front. UnknownIdError for a user who was not in training; with ``unknown="skip"`` an empty frame.
        """
        from cofactor.recommend.similar_users import similar_users_frame

        return similar_users_frame(self, user, n, shrink, unknown)

    def biases(self, n: int = 5, which: Literal["item", "user"] = "item") -> pl.DataFrame:
        """The ``n`` lowest and ``n`` highest biases: a frame end, item (or user), bias, ratings.

        An item with a low bias is rated low by all users; the highest come first among the highest.
        """
        return biases_frame(self, n, which)

    def embeddings(self, which: Literal["item", "user"] = "item") -> pl.DataFrame:
        """The learned vectors: a frame id, bias, factors (a fixed-size list of float32).

        After :meth:`refit` they lie on the axes of the model before, so that they can be compared with its vectors.
        """
        return embeddings_frame(self, which)

    def explain(
        self,
        user: Any = None,
        item: Any = None,
        *,
        history: Mapping[Any, float] | Iterable[Any] | None = None,
        n: int = 5,
    ) -> Explanation:
        """Why a user, or a new one with this ``history``, gets this prediction for ``item``.

        Terms that sum to it, what each rated item does to it, and the ``n`` rated items most like this one.
        """
        from cofactor.explain.explanation import explain
        from cofactor.recommend.profiles import resolve_user

        if item is None:
            raise ConfigError("name the item to explain: explain(user=..., item=...)")
        return explain(self, resolve_user(self, user, history), self.items.code(item), n=check_int("n", n, 0))

    def what_if(
        self,
        user: Any = None,
        *,
        history: Mapping[Any, float] | Iterable[Any] | None = None,
        without: Iterable[Any] = (),
        instead: Mapping[Any, float] | None = None,
        n: int = 10,
    ) -> pl.DataFrame:
        """How the best ``n`` change ``without`` some of the rated items, or with other ratings ``instead``.

        A frame item, [title,] rank_before, rank_after, score_before, score_after.
        """
        from cofactor.explain.what_if import what_if

        return what_if(self, user, history, without, instead, n)

    # ---- files

    def save(self, path: str | Path, *, serve_only: bool = False) -> None:
        """Write a bundle (a directory that ends in ``.cofactor`` by custom) that :func:`cofactor.load` reads.

        ``serve_only``: without the users of training and their ratings, a small part of the size. What is loaded makes
        lists and predictions for histories, and for users whose ratings come by :meth:`update`, as the whole model
        would; what needs the users of training (explanations and similar items show how many rated two items) says so
        in a ConfigError. For models whose fold-in needs nothing of them: als, svd++, bias, ials, bpr, warp, ease, slim,
        item-cosine, graph-filter, next-item, popular.

        An index of :meth:`approximate` is written, too. ConfigError where there are ratings newer than the model: a
        bundle holds one trained model and its data.
        """
        if self.updates.users:
            raise ConfigError(
                f"{self.updates.n_ratings:,} ratings are newer than the model and would be lost; refit() it and save"
                " that, or save the recommender from before update()"
            )
        bundle.save(self, path, serve_only=check_bool("serve_only", serve_only))


def load(path: str | Path, *, verify: bool = False, module: Any = None, index: bool = False) -> Recommender:
    """A saved Recommender.

    Arrays above 4 MB are mapped, and ids with their side table in files above 1 MB stay there: they are read when first
    used (for a list, say). The digest of mapped arrays is checked only with ``verify``. Everything else is always
    checked: ids with their digest, and every number that is used as a position. What is read at first use is checked
    at first use, and raises BundleError then; ``verify`` reads and checks everything at once. ``module`` is the
    ``nn.Module`` (or a function (n_users, n_items) -> module) for weights of a module of your own, since a bundle holds
    no code. ``index``: open the index that :meth:`Recommender.approximate` made, too; usearch reads it, native code
    that checks little, so take bundles of your own. Raises BundleError for anything that is not an intact bundle.
    """
    check_threads()
    return Recommender.of(bundle.load(path, verify=verify, module=module, index=index))
