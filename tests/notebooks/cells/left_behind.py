# %% what a training run leaves: recorder, logs, statistics of activations, histories in files, custom metrics as classes
from fastai.basics import *
from fastai.callback.all import *
from fastai.tabular.all import *
from fastai.collab import *
dls = CollabDataLoaders.from_df(ratings, bs=64, seed=42, shuffle=False); n = [len(o) for o in dls.classes.values()]
def filled(m, s=.3):
    for k, q in enumerate(m.parameters()): q.data = (torch.sin(torch.arange(q.numel()) * .37 + k) * s).view_as(q)
    return m
def vals(l): return [[float(v) for v in r] for r in l.recorder.values]
def fresh(**k): l = collab_learner(dls, n_factors=6, y_range=(.5, 5.5), **k); filled(l.model); return l
class Within(Metric):
    "how many are within half a star"
    def __init__(self, tol=.5): self.tol = tol
    def reset(self): self.n, self.hit = 0, 0
    def accumulate(self, learn): p, t = learn.pred.view(-1), learn.y.view(-1); self.hit += ((p - t).abs() <= self.tol).sum().item(); self.n += len(t)
    @property
    def value(self): return self.hit / self.n if self.n else None
    @property
    def name(self): return f'within_{self.tol}'
learn = fresh(metrics=[Within(), Within(1.)]); learn.fit(2, 1e-2); close_within = vals(learn); learn.recorder.metric_names
# %%
class Quantiles(AccumMetric):
    def __init__(self): super().__init__(lambda p, t: float(np.quantile(np.abs(p - t), .9)), flatten=True, to_np=True, invert_arg=False); self._n = 'q90'
    @property
    def name(self): return self._n
learn = fresh(metrics=[Quantiles(), skm_to_fastai(__import__('sklearn.metrics', fromlist=['x']).median_absolute_error, is_class=False)]); learn.fit(1, 1e-2); close_q = vals(learn); learn.recorder.metric_names
# %%
def spread(inp, targ): return inp.std()
learn = fresh(metrics=[AvgMetric(spread), mae, ValueMetric(lambda: 3., 'three')]); learn.fit(1, 1e-2); close_spread = vals(learn); learn.recorder.metric_names
# %%
learn.recorder.log, type(learn.recorder.values), learn.recorder.iters
# %%
learn.recorder.loss, learn.recorder.smooth_loss, learn.recorder.train_metrics, learn.recorder.add_time
# %%
close_state = [float(learn.recorder.loss.value), float(learn.recorder.smooth_loss.value)]; learn.recorder.loss.name, learn.recorder.smooth_loss.count
# %%
len(learn.recorder.losses) == len(dls.train), len(learn.recorder.lrs), type(learn.recorder.losses[0]).__name__
# %%
learn = fresh(cbs=CSVLogger('h.csv')); learn.fit(2, 1e-2); log = learn.csv_logger.read_log(); log.columns.tolist(), log.shape
# %%
close_log = log.valid_loss.tolist()
# %%
learn = fresh(cbs=ShowGraphCallback()); learn.fit(1, 1e-2); learn.remove_cb(ShowGraphCallback); L(learn.cbs).map(lambda c: c.name).sorted()
# %%
nn_learn = collab_learner(dls, use_nn=True, layers=[16, 8], emb_szs={'user': 6, 'movie': 5}, y_range=(.5, 5.5), cbs=ActivationStats(with_hist=True, every=4)); filled(nn_learn.model); nn_learn.fit(1, 1e-3); nn_learn.activation_stats.stats.__class__.__name__, len(nn_learn.activation_stats.stats) > 0
# %%
nn_learn.activation_stats.layer_stats(0).shape if hasattr(nn_learn.activation_stats.layer_stats(0), 'shape') else len(nn_learn.activation_stats.layer_stats(0))
# %%
nn_learn.activation_stats.plot_layer_stats(-2); plt.close('all'); nn_learn.activation_stats.color_dim(0); plt.close('all'); nn_learn.activation_stats.hist(0).shape if hasattr(nn_learn.activation_stats, 'hist') else 0
# %%
with hook_output(nn_learn.model.layers[0]) as h: nn_learn.model.eval(); out = nn_learn.model(tensor([[1, 2], [3, 4]]), None) if True else 0; kept = h.stored.shape
kept, out.shape
# %%
hs = Hooks([nn_learn.model.embeds[0], nn_learn.model.layers], lambda m, i, o: o.mean().item()); nn_learn.model(tensor([[1, 2], [3, 4]]), None); st = hs.stored; hs.remove(); len(st)
# %%
learn = fresh(metrics=[mae]); learn.fit(3, 1e-2); fig, ax = plt.subplots(); xs = range(1, 4); ax.plot(xs, L(learn.recorder.values).itemgot(0)); ax.plot(xs, L(learn.recorder.values).itemgot(1)); plt.close(); L(learn.recorder.values).itemgot(2)
# %%
tr, va, m = zip(*learn.recorder.values); len(tr), min(va) <= va[0]
# %%
best = np.argmin(L(learn.recorder.values).itemgot(1)); hist = pd.DataFrame(list(learn.recorder.values), columns=['train', 'valid', 'mae']); hist.to_csv('run.csv'); hist.iloc[int(best)].shape
# %%
str(learn.recorder.values[0])[0], learn.recorder.final_record if hasattr(learn.recorder, 'final_record') else learn.final_record
# %%
np.array(learn.recorder.values).shape, np.array(learn.recorder.lrs).shape, torch.stack(learn.recorder.losses).shape, np.array(learn.recorder.losses).dtype.kind
# %%
learn.recorder.hps['lr'][:2], learn.recorder.hps.keys() if hasattr(learn.recorder, 'hps') else None
# %%
learn.fit_one_cycle(1, 1e-2); learn.recorder.hps.keys(), len(learn.recorder.hps['mom'])
# %%
close_moms = [float(x) for x in learn.recorder.hps['mom']][::4]
# %%
r = learn.lr_find(num_it=25, suggest_funcs=(valley, slide)); r._fields, len(r)
# %%
v, s = learn.lr_find(num_it=25, suggest_funcs=(valley, slide), show_plot=False); type(v).__name__, v > 0
# %%
lrs, losses = tensor(learn.recorder.lrs), tensor([float(o) for o in learn.recorder.losses]); lrs.shape == losses.shape, bool((lrs[1:] > lrs[:-1]).all())
# %%
valley(lrs, losses, 25)[0] if isinstance(valley(lrs, losses, 25), tuple) else valley(lrs, losses, 25)
# %%
with learn.added_cbs([GradientClip(.1)]): learn.fit(1, 1e-3)
[c.name for c in learn.cbs]
# %%
with learn.no_logging(): learn.fit(1, 1e-3)
learn.logger is print or callable(learn.logger)
# %%
out = []; learn.logger = out.append; learn.fit(1, 1e-3); type(out[0]).__name__, len(out)
# %%
learn.ordered_cbs('after_batch') if hasattr(learn, 'ordered_cbs') else 0, learn.cbs.sorted('order').map(type).map(lambda t: t.__name__)
# %%
learn.recorder.cancel_fit if hasattr(learn.recorder, 'cancel_fit') else None, learn.train_iter, learn.pct_train, learn.epoch, learn.n_epoch
# %%
learn.loss, learn.pred, learn.yb, learn.xb, learn.iter
