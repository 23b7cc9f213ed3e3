# %% Jester-like: continuous ratings, k folds, baselines by hand, confidence
jok = ratings.assign(rating=lambda d: (d.rating - 3) * 4.75 + np.random.RandomState(1).uniform(-1, 1, len(d))).rename(columns={"movie": "joke_id", "user": "user_id"})[["user_id", "joke_id", "rating"]]; jok.rating.min() < -8
# %%
dls = CollabDataLoaders.from_df(jok, bs=128, valid_pct=.2, seed=5); x, y = dls.one_batch(); y.dtype, y.shape
# %%
learn = collab_learner(dls, n_factors=10, y_range=(-10.5, 10.5), metrics=[rmse, mae, R2Score()], wd=1e-2); learn.fit_one_cycle(2, 1e-2); learn.recorder.metric_names
# %%
class Baseline(Module):
    def __init__(self, dls): self.mu = nn.Parameter(torch.tensor(0.)); self.bu, self.bi = Embedding(len(dls.classes["user_id"]), 1), Embedding(len(dls.classes["joke_id"]), 1)
    def forward(self, x): return self.mu + self.bu(x[:, 0]).squeeze() + self.bi(x[:, 1]).squeeze()
b = Learner(dls, Baseline(dls), loss_func=MSELossFlat(), metrics=[rmse]); b.fit(2, 1e-1, wd=0); b.model.mu, b.validate()
# %%
class GlobalMean(Module):
    def __init__(self, mu): self.mu, self.p = mu, nn.Parameter(torch.zeros(1))
    def forward(self, x): return self.mu + self.p.expand(len(x))
g = Learner(dls, GlobalMean(jok.rating.mean()), loss_func=MSELossFlat(), metrics=rmse); g.validate(), g.fit(1)
# %%
from sklearn.model_selection import KFold, GroupKFold, ShuffleSplit, cross_val_score, ParameterGrid
scores = []
for tr, va in KFold(3, shuffle=True, random_state=0).split(jok):
    d = DataBlock if False else TabularCollab(jok, [Categorify], ["user_id", "joke_id"], y_names=["rating"], y_block=TransformBlock(), splits=(L(tr.tolist()), L(va.tolist()))).dataloaders(bs=128, path=".")
    l = collab_learner(d, n_factors=5, y_range=(-10.5, 10.5), metrics=rmse)
    with l.no_logging(): l.fit_one_cycle(1, 1e-2)
    scores.append(float(l.recorder.final_record[1] if hasattr(l.recorder, "final_record") else l.final_record[2]))
len(scores), np.std(scores) >= 0
# %%
res = {}
for p in ParameterGrid({"wd": [.01, .1], "lr": [5e-3]}):
    l = collab_learner(dls, n_factors=5, y_range=(-10.5, 10.5), metrics=[rmse]); l.recorder.train_metrics = True
    with l.no_bar(): l.fit_one_cycle(1, p["lr"], wd=p["wd"])
    res[tuple(p.items())] = l.recorder.values[-1]
list(map(len, res.values()))
# %%
l.recorder.metric_names, l.recorder.plot_metrics() is not None if hasattr(l.recorder, "plot_metrics") else None
# %%
p, t = learn.get_preds(); e = (p - t).abs(); e.mean(), torch.quantile(e.flatten(), .9), (e < 1).float().mean()
# %%
pd.cut(pd.Series(p.flatten().numpy()), 5).value_counts().shape, np.histogram(p, bins=5)[0].shape
# %%
bs = [np.sqrt(((p - t) ** 2).numpy().ravel()[np.random.RandomState(i).randint(0, len(p), len(p))].mean()) for i in range(20)]; np.percentile(bs, [2.5, 97.5]).shape
# %%
from scipy import stats
stats.spearmanr(p.squeeze(), t.squeeze()).statistic is not None, stats.pearsonr(p.squeeze().numpy(), t.squeeze().numpy())[0] <= 1
# %%
plt.hexbin(t.flatten(), p.flatten(), gridsize=10); plt.colorbar(); plt.xlabel("true"); plt.show()
# %%
df_pred = dls.valid_ds.decode().items.copy() if False else dls.valid_ds.items.copy(); df_pred["pred"] = p; df_pred["err"] = (df_pred.pred - df_pred.rating).abs(); df_pred.sort_values("err").tail(2).shape
# %%
df_pred.groupby("user_id").err.mean().describe().shape, df_pred["user_id"].map(lambda c: dls.classes["user_id"][c]).head(2).shape
# %%
snap = Path("snaps"); snap.mkdir(exist_ok=True)
class Snapshots(Callback):
    "keep weights of the last epochs"
    def __init__(self, k=2): self.k, self.kept = k, []
    def after_epoch(self): self.kept = (self.kept + [{n: p.detach().clone() for n, p in self.model.named_parameters()}])[-self.k:]
    def average(self): return {n: torch.stack([s[n] for s in self.kept]).mean(0) for n in self.kept[0]}
