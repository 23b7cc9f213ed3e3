# %% research: leave-one-out, ranking metrics, popularity, diversity, several models in one class
set_seed(7); df = ratings.sort_values("timestamp"); test = df.groupby("user").tail(1); train = df.drop(test.index).reset_index(drop=True); len(train), len(test)
# %%
def make(train, **kw): return CollabDataLoaders.from_df(train, user_name="user", item_name="movie", rating_name="rating", bs=64, seed=1, **kw)
dls = make(train, valid_pct=.1); dls.train.n, dls.valid.n
# %%
class Recommender(ABC_ if False else object):
    def fit(self, d): raise NotImplementedError
    def score(self, u, items): raise NotImplementedError
class Pop(Recommender):
    def fit(self, d): self.c = d.movie.value_counts(); return self
    def score(self, u, items): return self.c.reindex(items).fillna(0).values
class Fast(Recommender):
    def __init__(self, build): self.build = build
    def fit(self, d):
        self.dls = make(d); self.learn = self.build(self.dls)
        with self.learn.no_bar(), self.learn.no_logging(): self.learn.fit_one_cycle(1, 5e-3)
        return self
    def score(self, u, items):
        dl = self.dls.test_dl(pd.DataFrame({"user": u, "movie": items}))
        with self.learn.no_bar(): return self.learn.get_preds(dl=dl)[0].squeeze(-1).numpy()
models = {"pop": Pop(), "dot": Fast(lambda d: collab_learner(d, n_factors=8, y_range=(0, 5.5))), "nn": Fast(lambda d: collab_learner(d, use_nn=True, layers=[16], y_range=(0, 5.5)))}
for m in models.values(): m.fit(train)
models["dot"].score(1, [1, 2, 3]).shape, models["nn"].score(1, [1, 2, 3]).shape
# %%
items = np.sort(train.movie.unique()); seen = train.groupby("user").movie.apply(set)
def evaluate(m, k=5, users=15):
    out = []
    for u, i in test[["user", "movie"]].values[:users]:
        cand = np.setdiff1d(items, list(seen[u])); s = pd.Series(m.score(u, cand), index=cand).sort_values(ascending=False); r = s.index.get_indexer([i])[0]
        out.append((r < k, 1 / np.log2(r + 2) if 0 <= r < k else 0))
    return np.mean(out, 0)
pd.DataFrame({n: evaluate(m) for n, m in models.items()}, index=["hr", "ndcg"]).shape
# %%
full = models["dot"].learn.model; S = sigmoid_range(full.u_weight.weight @ full.i_weight.weight.T + full.u_bias.weight + full.i_bias.weight.T, *full.y_range).detach(); S.shape
# %%
top = S[1:, 1:].topk(5, dim=1).indices; cov = top.unique().numel() / (S.shape[1] - 1); 0 < cov <= 1
# %%
def gini(x): x = np.sort(x); n = len(x); return (2 * np.arange(1, n + 1) - n - 1).dot(x) / (n * x.sum())
gini(np.bincount(top.flatten(), minlength=40) + 1e-9) >= 0
# %%
def map_at_k(actual, predicted, k=5): return np.mean([sum((p in a) / (i + 1) for i, p in enumerate(pr[:k])) for a, pr in zip(actual, predicted)])
map_at_k([[1], [2]], top[:2].tolist())
# %%
skm = skm_to_fastai(sklearn.metrics.mean_absolute_percentage_error, flatten=True, is_class=False) if "sklearn" in globals() else skm_to_fastai(__import__("sklearn.metrics").metrics.mean_absolute_percentage_error, is_class=False); l = collab_learner(dls, n_factors=4, y_range=(0, 5.5), metrics=[skm, rmse, mae, R2Score(), PearsonCorrCoef(dim_argmax=None), SpearmanCorrCoef(dim_argmax=None)]); l.fit_one_cycle(1, 5e-3); l.recorder.metric_names
# %%
hit = AccumMetric(lambda p, t: ((p - t).abs() < .5).float().mean(), flatten=False, to_np=False); avg = AvgMetric(lambda p, t: (p - t).abs().mean()); l = collab_learner(dls, n_factors=4, y_range=(0, 5.5), metrics=[hit, avg]); l.fit(1, 1e-2); [m.name for m in l.metrics]
# %%
def rmse_np(p, t): return np.sqrt(((p - t) ** 2).mean())
rm = AccumMetric(rmse_np, to_np=True, name="rmse_np") if "name" in AccumMetric.__init__.__code__.co_varnames else AccumMetric(rmse_np, to_np=True); l.metrics = [rm]; l.validate()
# %%
class MaxErr(Metric):
    def __init__(self): self.reset()
    def reset(self): self.m = 0.
    def accumulate(self, learn): self.m = max(self.m, (learn.pred.squeeze() - learn.y.squeeze()).abs().max().item())
    @property
    def value(self): return self.m if self.m else None
    @property
    def name(self): return "max_err"
