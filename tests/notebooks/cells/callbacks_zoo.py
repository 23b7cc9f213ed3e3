# %% callbacks as forum posts have them
set_seed(2); dls = CollabDataLoaders.from_df(ratings, bs=64, seed=3, shuffle=False); nu, ni = len(dls.classes['user']), len(dls.classes['movie'])
def made(k=5, **kw):
    l = collab_learner(dls, n_factors=k, y_range=(0, 5.5), **kw)
    with torch.no_grad():
        for i, p in enumerate(l.model.parameters()): p.copy_(torch.cos(torch.arange(p.numel()).float() * .7 + i).view_as(p) * .2)
    return l
def rows(l): return [[float(v) for v in r] for r in l.recorder.values]
len(dls.train)
# %%
class Count(Callback):
    order = 5
    def before_fit(self): self.n = Counter()
    def before_epoch(self): self.n['epoch'] += 1
    def before_train(self): self.n['train'] += 1
    def before_batch(self): self.n['batch_t' if self.training else 'batch_v'] += 1
    def after_pred(self): self.n['pred'] += 1
    def after_loss(self): self.n['loss'] += 1
    def before_backward(self): self.n['bb'] += 1
    def after_backward(self): self.n['ab'] += 1
    def before_step(self): self.n['bs'] += 1
    def after_step(self): self.n['as'] += 1
    def after_batch(self): self.n['abatch'] += 1
    def after_train(self): self.n['at'] += 1
    def before_validate(self): self.n['bv'] += 1
    def after_validate(self): self.n['av'] += 1
    def after_epoch(self): self.n['ae'] += 1
    def after_fit(self): self.n['fit'] += 1
c = Count(); l = made(cbs=c); l.fit(2, 1e-2); exact_counts = dict(c.n); close_count = rows(l)
# %%
l.cbs, l.count is c, c.learn is l, c.name, hasattr(l, 'recorder'), str(c), c.run
# %%
class Skip(Callback):
    def before_batch(self):
        if self.training and self.iter % 3 == 0: raise CancelBatchException()
l = made(cbs=Skip()); l.fit(1, 1e-2); close_skip = rows(l)
# %%
class Half(Callback):
    def after_batch(self):
        if self.training and self.iter == 5: raise CancelTrainException()
l = made(cbs=Half()); l.fit(2, 1e-2); close_half = rows(l)
# %%
class Stop(Callback):
    def after_epoch(self):
        if self.epoch == 1: raise CancelFitException
l = made(cbs=Stop()); l.fit(5, 1e-2); exact_stop = [len(l.recorder.values), l.epoch]
# %%
class NoValid(Callback):
    def before_validate(self): raise CancelValidException()
l = made(cbs=NoValid(), metrics=rmse); l.fit(1, 1e-2); [len(r) for r in l.recorder.values]
# %%
class SkipStep(Callback):
    def before_step(self):
        if self.train_iter % 2: raise CancelStepException()
l = made(cbs=[SkipStep()]); l.fit(1, 1e-2); close_skipstep = rows(l)
# %%
class Twice(Callback):
    "scales the gradient after backward"
    def before_step(self):
        for p in self.model.parameters():
            if p.grad is not None: p.grad *= 2
l = made(cbs=Twice(), opt_func=SGD); l.fit(1, 1e-1); close_twice = rows(l)
# %%
class Clip01(Callback):
    def after_pred(self): self.learn.pred = self.pred.clamp(1, 5)
l = made(cbs=Clip01()); l.fit(1, 1e-2); close_clip = rows(l); close_clip_pred = [float(l.get_preds()[0].min()), float(l.get_preds()[0].max())]
# %%
class Jitter(Callback):
    def before_batch(self):
        if self.training: self.learn.yb = (self.y.float() + .1,)
l = made(cbs=Jitter()); l.fit(1, 1e-2); close_jitter = rows(l)
# %%
class L2(Callback):
    def __init__(self, alpha=1e-3): self.alpha = alpha
    def after_loss(self):
        if not self.training: return
        x = self.xb[0]; reg = self.model.u_weight(x[:, 0]).pow(2).sum(1).mean() + self.model.i_weight(x[:, 1]).pow(2).sum(1).mean()
        self.learn.loss_grad = self.loss_grad + self.alpha * reg; self.learn.loss = self.learn.loss_grad.clone()
l = made(cbs=L2(.05)); l.fit(2, 1e-2, wd=0); close_l2 = rows(l)
# %%
class History(Callback):
    run_valid = False
    def before_fit(self): self.lrs, self.moms, self.losses, self.norms = [], [], [], []
    def after_batch(self): self.lrs.append(self.opt.hypers[-1]['lr']); self.moms.append(self.opt.hypers[-1]['mom']); self.losses.append(self.loss.item()); self.norms.append(self.model.u_weight.weight.norm().item())
h = History(); l = made(); l.fit_one_cycle(1, 1e-2, cbs=h); close_hist = [h.lrs[::6], h.moms[::6], h.losses[::6], h.norms[::6]]; hasattr(l, 'history'), len(h.lrs)
# %%
class BestOf(TrackerCallback):
    def __init__(self): super().__init__(monitor='valid_loss'); 
    def before_fit(self): super().before_fit(); self.k = []
    def after_epoch(self): super().after_epoch(); self.k.append(self.new_best)
