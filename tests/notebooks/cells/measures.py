# %% metrics, losses, activations and layers of one's own beside the library's; ranking measures; plots of errors
df = ratings.merge(movies); dls = CollabDataLoaders.from_df(df, item_name='title', bs=64, seed=42, shuffle=False)
def filled(m, scale=0.3):
    with torch.no_grad():
        for i, p in enumerate(m.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() * 0.37 + i).view_as(p) * scale)
    return m
def fresh(**k): l = collab_learner(dls, n_factors=8, y_range=(.5, 5.5), **k); filled(l.model); return l
def rows(l): return [[float(v) for v in r] for r in l.recorder.values]
# %%
def within_one(pred, targ): return ((pred.squeeze() - targ.squeeze()).abs() <= 1).float().mean()
def rounded_acc(p, t): return (p.round().squeeze() == t.squeeze()).float().mean()
l = fresh(metrics=[within_one, rounded_acc, mae, rmse, mse]); l.fit(2, 1e-2); close_own = rows(l); exact_names = list(l.recorder.metric_names)
# %%
def bad_broadcast(p, t): return ((p - t) ** 2).mean()
l = fresh(metrics=[bad_broadcast]); close_bb = [float(v) for v in l.validate()]
# %%
class PrecisionAtK(Metric):
    def __init__(self, k=5, thr=4): self.k, self.thr = k, thr
    def reset(self): self.d = defaultdict(list)
    def accumulate(self, learn):
        for u, p, t in zip(learn.xb[0][:, 0].tolist(), learn.pred.flatten().tolist(), learn.y.flatten().tolist()): self.d[u].append((p, t))
    @property
    def value(self):
        if not self.d: return None
        return np.mean([np.mean([t >= self.thr for _, t in sorted(v, reverse=True)[:self.k]]) for v in self.d.values()])
    @property
    def name(self): return f'p@{self.k}'
l = fresh(metrics=[PrecisionAtK(), PrecisionAtK(3, 5)]); l.fit(2, 1e-2); close_pk = rows(l); exact_pk = list(l.recorder.metric_names)
# %%
class Bias(AvgMetric):
    def accumulate(self, learn): bs = find_bs(learn.yb); self.total += learn.to_detach((learn.pred.squeeze() - learn.y.squeeze().float()).mean()) * bs; self.count += bs
l = fresh(metrics=Bias(noop)); l.fit(1, 1e-2); close_bias = rows(l)
# %%
import sklearn.metrics as skm
med = AccumMetric(lambda p, t: skm.median_absolute_error(t, p), to_np=True, flatten=True); med2 = skm_to_fastai(skm.mean_squared_log_error, is_class=False); l = fresh(metrics=[med, med2]); l.fit(1, 1e-2); close_sk = rows(l); list(l.recorder.metric_names)
# %%
l = fresh(metrics=[R2Score(), ExplainedVariance(), PearsonCorrCoef(), SpearmanCorrCoef(), exp_rmspe, msle]); l.fit(1, 1e-2); close_lib = rows(l); exact_lib = list(l.recorder.metric_names)
# %%
lm = LossMetrics('u_reg,i_reg') if False else None
class TwoPart(nn.Module):
    def forward(self, p, t): self.fit_part = F.mse_loss(p.squeeze(), t.squeeze().float()); self.mean_part = (p.mean() - t.float().mean()) ** 2; return self.fit_part + self.mean_part
