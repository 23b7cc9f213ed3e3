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
        """Make a Recommender of the model that a Learner trained, with the losses that it recorded.

        Args:
            learn: the Learner.
        """
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
        """Predict the values of (user, item) pairs. A ranker gives its scores, of which only the order means something.

        Args:
            pairs: a list of (user, item), or a frame with both columns.
            interval: add bounds that should hold ``level`` of the true ratings.
            level: between 0 and 1.
            times: seconds since 1970 (UTC), one for each pair, for models that use time.
            unknown: what to do with ids that were not in training. ``"error"`` raises, ``"skip"`` leaves the row out,
                ``"popular"`` predicts without knowing the user or item, and says so in ``status``.

        Returns:
            A frame user, item, prediction[, low, high], status, in the order of the pairs.

        Raises:
            UnknownIdError: an id is not known, and ``unknown`` is ``"error"``.
            ConfigError: an interval is asked for, and the model has none.
        """
        return predict_frame(self, pairs, interval=interval, level=level, times=times, unknown=unknown)

    def predict_codes(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """Predict the values of pairs of codes.

        Args:
            users: (n,) codes of the training data; -1 is a user that is not known.
            items: (n,) codes of the training data; -1 is an item that is not known.
            times: (n,) seconds since 1970 (UTC), for models that use time.

        Returns:
            float32 (n,).
        """
        return predict_codes(self, users, items, times)

    def predict_interval(self, users: Array, items: Array, level: float = 0.9, times: Array | None = None) -> Interval:
        """Predict with bounds: from the posterior where the model has one, or else from held-out residuals.

        Args:
            users: (n,) codes of the training data; -1 is a user that is not known.
            items: (n,) codes of the training data; -1 is an item that is not known.
            level: the share of true ratings that the bounds should hold, between 0 and 1.
            times: (n,) seconds since 1970 (UTC), for models that use time.

        Returns:
            Three float32 arrays (n,): the predictions, the lower and the upper bounds.

        Raises:
            ConfigError: the model has no intervals.
        """
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
        """List the ``n`` best items for a user, or for a new one with a ``history`` or ``features``.

        Nothing is retrained: a history is folded in. Give one of ``user``, ``users``, ``history``, ``histories``.

        Args:
            user: the id of a user.
            users: several ids. Their lists come one under the other; :meth:`recommend_all` makes many lists quicker.
            history: what a new user rated: a mapping of items to ratings on the scale of the training data; a list of
                items that were liked, each of which counts as the upper quartile of the ratings; or a frame with the
                columns of the training table.
            histories: the same for several new users: a list of histories (the column ``user`` then counts from 0), or
                a frame with a row for each rating and the columns of the training table.
            features: columns of the table of users with their values (``{"age": 31}``). The scores then start from
                those of similar users.
            options: the fields of :class:`cofactor.recommend.options.ListOptions`:

                - ``n`` (10): the length of the list.
                - ``seen`` (False): whether items already rated may come up.
                - ``allow``, ``deny``: only these items, or none of them.
                - ``where``: a predicate over the side table, as a polars expression or as text
                  (``"genres contains Drama and year >= 1990"``).
                - ``per_group``: ``("genres", 3)`` takes at most three items of each genre.
                - ``diversity`` (0 to 1): maximal marginal relevance (Carbonell & Goldstein 1998).
                - ``calibration`` (0 to 1, or ``("column", strength)``): genres in proportion to those that the user
                  likes (Steck 2018).
                - ``sure=0.9``: rank by the lower confidence bound (LCB).
                - ``explore=0.9``: rank by the upper confidence bound (UCB); ``explore="draw"``: by a draw from the
                  posterior (Thompson sampling), which ``seed`` fixes.
                - ``interval=0.9``: add ``low`` and ``high``, which should hold 90 % of true ratings.
                - ``unknown`` (``"error"``): what an unknown user gets: an error, an empty list (``"skip"``), or the
                  most rated items (``"popular"``). With the latter two, unknown items in ``history``, ``allow`` and
                  ``deny`` are left out.

        Returns:
            A frame [user,] rank, item, [title,] score, [low, high,] reason, status.

        Raises:
            ConfigError: an option does not exist or makes no sense.
            UnknownIdError: an id is not known.
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
        """List the ``n`` best items for every user, in memory or into a file.

        With ``out`` memory is bounded, and the file appears whole at the end. A run that was killed goes on where it
        was when it is started again with the same model and options; until then its parts are in ``<out>.parts``.

        Args:
            n: the length of each list.
            users: ids; lists for these alone, in this order, each once.
            out: a file: Parquet, or CSV or TSV where the name says so (these are written from memory). A file that
                holds another table, such as the ratings, is not replaced.
            options: those of :meth:`recommend`, such as ``where``, ``allow``, ``deny``, ``per_group``.
                ``unknown="skip"`` leaves out ``users`` that are not known.

        Returns:
            A frame user, rank, item, [title,] score, status; None where ``out`` is given.

        Raises:
            ConfigError: an option makes no sense, or ``out`` cannot be written.
            UnknownIdError: an id in ``users`` is not known.
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
        """Return a new Recommender whose ``recommend`` and ``recommend_all`` search an index of the item vectors.

        Where the lengths of the vectors differ much (``ials``), the index is the items by descending length: it is
        built in a second, and lists are exact (``index.exact``). Else it is a graph of near items. What the graph finds
        is scored exactly, and what it misses is measured now: ``index.recall`` is the share of the exact ``n`` best
        that it found.

        Lists with ``per_group``, ``diversity``, ``calibration``, ``sure`` or ``explore`` do not use it. :meth:`update`
        keeps the index, and :meth:`save` writes it. ``cofactor.load(path)`` opens an exact one, and
        ``cofactor.load(path, index=True)`` a graph, too; :meth:`refit` does not keep it.

        Args:
            n: the length of the lists on which the recall is measured.
            sample: how many users the recall is measured on.
            seed: draws these users.
            above: below this number of items exact search is about as fast, and ``index`` is None.
            connectivity: edges of each item in the graph. More of them find more and take longer.
            effort: candidates looked at in the graph. More of them find more and take longer.
            threads: more build the graph sooner, and each time a little differently.

        Raises:
            ConfigError: the model has no vectors.
            MissingExtraError: a graph needs the extra ``ann``.
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
        """List the best of some *new* items for a user or a history, by the items' features.

        The user's scores of the known items are regressed on their features (those that the model was trained with, or
        else the columns of the side table), and the regression scores the new items. An item of which nothing is known
        gets the user's mean score; ``status`` says so, and names values never seen and columns that are missing. Known
        items among ``items`` are scored as ever.

        Args:
            items: a frame with an id and columns of the side table.
            user: the id of a user.
            users: several ids. Their lists come one under the other.
            history: what a new user rated, as in :meth:`recommend`.
            histories: the same for several new users, as in :meth:`recommend`.
            n: the length of the list.
            interval: add bounds (of rating models) that should hold ``level`` of true ratings. They come from the
                errors on known items that are predicted by their features alone.
            level: between 0 and 1.
            unknown: what an unknown user gets, as in :meth:`recommend`.

        Returns:
            A frame [user,] rank, item, [title,] score, [low, high,] reason, status.

        Raises:
            ConfigError: the options make no sense, or there are no features.
            DataError: ``items`` is not such a frame.
        """
        from cofactor.recommend.new_items import recommend_new

        return recommend_new(self, items, user, history, users, histories, (n, unknown, interval, level))

    # ---- newer ratings

    def update(self, events: Any, *, unknown: Unknown = "error") -> Recommender:
        """Return a new Recommender that also knows these ratings, of known or new users. This one stays as it is.

        The model is shared. Each user's whole history is folded in with the items held fixed, which takes milliseconds.
        An updated Recommender cannot be saved: :meth:`refit` it first.

        Args:
            events: a frame with the training table's column names, or a list of (user, item, rating[, time]). Of two
                ratings for the same item the later one counts; counts and events are added up.
            unknown: with ``"skip"`` ratings of items that the model does not know are left out.

        Raises:
            UnknownIdError: an item is not known, and ``unknown`` is ``"error"``.
            DataError: a rating is off the scale, or a time cannot be read.
        """
        from cofactor.recommend.update import apply_updates

        return self.replace(updates=apply_updates(self, events, unknown))

    def forget(self, user: Any) -> Recommender:
        """Return a new Recommender that knows nothing of a user: no rows, newer ratings, features or id.

        The model is shared. What it learned of the user stays until :meth:`refit`: a vector without a name, and their
        part in what it learned of items.

        Args:
            user: the id of the user.

        Raises:
            UnknownIdError: no user has this id.
        """
        return self.replace(**forgotten(self, user))

    def ratings(self) -> Interactions:
        """Return the training data with the newer ratings among them."""
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
        """Train the same model and config on more ratings.

        Models that train in sweeps over tables of vectors (als, svd++, ials) begin with the old vectors, so that fewer
        epochs do. The chains of bayes-mf begin at their last samples, with a sixth of the burn-in and half of the
        sweeps. Models that learn by gradient steps (dot-bias, neural, bpr, warp) go on only with ``warm=True``, for a
        fifth of their epochs at a low learning rate; ``bpr`` and ``warp`` lose nothing by it, ``dot-bias`` and
        ``neural`` stay near the old model and gain less from the new ratings. Others start from scratch.

        The new vectors are rotated onto the old ones (orthogonal Procrustes over the items that both know; Schönemann
        1966), so that stored vectors from :meth:`embeddings` stay comparable. ``metrics["embedding_shift"]`` is how far
        they moved even so: the mean of 1 - cosine over these items. ``metrics["warm_start"]`` says whether training
        began from the old model (1 or 0).

        Args:
            ratings: by default the training data with the newer ratings; or anything that :func:`cofactor.fit` takes.
            seed: by default the one of the model.
            warm: False: start from scratch. True: models with gradient steps go on, too.
            verbose: show the progress, and say why training starts from scratch where it does.
            config: fields of the config to change; also ``user_features`` and ``item_features``, as in
                :func:`cofactor.fit`.
        """
        from cofactor.fitting.refit import refit

        return Recommender.of(refit(self, ratings, self.seed if seed is None else seed, warm, verbose, config))

    # ---- what it learned

    def similar_items(
        self, item: Any, n: int = 10, *, shrink: float = SHRINK, unknown: Unknown = "error"
    ) -> pl.DataFrame:
        """List the ``n`` items nearest to one.

        By the model's own similarities where it has any, or else by the cosine of its vectors, times shared_raters /
        (shared_raters + ``shrink``): vectors of items with few ratings are alike by chance (Bell & Koren 2007).

        Args:
            item: an id or a title; or a list of them, whose frames come one under the other with the column ``of`` in
                front.
            n: how many.
            shrink: 0 gives the bare cosines.
            unknown: what an unknown item gives: an error, an empty frame (``"skip"``), or what most have rated
                (``"popular"``).

        Returns:
            A frame [of,] rank, item, [title,] similarity, shared_raters, status.

        Raises:
            UnknownIdError: the item is not known, and ``unknown`` is ``"error"``.
        """
        from cofactor.recommend.similar_items import similar_frame

        return similar_frame(self, item, n, shrink, unknown)

    def similar_users(
        self, user: Any, n: int = 10, *, shrink: float = SHRINK, unknown: Unknown = "error"
    ) -> pl.DataFrame:
        """List the ``n`` users of the training data nearest to one.

        By the cosine of the model's user vectors, times shared_items / (shared_items + ``shrink``); or, where the model
        has none, by the cosine of the sets of rated items.

        Args:
            user: an id; or a list of them, whose frames come one under the other with the column ``of`` in front.
            n: how many.
            shrink: 0 gives the bare cosines.
            unknown: what a user who was not in training gives: an error, or an empty frame (``"skip"``).

        Returns:
            A frame [of,] rank, user, similarity, shared_items.

        Raises:
            UnknownIdError: the user was not in training, and ``unknown`` is ``"error"``.
        """
        from cofactor.recommend.similar_users import similar_users_frame

        return similar_users_frame(self, user, n, shrink, unknown)

    def biases(self, n: int = 5, which: Literal["item", "user"] = "item") -> pl.DataFrame:
        """Show the ``n`` lowest and ``n`` highest biases.

        The bias of an item is added to every prediction for it, whatever a user's taste.

        Args:
            n: how many at each end.
            which: ``"item"`` or ``"user"``.

        Returns:
            A frame end, item (or user), bias, ratings; the highest come first among the highest.

        Raises:
            ConfigError: the model has no biases.
        """
        return biases_frame(self, n, which)

    def embeddings(self, which: Literal["item", "user"] = "item") -> pl.DataFrame:
        """Return the learned vectors.

        After :meth:`refit` they lie on the axes of the model before, so that they can be compared with its vectors.

        Args:
            which: ``"item"`` or ``"user"``.

        Returns:
            A frame id, bias, factors (a fixed-size list of float32).

        Raises:
            ConfigError: the model has no vectors.
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
        """Explain why a user, or a new one with this ``history``, gets this prediction for ``item``.

        Args:
            user: the id of a user.
            item: an id or a title.
            history: what a new user rated, as in :meth:`recommend`.
            n: how many of the rated items most like this one to show.

        Returns:
            An Explanation: terms that sum to the prediction, what each rated item contributes, and similar rated items.

        Raises:
            UnknownIdError: an id is not known.
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
        """Show how the best ``n`` change without some of the rated items, or with other ratings.

        Args:
            user: the id of a user.
            history: what a new user rated, as in :meth:`recommend`.
            without: rated items to leave out.
            instead: rated items with other ratings, such as ``{"Fargo (1996)": 1}``.
            n: the length of both lists.

        Returns:
            A frame item, [title,] rank_before, rank_after, score_before, score_after.

        Raises:
            ConfigError: neither ``without`` nor ``instead`` is given.
            DataError: an item in ``without`` was not rated, or a rating is off the scale.
        """
        from cofactor.explain.what_if import what_if

        return what_if(self, user, history, without, instead, n)

    # ---- files

    def save(self, path: str | Path, *, serve_only: bool = False) -> None:
        """Write a bundle that :func:`cofactor.load` reads, with the index of :meth:`approximate` if there is one.

        Args:
            path: a directory; by custom its name ends in ``.cofactor``. A bundle that is there is replaced in one step.
            serve_only: leave out the users of training and their ratings, for a small part of the size. What is loaded
                makes the same lists and predictions for histories, and for users whose ratings come by :meth:`update`.
                What needs the users of training raises a ConfigError: explanations and similar items show how many
                rated two items. For models whose fold-in needs none of them: als, svd++, bias, ials, bpr, warp, ease,
                slim, item-cosine, graph-filter, next-item, popular.

        Raises:
            BundleError: the bundle cannot be written there.
            ConfigError: there are ratings newer than the model (a bundle holds one trained model and its data).
        """
        if self.updates.users:
            raise ConfigError(
                f"{self.updates.n_ratings:,} ratings are newer than the model and would be lost; refit() it and save"
                " that, or save the recommender from before update()"
            )
        bundle.save(self, path, serve_only=check_bool("serve_only", serve_only))


def load(path: str | Path, *, verify: bool = False, module: Any = None, index: bool = False) -> Recommender:
    """Read a saved Recommender.

    Arrays above 4 MB are mapped, and ids with their side table in files above 1 MB stay in their files. They are read
    when they are first used, and checked then; a BundleError may come that late. Ids (by their digest) and every number
    that is used as a position are always checked. The digest of a mapped array is checked only with ``verify``.

    Args:
        path: the bundle, a directory that :meth:`Recommender.save` wrote.
        verify: read and check everything now.
        module: the ``nn.Module``, or a function (n_users, n_items) -> module, for the weights of a module of your own.
            A bundle holds no code.
        index: open a graph that :meth:`Recommender.approximate` made, too. usearch reads it; it is native code that
            checks little, so open graphs of your own only. An exact index is opened in any case.

    Returns:
        The Recommender that was saved.

    Raises:
        BundleError: ``path`` is not an intact bundle.
    """
    check_threads()
    return Recommender.of(bundle.load(path, verify=verify, module=module, index=index))
