# %% folds, seeds, snapshots: ensembles and their callbacks, numbers compared where nothing is drawn
from sklearn.model_selection import KFold, GroupKFold, train_test_split
from scipy import stats
df = ratings.merge(movies).reset_index(drop=True)
def filled(m, scale=0.3, shift=0):
    with torch.no_grad():
        for i, p in enumerate(m.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() * 0.37 + i + shift).view_as(p) * scale)
    return m
def rows(l): return [[float(v) for v in r] for r in l.recorder.values]
# %%
oof = np.zeros(len(df)); scores = []
for f, (tr, va) in enumerate(KFold(3, shuffle=True, random_state=0).split(df)):
    to = TabularCollab(df, [Categorify], ['user', 'title'], y_names=['rating'], splits=(list(tr), list(va))); dls = to.dataloaders(bs=64, shuffle=False)
    l = collab_learner(dls, n_factors=6, y_range=(.5, 5.5), metrics=[rmse]); filled(l.model)
    with l.no_bar(), l.no_logging(): l.fit_one_cycle(2, 1e-2, wd=.05)
    scores.append(float(l.recorder.values[-1][1])); p, _ = l.get_preds(); oof[va] = p.squeeze().numpy(); l.save(f'fold{f}')
close_scores = scores
# %%
close_oof = [float(np.sqrt(((oof - df.rating) ** 2).mean())), float(oof.mean())]
# %%
preds = []
for f in range(3): l.load(f'fold{f}'); preds.append(l.get_preds(dl=dls.test_dl(df.iloc[:8]))[0])
torch.stack(preds).mean(0).shape, torch.stack(preds, 1).std(1).shape
# %%
ens = torch.stack([l.load(f'fold{f}').get_preds()[0] for f in range(3)]).mean(0); float(rmse(ens, l.get_preds()[1])) > 0
# %%
for tr, va in GroupKFold(2).split(df, groups=df.user): break
to = TabularCollab(df, [Categorify], ['user', 'title'], y_names='rating', splits=[L(list(tr)), L(list(va))]); dls_g = to.dataloaders(bs=64); (dls_g.valid_ds.items.user == 0).all()
# %%
strat = TrainTestSplitter(test_size=.2, random_state=42, stratify=df.rating)(df); exact_strat = [len(strat[0]), len(strat[1])]; type(strat[0]).__name__
# %%
dls = CollabDataLoaders.from_df(df, item_name='title', seed=42, bs=64, shuffle=False)
def fresh(shift=0, **k): l = collab_learner(dls, n_factors=6, y_range=(.5, 5.5), metrics=[rmse, mae], **k); filled(l.model, shift=shift); return l
l = fresh(); l.fit(6, 3e-2, cbs=[EarlyStoppingCallback(monitor='valid_loss', patience=1, min_delta=.01)]); close_es = rows(l); exact_es = len(l.recorder.values)
# %%
l = fresh(); l.fit(4, 5e-2, cbs=SaveModelCallback(monitor='valid_loss', fname='best')); close_sm = rows(l); l2 = fresh(); l2.fit(4, 5e-2, cbs=ReduceLROnPlateau(monitor='valid_loss', patience=1, factor=5., min_delta=.05)); close_ro = rows(l2); close_lr = l2.opt.hypers[0]['lr']
# %%
close_best = [float(v) for v in l.validate()]; l.load('best'); close_best2 = [float(v) for v in l.validate()]
# %%
l = fresh(); l.fit_one_cycle(3, 1e-2, cbs=SaveModelCallback(every_epoch=True, fname='snap', with_opt=True)); snaps = sorted(Path('models').glob('snap_*.pth')); [s.name for s in snaps]
# %%
snap_preds = []
for s in snaps: l.load(s.stem); snap_preds.append(l.get_preds()[0])
close_snap = [float(rmse(p, l.get_preds()[1])) for p in snap_preds] + [float(rmse(torch.stack(snap_preds).mean(0), l.get_preds()[1]))]
# %%
l = fresh(); l.fit(3, 1e-2, cbs=TerminateOnNaNCallback()); close_nan = rows(l)
# %%
l = fresh(); l.fit(2, 1e-2, cbs=GradientAccumulation(256)); close_acc = rows(l)
# %%
l = fresh(); l.fit(2, 1e-2, cbs=GradientClip(.05)); close_clip = rows(l)
# %%
l = fresh(cbs=[ShowGraphCallback()]); l.fit(2, 1e-2); close_graph = rows(l); plt.close('all')
# %%
l = fresh(); l.fit(2, 1e-2, cbs=CSVLogger('h.csv')); close_csv = pd.read_csv('h.csv').drop(columns='time').values.tolist()
# %%
l = fresh(); l.fit(1, 1e-2); l.fit(1, 1e-2); two = rows(l); l = fresh(); l.fit(2, 1e-2); close_two = [two, rows(l)]
# %%
l = fresh(); l.fit_one_cycle(3, 1e-2, start_epoch=1) ; close_resume = rows(l)
# %%
l = fresh(); l.fit(2, 1e-2, cbs=SkipToEpoch(1)); close_skip = rows(l)
# %%
l = fresh(); l.fit(3, 1e-2, cbs=ShortEpochCallback(.5)); exact_short = len(l.recorder.values)
# %%
class StepDecay(Callback):
    def __init__(self, every=1, by=.5): store_attr()
    def before_fit(self): self.lr0 = self.opt.hypers[-1]['lr']
    def before_epoch(self): self.opt.set_hyper('lr', self.lr0 * self.by ** (self.epoch // self.every))
l = fresh(); l.fit(3, 2e-2, cbs=StepDecay()); close_step = rows(l); close_step_lr = l.opt.hypers[-1]['lr']
# %%
class CosineRestart(Callback):
    run_valid = False
    def before_batch(self): self.opt.set_hypers(lr=.01 * (1 + math.cos(math.pi * (self.train_iter % 10) / 10)) / 2)
l = fresh(); l.fit(2, cbs=CosineRestart()); close_cos = rows(l)
# %%
class Warm(Callback):
    order = 61
    def before_batch(self):
        if self.training and self.train_iter < 10: self.opt.set_hyper('lr', .01 * (self.train_iter + 1) / 10)
l = fresh(); l.fit(1, .01, cbs=Warm()); close_warm = rows(l)
# %%
l = fresh(); l.fit_one_cycle(2, 1e-2, cbs=ParamScheduler({'wd': SchedLin(.2, 0.)})) if False else l.fit(2, 1e-2, cbs=ParamScheduler({'lr': SchedCos(1e-2, 1e-3), 'mom': SchedLin(.95, .85)})); close_ps = rows(l)
# %%
class L2(Callback):
    "penalty on the factors inside the loss"
    def __init__(self, lam): self.lam = lam
    def after_loss(self): self.learn.loss_grad = self.learn.loss_grad + self.lam * sum((p ** 2).sum() for p in self.model.parameters()) if self.training else self.loss_grad
l = fresh(wd=0.); l.fit(2, 1e-2, cbs=L2(1e-4)); close_l2 = rows(l)
# %%
class Noise(Callback):
    def before_batch(self):
        if self.training: self.learn.yb = (self.yb[0] + .25 * torch.sin(self.xb[0].sum(1, keepdim=True).float()),)
l = fresh(); l.fit(2, 1e-2, cbs=Noise()); close_noise = rows(l)
# %%
class Clamp(Callback):
    def after_step(self):
        with torch.no_grad(): [p.clamp_(-.25, .25) for p in self.model.parameters()]
l = fresh(); l.fit(2, 1e-2, cbs=Clamp()); close_clamp = rows(l); float(l.model.i_weight.weight.abs().max()) <= .25
# %%
class EMA(Callback):
    def before_fit(self): self.avg = [p.detach().clone() for p in self.model.parameters()]
    def after_batch(self):
        if self.training: [a.mul_(.9).add_(p.detach(), alpha=.1) for a, p in zip(self.avg, self.model.parameters())]
    def after_fit(self): [p.data.copy_(a) for p, a in zip(self.model.parameters(), self.avg)]
l = fresh(); l.fit(2, 1e-2, cbs=EMA()); close_ema = [float(v) for v in l.validate()]
# %%
class Swap(Callback):
    def before_validate(self): self.keep = [p.detach().clone() for p in self.model.parameters()]; [p.data.mul_(.5) for p in self.model.parameters()]
    def after_validate(self): [p.data.copy_(k) for p, k in zip(self.model.parameters(), self.keep)]
l = fresh(); l.fit(2, 1e-2, cbs=Swap()); close_swap = rows(l); close_swap_v = [float(v) for v in l.validate()]
# %%
class FreezeItems(Callback):
    def before_epoch(self): self.model.i_weight.weight.requires_grad_(self.epoch > 0)
l = fresh(); w0 = l.model.i_weight.weight.clone(); l.fit(1, 1e-2, cbs=FreezeItems()); torch.equal(w0, l.model.i_weight.weight), close_fr if False else None
# %%
close_fr = rows(l); l.model.i_weight.weight.requires_grad_(True); l.fit(1, 1e-2); close_fr2 = rows(l)
# %%
l = fresh(); l.fit(2, 1e-2, cbs=Callback(before_batch=lambda self: None) if False else before_batch_cb(lambda self, xb, yb: (xb, tuple(y.float() * .9 for y in yb)))); close_bb = rows(l)
# %%
l = fresh(opt_func=partial(Lamb, wd=.01)); l.fit(2, 1e-2); close_lamb = rows(l); l = fresh(opt_func=partial(QHAdam)); l.fit(2, 1e-2); close_qh = rows(l)
# %%
l = fresh(opt_func=ranger); l.fit_flat_cos(2, 1e-2, pct_start=.5); close_ranger = rows(l); l = fresh(opt_func=RAdam); l.fit(1, 1e-2); close_radam = rows(l)
# %%
l = fresh(opt_func=Larc if False else Larc); l.fit(1, 1e-2); close_larc = rows(l)
# %%
def adabound(params, lr=1e-3, **k): return OptimWrapper(params, torch.optim.NAdam, lr=lr)
l = fresh(opt_func=adabound); l.fit(2, 1e-2); close_nadam = rows(l)
# %%
class SignSGD(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, weight_decay=0): super().__init__(params, dict(lr=lr, weight_decay=weight_decay))
    @torch.no_grad()
    def step(self, closure=None):
        for g in self.param_groups:
            for p in g['params']:
                if p.grad is not None: p.add_(p.grad.sign(), alpha=-g['lr'])
l = fresh(opt_func=partial(OptimWrapper, opt=SignSGD), wd=0.); l.fit(2, 1e-3); close_sign = rows(l)
# %%
def sgd_nesterov(p, lr, mom=.9, **k): p.data.add_(p.grad.data, alpha=-lr)
l = fresh(opt_func=lambda ps, lr: Optimizer(ps, sgd_nesterov, lr=lr, mom=.9), wd=0.); l.fit(2, 1e-1); close_own = rows(l)
# %%
members = [fresh(shift=s) for s in (0, 1, 2)]
for m in members:
    with m.no_bar(), m.no_logging(): m.fit_one_cycle(2, 1e-2)
P = torch.stack([m.get_preds()[0].squeeze() for m in members]); T = members[0].get_preds()[1].squeeze().float(); close_members = [float(((p - T) ** 2).mean()) for p in P] + [float(((P.mean(0) - T) ** 2).mean())]
# %%
w = torch.softmax(-((P - T) ** 2).mean(1) * 10, 0); close_weighted = float((((w[:, None] * P).sum(0) - T) ** 2).mean())
# %%
from sklearn.linear_model import Ridge
st = Ridge(alpha=1.).fit(P.T.numpy(), T.numpy()); close_stack = st.coef_.tolist()
# %%
close_t = [float(x) for x in stats.ttest_rel((P[0] - T).abs(), (P[1] - T).abs())]
# %%
soup = {k: torch.stack([m.model.state_dict()[k] for m in members]).mean(0) for k in members[0].model.state_dict()}; members[0].model.load_state_dict(soup); close_soup = [float(v) for v in members[0].validate()]
# %%
set_seed(0); a = RandomSplitter(.1)(df); b = RandomSplitter(.1, seed=3)(df); exact_rs = [list(map(int, a[1][:4])), list(map(int, b[1][:4]))]