l.metrics = MaxErr(); l.validate(), l.metrics
# %%
v = ValueMetric(lambda: 3.5, "const"); l.metrics = [v]; l.fit(1, 1e-3); l.recorder.values[-1][-1]
# %%
l.metrics = []; l.fit(1, 1e-3); l.recorder.metric_names, l.validate()
# %% cold items: mean of what is known, content regressions
W = full.i_weight.weight.detach().numpy()[1:]; F_ = np.c_[np.arange(40) % 2, np.arange(40) % 3]; from sklearn.linear_model import LinearRegression, RidgeCV; LinearRegression().fit(F_[:len(W)], W).predict([[1, 2]]).shape
# %%
rows = []
for frac in (.5, 1.):
    d = make(train.sample(frac=frac, random_state=0)); l = collab_learner(d, n_factors=5, y_range=(0, 5.5), metrics=mae)
    with l.no_bar(), l.no_logging(): l.fit_one_cycle(1, 5e-3)
    rows.append((frac, len(d.train_ds), *l.validate()))
pd.DataFrame(rows, columns=["frac", "n", "loss", "mae"]).shape
# %%
seeds = []
for s in range(2):
    set_seed(s); d = make(train); l = collab_learner(d, n_factors=5, y_range=(0, 5.5)); seeds.append(l.model.i_weight.weight.detach().clone())
torch.stack(seeds).std(0).mean() > 0
# %%
set_seed(3); a = collab_learner(dls, n_factors=5).model.u_weight.weight.detach().clone(); set_seed(3); b = collab_learner(dls, n_factors=5).model.u_weight.weight.detach(); close_first = [round(float(x), 6) for x in a[0]]; torch.equal(a, b), close_first
# %%
exact_order = dls.valid_ds.items.index[:5].tolist(), dls.train_ds.items.index[:5].tolist(); exact_order
# %% by group
g = df.merge(movies, on="movie").assign(decade=lambda d: d.title.str[-5:-1].astype(int) // 10 * 10); v = dls.valid_ds.items.copy(); v["p"] = models["dot"].learn.get_preds(dl=dls.valid)[0].squeeze(); v.groupby("rating").p.mean().shape
# %%
v["user"].map(dict(enumerate(dls.classes["user"]))).notna().all(), v.index.isin(train.index).all()
# %%
users, itms = map(torch.tensor, (v.user.values, v.movie.values)); models["dot"].learn.model(torch.stack([users, itms], 1).long()).shape, models["dot"].learn.model(torch.tensor(v[["user", "movie"]].values).long()).shape
# %% MC dropout
nnl = models["nn"].learn; nnl.model.train(); xb = dls.valid.one_batch()[0]; torch.stack([nnl.model(xb) for _ in range(3)]).std(0).shape
# %%
class MCDrop(Callback):
    def before_validate(self): [m.train() for m in self.model.modules() if isinstance(m, nn.Dropout)]
nnl.get_preds(cbs=[MCDrop()])[0].shape
# %%
import sqlite3; con = sqlite3.connect(":memory:"); train.to_sql("r", con, index=False); d = make(pd.read_sql("select * from r", con)); len(d.classes["movie"])
