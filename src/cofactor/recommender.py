"""The Recommender: a trained model, the ratings it learned from, and the methods that use them.

Each method is a thin layer over one function of the packages below.
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
from cofactor.bundle import shards
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
    """A trained model with its data, as returned by :func:`cofactor.fit` and :func:`cofactor.load`.

    Its attributes are those of ``Fitted``.
    """

    trials: pl.DataFrame | None

    @classmethod
    def from_learner(cls, learn: Learner) -> Self:
        """Return a Recommender with the model that a Learner trained and the losses that it recorded.

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
        """Predict the values of (user, item) pairs. A ranker returns scores, of which only the order has a meaning.

        Args:
            pairs: a list of (user, item), or a frame with both columns.
            interval: add bounds that should contain ``level`` of the true ratings.
            level: between 0 and 1.
            times: seconds since 1970 (UTC), one for each pair, for models that use time.
            unknown: what to do with ids that were not in training. ``"error"`` raises, ``"skip"`` leaves the row out,
                ``"popular"`` predicts as for an average user or item, with a remark in ``status``.

        Returns:
            A frame user, item, prediction[, low, high], status, in the order of the pairs.

        Raises:
            UnknownIdError: an id is unknown, and ``unknown`` is ``"error"``.
            ConfigError: an interval is requested, and the model has none.
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
        """Predict with bounds, from the posterior where the model has one, otherwise from held-out residuals.

        Args:
            users: (n,) codes of the training data; -1 is a user that is not known.
            items: (n,) codes of the training data; -1 is an item that is not known.
            level: the share of the true ratings that the bounds should contain, between 0 and 1.
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
        """List the ``n`` best items for a known user, or for a new user with a ``history`` or ``features``.

        The model is not retrained: a history is folded in. Give one of ``user``, ``users``, ``history``,
        ``histories``.

        Args:
            user: the id of a user.
            users: several ids. The frame holds their lists one after the other; :meth:`recommend_all` makes many lists
                faster.
            history: the ratings of a new user: a mapping of items to ratings on the scale of the training data; a list
                of liked items, each of which counts as the upper quartile of the ratings; or a frame with the columns
                of the training table.
            histories: the histories of several new users: a list of them (the column ``user`` then counts from 0), or a
                frame with a row for each rating and the columns of the training table.
            features: columns of the user table with values (``{"age": 31}``). The scores then start from those of
                similar users.
            options: the fields of :class:`cofactor.recommend.options.ListOptions`:

                - ``n`` (10): the length of the list.
                - ``seen`` (False): whether to allow items that the user has already rated.
                - ``allow``, ``deny``: recommend only these items, or none of them.
                - ``where``: a predicate over the item table, as a polars expression or as text
                  (``"genres contains Drama and year >= 1990"``).
                - ``per_group``: ``("genres", 3)`` allows at most three items of each genre.
                - ``diversity`` (0 to 1): maximal marginal relevance (Carbonell & Goldstein 1998).
                - ``calibration`` (0 to 1, or ``("column", strength)``): match the shares of genres in the items that
                  the user liked (Steck 2018).
                - ``sure=0.9``: rank by the lower confidence bound (LCB).
                - ``explore=0.9``: rank by the upper confidence bound (UCB); ``explore="draw"``: by a draw from the
                  posterior (Thompson sampling) with ``seed``.
                - ``interval=0.9``: add ``low`` and ``high``, which should contain 90 % of the true ratings.
                - ``unknown`` (``"error"``): the result for an unknown user: an error, an empty list (``"skip"``), or
                  the most rated items (``"popular"``). With the latter two, unknown items in ``history``, ``allow``
                  and ``deny`` are left out.

        Returns:
            A frame [user,] rank, item, [title,] score, [low, high,] reason, status.

        Raises:
            ConfigError: an option does not exist or makes no sense.
            UnknownIdError: an id is not known.
        """
        from cofactor.recommend import recommend as lists

        if histories is not None:
            if users is not None or user is not None or history is not None or features is not None:
                raise ConfigError(
                    "histories= cannot be combined with user, users, history or features; give one of them"
                )
            return lists.recommend_several(self, None, histories, list_options(**options))
        if users is not None:
            if user is not None or history is not None or features is not None:
                raise ConfigError("users= cannot be combined with user, history or features; give only one")
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

        With ``out`` memory is bounded, and the file appears only when complete. A killed run resumes when it is started
        again with the same model and options; until then its parts are in ``<out>.parts``.

        Args:
            n: the length of each list.
            users: ids of users. Lists are made only for these, in this order, each once.
            out: a file: Parquet, or CSV or TSV by the suffix (these are written from memory). A file that holds another
                table, such as the ratings, is not replaced.
            options: those of :meth:`recommend`, such as ``where``, ``allow``, ``deny``, ``per_group``.
                ``unknown="skip"`` leaves unknown ``users`` out.

        Returns:
            A frame user, rank, item, [title,] score, status; None where ``out`` is given.

        Raises:
            ConfigError: an option makes no sense, or ``out`` cannot be written.
            UnknownIdError: an id in ``users`` is unknown.
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

        Where the lengths of the vectors differ much (``ials``), the index holds the items by descending length: it is
        built in a second, and lists are exact (``index.exact``). Otherwise it is a graph of similar items (HNSW). Items
        that the graph finds are scored exactly; it may miss items. The recall is measured at once: ``index.recall`` is
        the share of the exact ``n`` best items that the graph found.

        Lists with ``per_group``, ``diversity``, ``calibration``, ``sure`` or ``explore`` do not use the index.
        :meth:`update` keeps the index and :meth:`save` writes it; :meth:`refit` drops it. ``cofactor.load(path)`` opens
        an exact index; ``cofactor.load(path, index=True)`` opens a graph too.

        Args:
            n: the length of the lists on which the recall is measured.
            sample: the number of users on whom the recall is measured.
            seed: the seed for drawing these users.
            above: with fewer items than this, exact search is about as fast, and ``index`` is None.
            connectivity: edges of each item in the graph. More edges find more items and take longer.
            effort: candidates considered in the graph. More candidates find more items and take longer.
            threads: threads that build the graph. With more than one, each build differs a little.

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
        """List the best of several *new* items for a user or a history, by the items' features.

        The user's scores of the known items are regressed on their features (those that the model was trained with, or
        else the columns of the item table), and the regression scores the new items. An item without known features
        gets the user's mean score. ``status`` reports that, as well as unseen values and missing columns. Known
        items among ``items`` are scored by the model.

        Args:
            items: a frame with an id and columns of the item table.
            user: the id of a user.
            users: several ids. The frame holds their lists one after the other.
            history: the ratings of a new user, as in :meth:`recommend`.
            histories: the histories of several new users, as in :meth:`recommend`.
            n: the length of the list.
            interval: add bounds (rating models only) that should contain ``level`` of the true ratings. They come from
                the errors on known items that are predicted from their features alone.
            level: between 0 and 1.
            unknown: the result for an unknown user, as in :meth:`recommend`.

        Returns:
            A frame [user,] rank, item, [title,] score, [low, high,] reason, status.

        Raises:
            ConfigError: the options make no sense, or there are no features.
            DataError: ``items`` is not a frame with ids.
        """
        from cofactor.recommend.new_items import recommend_new

        return recommend_new(self, items, user, history, users, histories, (n, unknown, interval, level))

    # ---- newer ratings

    def update(self, events: Any, *, unknown: Unknown = "error") -> Recommender:
        """Return a new Recommender that includes these ratings, of known or new users. This one does not change.

        Both share the model. Each user's whole history is folded in with item parameters fixed, which takes
        milliseconds. An updated Recommender cannot be saved: :meth:`refit` it first.

        Args:
            events: a frame with the training table's column names, or a list of (user, item, rating[, time]). Of two
                ratings for the same item the later one counts; counts and events are summed.
            unknown: with ``"skip"``, ratings of unknown items are left out.

        Raises:
            UnknownIdError: an item is not known, and ``unknown`` is ``"error"``.
            DataError: a rating is off the scale, or a time cannot be read.
        """
        from cofactor.recommend.update import apply_updates

        return self.replace(updates=apply_updates(self, events, unknown))

    def forget(self, user: Any) -> Recommender:
        """Return a new Recommender without a user's rows, newer ratings, features and id.

        Both share the model. The user's influence on it stays until :meth:`refit`: an anonymous user vector, and their
        part in the item parameters.

        Args:
            user: the id of the user.

        Raises:
            UnknownIdError: no user has this id.
        """
        return self.replace(**forgotten(self, user))

    def ratings(self) -> Interactions:
        """Return the training data with the newer ratings included."""
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

        Models that train in sweeps over tables of vectors (als, svd++, ials) start from the old vectors and need fewer
        epochs. The chains of bayes-mf start from their last samples, with a sixth of the burn-in and half of the
        sweeps. Models that learn by gradient steps (dot-bias, neural, bpr, warp) start from the old model only with
        ``warm=True``, for a fifth of their epochs at a low learning rate. ``bpr`` and ``warp`` lose nothing by that;
        ``dot-bias`` and ``neural`` stay near the old model and gain less from the new ratings. Others start from
        scratch.

        The new vectors are rotated onto the old ones (orthogonal Procrustes over the items that both know; Schönemann
        1966), so that stored vectors from :meth:`embeddings` stay comparable. ``metrics["embedding_shift"]`` measures
        the remaining change: the mean of 1 - cosine over these items. ``metrics["warm_start"]`` is 1 if training
        started from the old model, else 0.

        Args:
            ratings: the ratings to train on, as for :func:`cofactor.fit`; by default the training data with the newer
                ratings.
            seed: by default the model's seed.
            warm: False: start from scratch. True: models with gradient steps start from the old model too.
            verbose: show the progress, and the reason where training starts from scratch.
            config: fields of the config to change; also ``user_features`` and ``item_features``, as in
                :func:`cofactor.fit`.
        """
        from cofactor.fitting.refit import refit

        return Recommender.of(refit(self, ratings, self.seed if seed is None else seed, warm, verbose, config))

    # ---- what it learned

    def similar_items(
        self, item: Any, n: int = 10, *, shrink: float = SHRINK, unknown: Unknown = "error"
    ) -> pl.DataFrame:
        """List the ``n`` items most similar to an item.

        The similarity is the model's own where it has one, otherwise the cosine of its vectors times shared_raters /
        (shared_raters + ``shrink``), since vectors of items with few ratings are similar by chance (Bell & Koren 2007).

        Args:
            item: an id or a title; or a list of them: the frame then holds all lists, with a first column ``of``.
            n: the number of items.
            shrink: the number of shared raters at which a cosine is halved; 0: plain cosines.
            unknown: the result for an unknown item: an error, an empty frame (``"skip"``), or the most rated items
                (``"popular"``).

        Returns:
            A frame [of,] rank, item, [title,] similarity, shared_raters, status.

        Raises:
            UnknownIdError: the item is unknown, and ``unknown`` is ``"error"``.
        """
        from cofactor.recommend.similar_items import similar_frame

        return similar_frame(self, item, n, shrink, unknown)

    def similar_users(
        self, user: Any, n: int = 10, *, shrink: float = SHRINK, unknown: Unknown = "error"
    ) -> pl.DataFrame:
        """List the ``n`` users of the training data most similar to a user.

        The similarity is the cosine of the model's user vectors times shared_items / (shared_items + ``shrink``), or,
        where the model has none, the cosine of the sets of rated items.

        Args:
            user: an id; or a list of them: the frame then holds all lists, with a first column ``of``.
            n: the number of users.
            shrink: the number of shared items at which a cosine is halved; 0: plain cosines.
            unknown: the result for a user who was not in training: an error, or an empty frame (``"skip"``).

        Returns:
            A frame [of,] rank, user, similarity, shared_items.

        Raises:
            UnknownIdError: the user was not in training, and ``unknown`` is ``"error"``.
        """
        from cofactor.recommend.similar_users import similar_users_frame

        return similar_users_frame(self, user, n, shrink, unknown)

    def biases(self, n: int = 5, which: Literal["item", "user"] = "item") -> pl.DataFrame:
        """Return the ``n`` lowest and ``n`` highest biases.

        The bias of an item is added to each prediction for it, independently of the user.

        Args:
            n: the number of biases at each end.
            which: ``"item"`` or ``"user"``.

        Returns:
            A frame end, item (or user), bias, ratings. First come the lowest in ascending order, then the highest in
            descending order.

        Raises:
            ConfigError: the model has no biases.
        """
        return biases_frame(self, n, which)

    def embeddings(self, which: Literal["item", "user"] = "item") -> pl.DataFrame:
        """Return the learned vectors.

        After :meth:`refit` they are on the axes of the earlier model, so that they can be compared with its vectors.

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
        """Explain the prediction for ``item`` and a user, or a new user with this ``history``.

        Args:
            user: the id of a user.
            item: an id or a title.
            history: the ratings of a new user, as in :meth:`recommend`.
            n: the number of similar rated items to show.

        Returns:
            An Explanation: terms that sum to the prediction, what each rated item contributes, and similar rated items.

        Raises:
            UnknownIdError: an id is unknown.
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
        """Return how the ``n`` best items change without some of the rated items, or with other ratings.

        Args:
            user: the id of a user.
            history: the ratings of a new user, as in :meth:`recommend`.
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

    def save(self, path: str | Path, *, serve_only: bool = False, users_per_shard: int | None = None) -> None:
        """Write a bundle that :func:`cofactor.load` reads, with the index of :meth:`approximate` if there is one.

        Args:
            path: a directory; by convention its name ends in ``.cofactor``. An existing bundle is replaced atomically.
            serve_only: leave out the training users and their ratings, for a small part of the size. The loaded model
                makes the same lists and predictions for histories, and for users whose ratings come by :meth:`update`.
                Methods that need the training users raise ConfigError: explanations and similar items, which show how
                many users rated both items. It works for models whose fold-in does not need these users: als, svd++,
                bias, ials, bpr, warp, ease, slim, item-cosine, graph-filter, next-item, popular.
            users_per_shard: for the same models: write the items once, and the users in files of this many, by
                ascending id, each opened when one of its users is first asked for. The bits are the same.

        Raises:
            BundleError: the bundle cannot be written there.
            ConfigError: there are ratings newer than the model (a bundle holds one trained model and its data).
        """
        if self.updates.users:
            raise ConfigError(
                f"{self.updates.n_ratings:,} ratings are newer than the model and would be lost; refit() it and save"
                " the result, or save the recommender from before update()"
            )
        check_bool("serve_only", serve_only)
        if users_per_shard is None:
            bundle.save(self, path, serve_only=serve_only)
        elif serve_only:
            raise ConfigError("a model without users has no shards; give serve_only or users_per_shard")
        else:
            shards.save(self, path, users_per_shard)


def load(path: str | Path, *, verify: bool = False, module: Any = None, index: bool = False) -> Recommender:
    """Read a saved Recommender.

    Arrays above 4 MB are memory-mapped; ids and side tables in files above 1 MB are read from their files on demand.
    They are checked at first use, so a BundleError may come late. Ids (by their digest) and all numbers that are used
    as positions are always checked. The digest of a mapped array is checked only with ``verify``.

    Args:
        path: the bundle, a directory that :meth:`Recommender.save` wrote.
        verify: read and check everything at once.
        module: the ``nn.Module``, or a function (n_users, n_items) -> module, for the weights of a module of your own.
            A bundle holds no code.
        index: open a graph made by :meth:`Recommender.approximate` too. It is read by usearch, native code with few
            checks, so open only your own graphs. An exact index is always opened.

    Returns:
        The Recommender that was saved.

    Raises:
        BundleError: ``path`` is not an intact bundle.
    """
    check_threads()
    return Recommender.of(bundle.load(path, verify=verify, module=module, index=index))
