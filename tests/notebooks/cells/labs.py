# %% a lab on training: callbacks, schedules, gradients
dls = CollabDataLoaders.from_df(ratings.merge(movies), item_name='title', seed=42, bs=64)
def fresh(**kw): return collab_learner(dls, n_factors=6, y_range=(0, 5.5), **kw)
learn = fresh(metrics=[rmse])
class Table(Callback):
    "losses of each epoch in a frame"
    order, run_valid = 60, False
    def before_fit(self): self.rows = []
    def after_epoch(self): self.rows.append([self.epoch, *self.recorder.values[-1]])
    def after_fit(self): self.frame = pd.DataFrame(self.rows, columns=['epoch', *self.recorder.metric_names[1:-1]])
cb = Table(); learn.fit_one_cycle(3, 5e-3, cbs=cb); cb.frame
# %%
cb.name, repr(cb), cb.order
# %%
class Best(TrackerCallback):
    def after_epoch(self):
        super().after_epoch()
        if self.new_best: self.weights = {k: v.clone() for k, v in self.model.state_dict().items()}
best = Best(monitor='rmse'); learn.fit(2, 1e-3, cbs=best); sorted(best.weights), best.best
# %%
class Warm(Callback):
    def __init__(self, steps=10): store_attr()
    def before_batch(self):
        if self.training: self.opt.set_hyper('lr', 1e-3 * min(1, (self.train_iter + 1) / self.steps))
w = Warm(); learn.fit(1, 1e-3, cbs=w); w.steps, learn.opt.hypers[0]['lr']
# %%
class Norms(Callback):
    def before_fit(self): self.found = []
    def after_backward(self): self.found.append(float(torch.stack([p.grad.norm() for p in self.model.parameters() if p.grad is not None]).norm()))
n = Norms(); learn.fit(1, 1e-3, cbs=n); len(n.found)
# %%
class Every(Callback):
    run_after = Recorder
    def after_batch(self):
        if self.training and self.iter % 10 == 0: self.kept.append((self.epoch, self.iter, round(float(self.pct_train), 3), self.smooth_loss.item() > 0))
    def before_fit(self): self.kept = []
e = Every(); learn.fit(1, 1e-3, cbs=e); exact_every = [k[:2] for k in e.kept]
# %%
e.kept[0]
# %%
class Stopper(Callback):
    def after_batch(self):
        if self.training and self.train_iter >= 5: raise CancelTrainException