l = fresh(loss_func=TwoPart(), metrics=[LossMetric('fit_part'), LossMetric('mean_part', nm='mean')]) ; l.fit(2, 1e-2); close_lm = rows(l); exact_lm = list(l.recorder.metric_names)
# %%
l = fresh(metrics=LossMetrics(['fit_part', 'mean_part']), loss_func=TwoPart()); l.fit(1, 1e-2); close_lms = rows(l)
# %%
om = optim_metric(lambda p, t, thresh=.5: (skm.f1_score(t > 3, p > thresh * 5)), 'thresh', (.3, .9)) if False else None; acc4 = partial(accuracy_multi, thresh=.6, sigmoid=False); p4 = torch.linspace(0, 1, 10); close_acc = float(acc4(p4, (p4 > .5).float()))
# %%
l = fresh(metrics=[rmse]); l.recorder.train_metrics = True; l.fit(1, 1e-2); exact_tm = list(l.recorder.metric_names); close_tm = rows(l)
# %%
l = fresh(metrics=[rmse, mae]); l.fit(3, 1e-2); fig = l.recorder.plot_loss(with_valid=True); plt.close('all'); close_losses = [float(x) for x in l.recorder.losses[::6]]
# %%
exact_iters = list(l.recorder.iters); close_lrs = l.recorder.lrs[:3]
# %%
df_m = pd.DataFrame(l.recorder.values, columns=l.recorder.metric_names[1:-1]); df_m.plot(subplots=True); plt.close('all'); df_m
# %%
l.recorder.plot_loss(show_epochs=True) if 'show_epochs' in l.recorder.plot_loss.__code__.co_varnames else None; plt.close('all')
# %%
l.recorder.log, l.recorder.loss.value if False else l.recorder.smooth_loss.value.__class__.__name__
# %% losses of the library by hand
p, t = torch.tensor([[1.2], [3.4], [4.9]]), torch.tensor([[1], [3], [5]]); close_lib_losses = [float(MSELossFlat()(p, t)), float(L1LossFlat()(p, t)), float(MSELossFlat(reduction='sum')(p, t))]; MSELossFlat()
# %%
BaseLoss(nn.SmoothL1Loss, floatify=True, is_2d=False)(p, t)
# %%
class MyLoss(BaseLoss):
    def __init__(self, *a, **k): super().__init__(nn.SmoothL1Loss, *a, floatify=True, is_2d=False, **k)
    def decodes(self, x): return x.round()
l = fresh(loss_func=MyLoss(), metrics=rmse); l.fit(2, 1e-2); close_my = rows(l); pr, tg, dec = l.get_preds(with_decoded=True); close_dec = dec.flatten()[:5].tolist()
# %%
@delegates()
class Smooth(BaseLoss):
    def __init__(self, *args, axis=-1, beta=.5, **kwargs): super().__init__(nn.SmoothL1Loss, *args, axis=axis, floatify=True, is_2d=False, beta=beta, **kwargs)
l = fresh(loss_func=Smooth(beta=.3)); l.fit(1, 1e-2); close_smooth = rows(l); Smooth(beta=.3)
# %%
def act(x): return x * 2
class WithAct:
    def __call__(self, p, t): return F.mse_loss(p.flatten(), t.flatten().float())
    def activation(self, x): return act(x)
    def decodes(self, x): return x.round()
    reduction = 'mean'
l = fresh(loss_func=WithAct()); pr, tg, dec = l.get_preds(with_decoded=True); close_act = [pr.flatten()[:3].tolist(), dec.flatten()[:3].tolist()]
# %%
pr2 = l.get_preds(act=noop)[0]; close_noop = pr2.flatten()[:3].tolist()
# %%
class RedLoss(nn.Module):
    def __init__(self, reduction='mean'): super().__init__(); self.reduction = reduction
    def forward(self, p, t): return F.mse_loss(p.squeeze(-1), t.squeeze(-1).float(), reduction=self.reduction) if p.ndim == t.ndim else F.mse_loss(p, t.squeeze(-1).float(), reduction=self.reduction)
l = fresh(loss_func=RedLoss()); pr, tg, ls = l.get_preds(with_loss=True); close_ls = ls[:5].tolist(); ls.shape
# %% layers
class ScaledSigmoid(Module):
    def __init__(self, lo, hi): store_attr()
    def forward(self, x): return torch.sigmoid(x) * (self.hi - self.lo) + self.lo
class Net(Module):
    def __init__(self, nu, ni): self.u, self.i = Embedding(nu, 6), Embedding(ni, 6); self.head = nn.Sequential(*LinBnDrop(12, 8, p=0., act=nn.ReLU(inplace=True)).children(), LinBnDrop(8, 1, bn=False), ScaledSigmoid(.5, 5.5))
    def forward(self, x): return self.head(torch.cat([self.u(x[:, 0]), self.i(x[:, 1])], 1))
