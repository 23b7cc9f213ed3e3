# %% a scikit-learn estimator around the learner, searched with what scikit-learn has
from __future__ import annotations
from sklearn.base import BaseEstimator, RegressorMixin, clone; from sklearn.model_selection import GridSearchCV, cross_val_score, RandomizedSearchCV, ParameterSampler, train_test_split; from sklearn.metrics import mean_squared_error, make_scorer; from sklearn.utils.validation import check_is_fitted; from dataclasses import dataclass, field, asdict; from typing import Optional, Sequence, NamedTuple; import logging, contextlib, io, itertools
logging.basicConfig(level=logging.INFO); log = logging.getLogger('cf'); set_seed(0)
@dataclass
class Config: n_factors: int = 5; lr: float = 1e-2; wd: float = .1; epochs: int = 1; bs: int = 128; y_range: tuple = (0.5, 5.5); layers: Optional[list] = None; seed: int = 0; tags: list = field(default_factory=list)
asdict(Config())
# %%
class FastCF(BaseEstimator, RegressorMixin):
    def __init__(self, n_factors=5, lr=1e-2, wd=.1, epochs=1, bs=128, use_nn=False, layers=None, y_range=(.5, 5.5), verbose=False, random_state=None):
        self.n_factors, self.lr, self.wd, self.epochs, self.bs, self.use_nn, self.layers, self.y_range, self.verbose, self.random_state = n_factors, lr, wd, epochs, bs, use_nn, layers, y_range, verbose, random_state
    def fit(self, X, y):
        if self.random_state is not None: set_seed(self.random_state, reproducible=True)
        d = pd.DataFrame(X, columns=['user', 'movie']).assign(rating=np.asarray(y, dtype=np.float32)); self.dls_ = CollabDataLoaders.from_df(d, valid_pct=0, bs=min(self.bs, len(d)))
        self.learn_ = collab_learner(self.dls_, n_factors=self.n_factors, use_nn=self.use_nn, layers=self.layers, y_range=self.y_range, wd=self.wd)
        with contextlib.ExitStack() as st:
            if not self.verbose: st.enter_context(self.learn_.no_bar()); st.enter_context(self.learn_.no_logging())
            self.learn_.fit_one_cycle(self.epochs, self.lr)
        return self
    def predict(self, X):
        check_is_fitted(self, 'learn_'); d = pd.DataFrame(X, columns=['user', 'movie'])
        with self.learn_.no_bar(): p, _ = self.learn_.get_preds(dl=self.dls_.test_dl(d))
        return p.numpy().ravel()
X, y = ratings[['user', 'movie']].values, ratings.rating.values; Xtr, Xte, ytr, yte = train_test_split(X, y, test_size=.2, random_state=1); est = FastCF(random_state=3).fit(Xtr, ytr); est.predict(Xte).shape, est.predict(Xte).dtype
# %%
len(est.dls_.valid_ds), est.learn_.recorder.metric_names
# %%
round(est.score(Xte, yte), 1) <= 1, mean_squared_error(yte, est.predict(Xte)) > 0, est
# %%
c = clone(est).set_params(n_factors=3); c.get_params()['n_factors'], hasattr(c, 'learn_')
# %%
cv = cross_val_score(FastCF(epochs=1, random_state=0), X, y, cv=3, scoring='neg_root_mean_squared_error'); cv.shape, (cv < 0).all()
# %%
gs = GridSearchCV(FastCF(random_state=0), {'n_factors': [2, 6], 'lr': [1e-3, 3e-2]}, cv=2, scoring='neg_mean_absolute_error').fit(X, y); sorted(gs.best_params_), pd.DataFrame(gs.cv_results_).shape[0], gs.best_params_['lr']
# %%
[p for p in ParameterSampler({'lr': [1e-3, 1e-2], 'wd': np.linspace(0, .3, 4)}, 3, random_state=0)].__len__()
# %%
nn_est = FastCF(use_nn=True, layers=[16], random_state=1).fit(Xtr, ytr); nn_est.predict(Xte[:3]).shape, type(nn_est.learn_.model).__name__
# %%
import joblib; joblib.dump(est.get_params(), 'p.joblib'); FastCF(**joblib.load('p.joblib')).lr
# %%
est2, est3 = FastCF(random_state=5).fit(Xtr, ytr), FastCF(random_state=5).fit(Xtr, ytr); np.allclose(est2.predict(Xte), est3.predict(Xte), atol=1e-6)
# %%
from sklearn.pipeline import Pipeline, make_pipeline; from sklearn.preprocessing import FunctionTransformer
make_pipeline(FunctionTransformer(lambda a: a.astype(int)), FastCF(random_state=0)).fit(Xtr, ytr).predict(Xte).shape
# %%
from sklearn.ensemble import BaggingRegressor, StackingRegressor
BaggingRegressor(FastCF(), n_estimators=2, max_samples=.8, random_state=0).fit(Xtr, ytr).predict(Xte).shape
# %%
class Trial(NamedTuple): value: float; params: dict
class Study:
    def __init__(self): self.trials = []
    def optimize(self, f, n): 
        for k in range(n): p = {'n_factors': [2, 4, 8][k % 3], 'lr': 10 ** (-2 + .5 * k)}; self.trials.append(Trial(f(p), p))
    best = property(lambda s: min(s.trials, key=lambda t: t.value))
class Prune(Callback):
    order = Recorder.order + 10
    def __init__(self, limit): self.limit = limit
    def after_epoch(self):
        if self.recorder.values[-1][1] > self.limit: log.info('pruned'); raise CancelFitException()
dls = CollabDataLoaders.from_df(ratings, bs=128, seed=1, shuffle=False)
def objective(p):
    l = collab_learner(dls, n_factors=p['n_factors'], y_range=(.5, 5.5), metrics=rmse, cbs=[Prune(5.)])
    with l.no_bar(), l.no_logging(): l.fit_one_cycle(2, p['lr'])
    return l.recorder.values[-1][-1]
s = Study(); s.optimize(objective, 3); type(s.best.value).__name__, sorted(s.best.params)
# %%
l = collab_learner(dls, n_factors=3, y_range=(.5, 5.5), cbs=Prune(0.)); l.fit(4, 1e-2); len(l.recorder.values)
# %%
pd.DataFrame([{**t.params, 'value': t.value} for t in s.trials]).set_index('n_factors').value.plot(); plt.close('all')
# %%
configs = [Config(n_factors=k, wd=w) for k, w in itertools.product((2, 4), (0., .2))]; out = {}
for i, cfg in enumerate(configs):
    l = collab_learner(dls, cfg.n_factors, y_range=cfg.y_range, wd=cfg.wd, layers=cfg.layers); buf = io.StringIO()
    with contextlib.redirect_stdout(buf): l.fit_one_cycle(cfg.epochs, cfg.lr)
    out[i] = (cfg, l.recorder.final_record if hasattr(l.recorder, 'final_record') else l.final_record)
[len(v[1]) for v in out.values()], type(out[0][1]).__name__
# %%
best = min(out.values(), key=lambda v: v[1][1])[0]; isinstance(best, Config)
# %%
def timed(f):
    @functools.wraps(f)
    def inner(*a, **k): t = time.time(); r = f(*a, **k); inner.took.append(time.time() - t); return r
    inner.took = []; return inner
Learner.fit_timed = timed(Learner.fit); l = collab_learner(dls, 2); l.fit_timed(1, 1e-2); len(Learner.fit_timed.took)
# %%
results = parallel(lambda k: k * 2, [1, 2, 3], n_workers=0, progress=False) if 'parallel' in globals() else L(2, 4, 6); results
