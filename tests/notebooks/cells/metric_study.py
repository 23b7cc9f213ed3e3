# %% metrics written in many ways
set_seed(5); dls = CollabDataLoaders.from_df(ratings, bs=50, seed=5, shuffle=False)
def made(**kw):
    l = collab_learner(dls, n_factors=4, y_range=(0.5, 5.5), **kw)
    with torch.no_grad():
        for i, p in enumerate(l.model.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() * .9 + i).view_as(p) * .4)
    return l
def last(l): return [float(v) for v in l.recorder.values[-1]]
from sklearn.metrics import mean_absolute_error, r2_score, median_absolute_error, ndcg_score, f1_score, roc_auc_score, explained_variance_score
l = made(metrics=[rmse, mse, mae, msle, exp_rmspe, R2Score(), ExplainedVariance(), PearsonCorrCoef(), SpearmanCorrCoef()]); l.fit(1, 1e-2); close_all = last(l); l.recorder.metric_names
# %%
class Within(Metric):
    def __init__(self, eps=.5): self.eps = eps
    def reset(self): self.ok = self.n = 0
    def accumulate(self, learn):
        p, t = learn.pred.view(-1), learn.y.view(-1); self.ok += ((p - t).abs() <= self.eps).sum().item(); self.n += len(t)
    @property
    def value(self): return self.ok / self.n if self.n else None
    @property
    def name(self): return f'within_{self.eps}'
l = made(metrics=[Within(), Within(1.)]); l.fit(1, 1e-2); close_within = last(l); l.recorder.metric_names
# %%
med = skm_to_fastai(median_absolute_error, is_class=False); l = made(metrics=[med, skm_to_fastai(explained_variance_score, is_class=False)]); l.fit(1, 1e-2); close_skm = last(l); l.recorder.metric_names
# %%
def bin_acc(p, t, thr=4): return ((p >= thr) == (t >= thr)).float().mean()
def user_auc(p, t): return roc_auc_score((t >= 4).cpu().numpy().ravel(), p.cpu().numpy().ravel())
l = made(metrics=[partial(bin_acc, thr=3.5), AccumMetric(user_auc, flatten=False), AccumMetric(lambda p, t: torch.median((p - t).abs()), to_np=False)]); l.fit(1, 1e-2); l.recorder.metric_names
# %%
close_auc = last(l)[:2]; p, t = l.get_preds(); p.shape, t.shape, (p - t).shape
# %%
close_rm = [float(rmse(p, t)), float(mae(p, t)), float(F.mse_loss(p, t.squeeze().float())), mean_absolute_error(t, p), r2_score(t.numpy(), p.numpy())]
# %%
class NDCG(Metric):
    "by user, from sklearn"
    def __init__(self, k=5): self.k = k
    def reset(self): self.u, self.p, self.t = [], [], []
    def accumulate(self, learn): self.u += learn.xb[0][:, 0].tolist(); self.p += learn.pred.flatten().tolist(); self.t += learn.yb[0].flatten().tolist()
    @property
    def value(self):
        g = pd.DataFrame({'u': self.u, 'p': self.p, 't': self.t}).groupby('u'); v = [ndcg_score([x.t.values], [x.p.values], k=self.k) for _, x in g if len(x) > 1]; return float(np.mean(v)) if v else 0.
l = made(metrics=NDCG()); l.fit(1, 1e-2); close_ndcg = last(l); l.recorder.metric_names
# %%
rec = pd.DataFrame({'u': dls.valid_ds.items.user.values, 'p': p.numpy(), 't': t.numpy().ravel()})
def hit(g, k=3): top = g.nlargest(k, 'p'); return (top.t >= 4).mean()
close_prec = float(rec.groupby('u')[['p', 't']].apply(hit).mean())
# %%
m = mk_metric(rmse); type(m).__name__, m.name, mk_metric(mae).name, AvgMetric(mae).name, AccumMetric(bin_acc).name
# %%
m.reset(); l.metrics
# %%
v = ValueMetric(lambda: 7., 'seven'); l = made(metrics=[v]); l.fit(1, 1e-2); last(l)[-1], l.recorder.metric_names[3]
# %%
l = made(metrics=[AvgMetric(lambda p, t: (p.round() == t.squeeze()).float().mean())]); l.fit(1, 1e-2); close_lam = last(l); len(l.recorder.metric_names)
# %%
l.metrics = L(mae, rmse); l.fit(1, 1e-2); close_changed = last(l); l.metrics = []; l.fit(1, 1e-2); len(l.recorder.values[-1])
# %%
l = made(metrics=rmse); l.recorder.train_metrics = True; l.fit(1, 1e-2); l.recorder.metric_names, len(l.recorder.values[-1])
# %%
l = made(metrics=[mae]); val = l.validate(); close_v0 = [float(x) for x in val]; type(val).__name__, len(val)
# %%
close_v1 = [float(x) for x in l.validate(ds_idx=0)]; l.validate(dl=dls.valid)[1]
# %%
type(rmse).__name__, type(R2Score()).__name__, rmse.name
# %%
def macro(p, t): return f1_score(t, p.argmax(-1), average='macro', zero_division=0)
df = ratings.copy(); df['liked'] = np.where(df.rating >= 4, 'yes', 'no')
cd = TabularDataLoaders.from_df(df, procs=[Categorify], cat_names=['user', 'movie'], y_names='liked', y_block=CategoryBlock(), valid_idx=list(range(300)), bs=50, shuffle=False)
cl = tabular_learner(cd, layers=[10], metrics=[accuracy, F1Score(), RocAucBinary(), Precision(), Recall(), BalancedAccuracy(), CohenKappa(), MatthewsCorrCoef(), error_rate, AccumMetric(macro, dim_argmax=None, flatten=False)]); cl.fit(1, 1e-2); cl.recorder.metric_names, cd.c, cd.vocab
# %%
cp, ct = cl.get_preds(); cp.shape, ct.shape, ct.dtype, cl.loss_func
# %%
cp2, ct2, dec = cl.get_preds(with_decoded=True); dec.shape, dec.dtype, float(cp2.sum(1).mean())
# %%
ci = ClassificationInterpretation.from_learner(cl); ci.confusion_matrix().shape, ci.vocab
# %%
ci.plot_confusion_matrix(normalize=True, figsize=(3, 3)); plt.close('all'); len(ci.top_losses(4))
# %%
cl.predict(df.iloc[0])[1:], cl.show_results(max_n=3)
# %%
class_w = tensor([1., 2.]); cw = tabular_learner(cd, layers=[10], loss_func=CrossEntropyLossFlat(weight=class_w), metrics=accuracy); cw.fit(1, 1e-2); cw.loss_func.func.weight
# %%
fl = tabular_learner(cd, layers=[10], loss_func=FocalLossFlat(gamma=2.), metrics=[accuracy, APScoreBinary(), Jaccard()]); fl.fit(1, 1e-2); fl.recorder.metric_names
# %%
ls = tabular_learner(cd, layers=[10], loss_func=LabelSmoothingCrossEntropyFlat(eps=.1), metrics=[accuracy, Perplexity(), HammingLoss()]); ls.fit(1, 1e-2); ls.get_preds()[0].sum(1).mean()
# %%
top_k_accuracy(cp, ct.long(), k=1), accuracy(cp, ct), accuracy_multi(cp, F.one_hot(ct.squeeze().long(), 2).float(), thresh=.5, sigmoid=False)