n = Learner(dls, filled(Net(*[len(dls.classes[c]) for c in ('user', 'title')])), loss_func=MSELossFlat(), metrics=rmse); n.fit(2, 1e-2); close_net = rows(n)
# %%
n.model.head, n.summary().splitlines()[0] if n.summary() else None
# %%
seq = sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)); seq(torch.ones(1, 2)).shape, SequentialEx(nn.Linear(2, 2), MergeLayer())(torch.ones(1, 2)).shape, Flatten()(torch.ones(2, 3, 1)).shape
# %%
apply_init(seq, nn.init.kaiming_normal_) if 'apply_init' in globals() else None; init_default(nn.Linear(2, 2)).weight.shape, has_params(seq), has_bias(seq) if 'has_bias' in globals() else None
# %%
Embedding(5, 3).weight.abs().max() < .05, trunc_normal_(torch.zeros(50)).abs().max() <= 2, sigmoid_range(torch.zeros(1), 0, 4), SigmoidRange(0, 4)(torch.zeros(1))
# %% ranking by hand on the predictions
l = fresh(metrics=[rmse]); l.fit_one_cycle(2, 1e-2); pr, tg = l.get_preds(); v = dls.valid_ds.items.reset_index(drop=True); v['p'], v['t'] = pr.numpy().ravel(), tg.numpy().ravel(); close_v = v.p[:5].tolist()
# %%
def ndcg_at_k(g, k=5):
    g = g.sort_values('p', ascending=False); dcg = ((2 ** g.t.values[:k] - 1) / np.log2(np.arange(2, min(k, len(g)) + 2))).sum(); i = np.sort(g.t.values)[::-1]; return dcg / ((2 ** i[:k] - 1) / np.log2(np.arange(2, min(k, len(g)) + 2))).sum()
close_ndcg = float(np.mean([ndcg_at_k(g) for _, g in v.groupby('user')]))
# %%
def ap(g, thr=4, k=5): r = (g.sort_values('p', ascending=False).t.values[:k] >= thr).astype(float); return (np.cumsum(r) / np.arange(1, len(r) + 1) * r).sum() / max(r.sum(), 1)
close_map = float(np.mean([ap(g) for _, g in v.groupby('user')]))
# %%
close_auc = float(skm.roc_auc_score(v.t >= 4, v.p)); close_tau = float(v.groupby('user').apply(lambda g: g.p.corr(g.t, method='kendall')).mean())
# %%
fig, ax = plt.subplots(1, 3, figsize=(9, 3)); ax[0].hist(v.p - v.t, bins=20); ax[1].scatter(v.t + np.random.rand(len(v)) * .1, v.p, s=4); v.boxplot('p', by='t', ax=ax[2]); plt.close('all')
# %%
calib = v.assign(bin=pd.cut(v.p, [0, 2, 3, 4, 6])).groupby('bin', observed=True)[['p', 't']].mean(); close_cal = calib.values.tolist()
# %%
err = (v.p - v.t) ** 2; close_groups = [float(np.sqrt(err[v.title.map(v.title.value_counts()) > c].mean())) for c in (0, 8)]
# %%
boot = [float(np.sqrt(err.sample(frac=1, replace=True, random_state=s).mean())) for s in range(5)]; close_boot = boot
# %%
cm = skm.confusion_matrix(v.t.astype(int), v.p.round().astype(int), labels=[1, 2, 3, 4, 5]); exact_cm = cm.tolist(); plt.imshow(cm); plt.colorbar(); plt.close()
# %%
interp = Interpretation.from_learner(l); losses_, idxs_ = interp.top_losses(5) if hasattr(interp, 'top_losses') else (None, None); close_top = losses_.tolist()
# %%
exact_top = [int(i) for i in interp.top_losses(5)[1]] if hasattr(interp, 'top_losses') else None
# %%
interp.show_results([0, 1]) if False else None; l.show_results(max_n=4, shuffle=False)
# %%
test_close(float(rmse(pr, tg)) ** 2, float(((pr - tg.squeeze()) ** 2).mean()), eps=1e-4); test_ne(1, 2); test_fail(lambda: 1 / 0)
# %%
with ExceptionExpected(ZeroDivisionError): 1 / 0
# %%
is_close(1., 1 + 1e-7), all_equal([1, 2], [1, 2]), bool(bool(array_equal(np.ones(2), np.ones(2))))