b = BestOf(); l = made(cbs=b); l.fit(3, 2e-2); close_best = float(b.best); b.k
# %%
l = made(metrics=[rmse, mae], cbs=[EarlyStoppingCallback(monitor='rmse', min_delta=.5, patience=1), SaveModelCallback(monitor='mae', fname='bestmae', comp=np.less)]); l.fit(6, 1e-2); exact_early = len(l.recorder.values); Path('models/bestmae.pth').exists()
# %%
l = made(cbs=[ReduceLROnPlateau(monitor='valid_loss', patience=1, min_delta=1., factor=5)]); l.fit(4, 1e-2); l.opt.hypers[-1]['lr'], l.cbs[-1].factor
# %%
l = made(cbs=GradientClip(.05)); l.fit(1, 1e-2); close_gc = rows(l)
# %%
l = made(cbs=GradientAccumulation(n_acc=128)); l.fit(1, 1e-2); close_acc = rows(l)
# %%
l = made(); l.to_fp32(); l.fit(1, 1e-2); close_32 = rows(l)
# %%
l = made(cbs=CSVLogger('log.csv')); l.fit(2, 1e-2); pd.read_csv('log.csv').shape, l.csv_logger.read_log().columns.tolist()
# %%
l = made(cbs=CSVLogger(fname='log.csv', append=True)); l.fit(1, 1e-2); len(open('log.csv').read().splitlines())
# %%
l = made(); l.add_cb(ShowGraphCallback()); l.fit(2, 1e-2); l.remove_cb(ShowGraphCallback); l.cbs; plt.close('all')
# %%
l = made(cbs=[TerminateOnNaNCallback()]); l.fit(1, 1e-2); close_nan = rows(l)
# %%
class NaN(Callback):
    def after_loss(self):
        if self.training and self.iter == 4: self.learn.loss_grad = self.loss_grad * float('nan'); self.learn.loss = self.loss * float('nan')
l = made(cbs=[NaN(), TerminateOnNaNCallback()]); l.fit(3, 1e-2); len(l.recorder.values)
# %%
@patch
def recommend_top(self: Learner, user, n=3):
    i = torch.arange(1, len(self.dls.classes['movie'])); u = torch.full_like(i, self.dls.classes['user'].o2i[user])
    p = self.model(torch.stack([u, i], 1)); return [self.dls.classes['movie'][int(k)] for k in p.topk(n).indices + 1]
len(made().recommend_top(4))
# %%
@patch
def after_epoch(self: Skip): self.learn.skipped = True
l = made(cbs=Skip()); l.fit(1, 1e-2); l.skipped
# %%
class Order(Callback):
    run_after = Recorder; order = 60
    def after_epoch(self): self.seen = list(self.recorder.log)
o = Order(); l = made(cbs=o, metrics=rmse); l.fit(1, 1e-2); len(o.seen), Order.order, [type(c).__name__ for c in l.cbs.sorted('order')]
# %%
class Freeze(Callback):
    def before_epoch(self): self.model.i_weight.weight.requires_grad_(self.epoch % 2 == 1)
l = made(cbs=Freeze(), opt_func=partial(OptimWrapper, opt=torch.optim.SGD)); l.fit(2, 1e-1); close_freeze = rows(l)
# %%
def noisy(self):
    if self.training: self.learn.xb = (self.xb[0].flip(0),); self.learn.yb = (self.yb[0].flip(0),)
l = made(cbs=[type('Flip', (Callback,), {'before_batch': noisy})()]); l.fit(1, 1e-2); close_flip = rows(l)
# %%
l = made(); l('before_fit'); l.epoch, l.n_epoch = 0, 1; [e for e in ('before_fit', 'after_batch') if hasattr(event, e)]
# %%
l = made(); l.fit(1, 1e-2, cbs=[ParamScheduler({'lr': SchedCos(1e-2, 1e-4), 'mom': SchedLin(.9, .8)})]); close_ps = rows(l); l.recorder.hps.keys() if hasattr(l.recorder, 'hps') else None
# %%
class Loud(Callback):
    def __getattr__(self, k):
        if k.startswith('_'): raise AttributeError(k)
        return super().__getattr__(k)
    def after_epoch(self): self.shown = f'{self.epoch + 1}/{self.n_epoch} {float(self.recorder.values[-1][1]) if len(self.recorder.values) else 0:.2f} {self.pct_train:.2f}'
o = Loud(); l = made(cbs=o); l.fit(2, 1e-2); exact_loud = o.shown.split()[0]; o.shown.split()[2]
# %%
class Preds(Callback):
    def before_validate(self): self.p, self.t = [], []
    def after_pred(self):
        if not self.training: self.p.append(to_detach(self.pred)); self.t.append(to_detach(self.y))
    def after_validate(self): self.learn.valid_r2 = 1 - ((torch.cat(self.p) - torch.cat(self.t).squeeze()) ** 2).sum().item() / ((torch.cat(self.t).float() - torch.cat(self.t).float().mean()) ** 2).sum().item()
l = made(cbs=Preds()); l.fit(1, 1e-2); close_r2 = l.valid_r2