learn.fit(2, 1e-3, cbs=Stopper()); len(learn.recorder.values)
# %%
def my_cb(**kw): return Callback(**kw)
c = Callback(after_fit=lambda: None, name='x') if False else Callback(); learn.fit(1, cbs=c)
# %%
learn = fresh(cbs=[Table]); learn.fit(1); t = learn.table.frame.shape; learn.remove_cb(Table); t
# %%
learn.add_cb(EarlyStoppingCallback(monitor='valid_loss', min_delta=0.1, patience=1)); learn.fit(6, 1e-5); len(learn.recorder.values) < 6
# %%
with learn.removed_cbs(learn.cbs.filter(lambda o: isinstance(o, EarlyStoppingCallback))): learn.fit(2, 1e-5)
n = len(learn.recorder.values); learn.remove_cb(EarlyStoppingCallback); n
# %%
with learn.added_cbs(Table()): learn.fit(1)
# %%
learn.fit_one_cycle(2, cbs=[SaveModelCallback(monitor='valid_loss', fname='m1', with_opt=True), ReduceLROnPlateau(patience=1, factor=2, min_lr=1e-7)])
(learn.path/'models'/'m1.pth').exists()
# %%
learn.load('m1', with_opt=True); learn.validate()
# %%
learn.fit(4, 1e-2, cbs=EarlyStoppingCallback(comp=np.greater, monitor='train_loss', patience=1, reset_on_fit=True))
# %% schedules by hand
f = combine_scheds([0.25, 0.75], [SchedLin(1e-4, 1e-2), SchedExp(1e-2, 1e-5)])
exact_sched = [round(float(f(p)), 7) for p in np.linspace(0, 1, 6)]
# %%
learn.fit(2, cbs=ParamScheduler({'lr': f, 'mom': SchedCos(0.95, 0.85)})); learn.recorder.plot_sched(); plt.close('all')
# %%
len(learn.recorder.hps['mom'])
# %%
@annealer
def sched_step(start, end, pos): return start if pos < 0.5 else end
s = sched_step(1, 2); s(0.2), s(0.7)
# %%
learn.fit(1, cbs=ParamScheduler({'lr': sched_step(1e-2, 1e-3)})); sorted(set(round(float(v), 5) for v in learn.recorder.hps['lr']))
# %%
SchedPoly(1, 0, 2)(0.5), SchedNo(3, 4)(0.9)
# %% finding rates
r = learn.lr_find(); type(r).__name__, r._fields
# %%
res = learn.lr_find(stop_div=False, num_it=60, start_lr=1e-6, end_lr=10, suggest_funcs=(valley, slide, minimum, steep)); len(res), res.slide > 0
# %%
a, b = learn.lr_find(suggest_funcs=[minimum, steep]); print(f"Minimum/10: {a:.2e}, steepest point: {b:.2e}")
# %%
def gentle(lrs, losses, num_it): return lrs[int(num_it * 0.4)], (lrs[0], losses[0])
learn.lr_find(suggest_funcs=(gentle, valley))._fields
# %%
learn.recorder.plot_lr_find(skip_end=3); plt.close('all')
# %%
plt.semilogx(learn.recorder.lrs, [float(o) for o in learn.recorder.losses]); plt.close('all')
# %% optimizers of one's own
def opt_func(params, **kwargs): return OptimWrapper(torch.optim.SGD(params, lr=0.1, momentum=0.9) if False else params, torch.optim.SGD, **kwargs)
learn = fresh(opt_func=opt_func); learn.fit(1, 1e-2)
# %%
learn = fresh(opt_func=partial(OptimWrapper, opt=torch.optim.Adagrad)); learn.fit(1, 1e-2)
# %%
learn = fresh(opt_func=partial(RMSProp, sqr_mom=0.95)); learn.fit(1, 1e-3)
# %%
learn = fresh(opt_func=partial(Adam, mom=0.8, sqr_mom=0.9, eps=1e-7, wd=0.3, decouple_wd=True)); learn.create_opt(); learn.opt.hypers[0]['wd']
# %%
learn.fit(1); type(learn.opt).__name__
# %%
opt = Adam(learn.model.parameters(), lr=1e-3); xb, yb = dls.one_batch()
for _ in range(3): loss = F.mse_loss(learn.model(xb).view(-1), yb.view(-1).float()); loss.backward(); opt.step(); opt.zero_grad()
len(opt.hypers), loss.shape
# %%
opt.hypers[0]['lr'], opt.param_groups[0].keys() >= {'lr'} if hasattr(opt, 'param_groups') else None
# %%
learn.opt.all_params().map(lambda o: len(o)) if False else len(learn.opt.all_params())
# %%
learn.opt.freeze_to(0); learn.opt.unfreeze() if hasattr(learn.opt, 'unfreeze') else None
# %% what one step does
learn = fresh(); learn.create_opt(); learn.model.train(); xb, yb = dls.one_batch()
preds = learn.model(xb); loss = learn.loss_func(preds, yb); loss.backward()
learn.model.i_weight.weight.grad, loss
# %%
learn.opt.step(); learn.opt.zero_grad(); learn.model.i_weight.weight.grad is None or float(learn.model.i_weight.weight.grad.abs().sum()) == 0
# %%
def train_epoch(model, lr):
    for xb, yb in dls.train:
        calc = MSELossFlat()(model(xb), yb); calc.backward()
        for p in model.parameters(): p.data -= p.grad * lr; p.grad.zero_()
train_epoch(learn.model, 1e-2); MSELossFlat()(learn.model(xb), yb)
# %%
class BasicOptim:
    def __init__(self, params, lr): self.params, self.lr = list(params), lr
    def step(self, *args, **kwargs):
        for p in self.params: p.data -= p.grad.data * self.lr
    def zero_grad(self, *args, **kwargs):
        for p in self.params: p.grad = None
o = BasicOptim(learn.model.parameters(), 1e-2); MSELossFlat()(learn.model(xb), yb).backward(); o.step(); o.zero_grad()
# %%
def validate_epoch(model): return round(torch.stack([F.mse_loss(model(xb).view(-1), yb.view(-1).float()) for xb, yb in dls.valid]).mean().item(), 4)
validate_epoch(learn.model) > 0
# %% patching the classes
@patch
def recommend(self: Learner, user, n=3):
    items = [t for t in self.dls.classes['title'] if t != '#na#']
    p, _ = self.get_preds(dl=self.dls.test_dl(pd.DataFrame({'user': user, 'title': items})))
    return [(items[i], p.view(-1)[i].item()) for i in p.view(-1).argsort(descending=True)[:n]]