s = Snapshots(); learn.fit_one_cycle(3, 5e-3, cbs=[s]); learn.model.load_state_dict(s.average()); len(s.kept), learn.validate()
# %%
class EMA(Callback):
    order = MixedPrecision.order + 1 if "MixedPrecision" in globals() else 12
    def __init__(self, decay=.9): store_attr()
    def before_fit(self): self.shadow = deepcopy(self.learn.model)
    def after_step(self):
        with torch.no_grad():
            for a, b in zip(self.shadow.parameters(), self.model.parameters()): a.lerp_(b, 1 - self.decay)
e = EMA(); learn.fit(1, 1e-3, cbs=e); any((a - b).abs().sum() > 0 for a, b in zip(e.shadow.parameters(), learn.model.parameters()))
# %%
class LRLogger(Callback):
    run_after = Recorder
    def before_fit(self): self.lrs = []
    def after_batch(self):
        if self.training: self.lrs.append(self.opt.hypers[-1]["lr"])
lg = LRLogger(); learn.fit(1, 1e-3, cbs=[lg, ParamScheduler({"lr": SchedExp(1e-3, 1e-5)})]); len(lg.lrs), lg.lrs[-1] < lg.lrs[0]
# %%
learn.fit(1, cbs=ParamScheduler({"lr": combined_cos(.3, 1e-4, 1e-2, 1e-5), "mom": combined_cos(.3, .95, .85, .95), "wd": SchedLin(.1, .01)})); learn.recorder.hps.keys(), len(learn.recorder.hps["wd"]) if "wd" in learn.recorder.hps else None
# %%
learn.recorder.plot_sched(); plt.show()
# %%
def noisy(self): return 1
learn.fit(1, lr=1e-3, cbs=[TerminateOnNaNCallback(), GradientClip(.5), EarlyStoppingCallback("rmse" if "rmse" in learn.recorder.metric_names else "_rmse", patience=3, comp=np.less)])
# %%
class Frozen(Callback):
    def before_train(self):
        for p in self.model.u_weight.parameters(): p.requires_grad_(self.epoch % 2 == 0)
w = learn.model.u_weight.weight.clone(); learn.fit(2, 1e-3, cbs=Frozen()); (w != learn.model.u_weight.weight).any()
# %%
@patch
def rank(self: Learner, user, k=3): ids = list(self.dls.classes["joke_id"])[1:]; p = self.get_preds(dl=self.dls.test_dl(pd.DataFrame({"user_id": user, "joke_id": ids})))[0]; return L(ids)[p.flatten().argsort(descending=True)[:k].tolist()]
learn.rank(4)
# %%
with learn.no_logging(), learn.no_bar(): r = [learn.rank(u) for u in jok.user_id.unique()[:2]]
len(L(r).concat())
# %%
learn.no_bar(), isinstance(learn, Learner), callable(learn)
# %%
learn("after_epoch") if False else None; learn.epoch, learn.n_epoch, learn.training, learn.train_iter, learn.pct_train if hasattr(learn, "pct_train") else None
# %%
learn.recorder.smooth_loss, learn.recorder.loss, [m.name for m in learn.metrics]
# %%
learn.dl is learn.dls.valid, learn.iter, learn.n_iter
# %%
[c.name for c in learn.cbs], learn.progress if hasattr(learn, "progress") else None, learn.train_eval
# %%
learn.remove_cb(ProgressCallback); learn.fit(1, 1e-4); learn.add_cb(ProgressCallback()); len(learn.cbs)
# %%
learn2 = Learner(dls, learn.model, loss_func=learn.loss_func, metrics=learn.metrics, default_cbs=False); [c.name for c in learn2.cbs]