learn.recommend(5)
# %%
@patch
def n_of(self: EmbeddingDotBias, is_item=True): return len(self.i_weight.weight if is_item else self.u_weight.weight)
exact_n = [learn.model.n_of(), learn.model.n_of(False)]
# %%
@delegates(collab_learner)
def maker(dls, k=4, **kwargs): return collab_learner(dls, n_factors=k, **kwargs)
maker(dls, y_range=(0, 5.5)).model.i_weight
# %%
class Lookalike(Learner):
    def best(self): return self.model.i_bias.weight.squeeze().argmax()
l = Lookalike(dls, EmbeddingDotBias(4, *[len(dls.classes[c]) for c in ('user', 'title')]), loss_func=MSELossFlat()); l.fit(1); l.best()
# %% metrics of one's own
class NDCG(Metric):
    def __init__(self, k=5): self.k = k
    def reset(self): self.u, self.p, self.t = [], [], []
    def accumulate(self, learn): self.u.append(learn.xb[0][:, 0].cpu()); self.p.append(to_detach(learn.pred).view(-1)); self.t.append(to_detach(learn.y).view(-1))
    @property
    def value(self):
        d = pd.DataFrame({'u': torch.cat(self.u), 'p': torch.cat(self.p), 't': torch.cat(self.t)})
        def one(g):
            gain = lambda s: (s.head(self.k) / np.log2(np.arange(2, 2 + len(s.head(self.k))))).sum()
            return gain(g.sort_values('p', ascending=False).t) / gain(g.sort_values('t', ascending=False).t)
        return d.groupby('u')[['p', 't']].apply(one).mean()
    @property
    def name(self): return f'ndcg@{self.k}'
learn = fresh(metrics=[NDCG(3), mae, AccumMetric(lambda p, t: (p - t).abs().max(), flatten=True)]); learn.fit(1, 5e-3); learn.recorder.metric_names[:4]
# %%
0 < learn.final_record[2] <= 1
# %%
mae(*learn.get_preds()), rmse(*learn.get_preds()), exp_rmspe(*map(lambda o: o.view(-1) / 10, learn.get_preds()))
# %%
learn.metrics.append(mk_metric(rmse)) if hasattr(learn.metrics, 'append') else None; len(learn.metrics)
# %%
learn.metrics = L(rmse, mae); learn.validate(), learn.metrics.attrgot('name')
# %% devices, precisions, states
dev = torch.device('cuda' if torch.cuda.is_available() else 'cpu'); learn.model.to(dev); learn.dls.to(dev); learn.dls.device.type if hasattr(learn.dls.device, 'type') else str(learn.dls.device)
# %%
if torch.cuda.is_available(): learn.model.cuda()
learn.dls.cpu() if hasattr(learn.dls, 'cpu') else None; next(learn.model.parameters()).is_cuda
# %%
default_device(False) if not torch.cuda.is_available() else None; learn.model.cpu().training
# %%
model_state = deepcopy(learn.model.state_dict()); learn.fit(1, 1e-1); learn.model.load_state_dict(model_state)
# %%
clone = deepcopy(learn.model); all(torch.equal(a, b) for a, b in zip(clone.parameters(), learn.model.parameters()))
# %%
torch.manual_seed(7); a = Embedding(5, 3).weight; torch.manual_seed(7); b = Embedding(5, 3).weight; bool((a == b).all())
# %%
set_seed(3, True); l1 = fresh(); set_seed(3, True); l2 = fresh(); torch.equal(l1.model.i_weight.weight, l2.model.i_weight.weight)
# %%
with torch.inference_mode(): out = learn.model.eval()(dls.one_batch()[0])
out.shape
# %%
[p.numel() for p in learn.model.parameters()], total_params(learn.model)
# %%
for n, m in learn.model.named_modules(): n
type(m).__name__
# %%
learn.model.apply(lambda m: nn.init.normal_(m.weight, 0, 0.01) if isinstance(m, nn.Embedding) else None)
# %%
learn.model.requires_grad_(False); learn.model.requires_grad_(True); all(p.requires_grad for p in learn.model.parameters())
