# %% the same model trained by hand, in ways that courses do it
set_seed(0)
dls = CollabDataLoaders.from_df(ratings, bs=100, seed=9, user_name='user', item_name='movie', shuffle=False)
nu, ni = [len(dls.classes[c]) for c in ('user', 'movie')]; dev = dls.device; nu, ni, dev.type if hasattr(dev, 'type') else str(dev)
# %%
def start(m):
    g = torch.Generator().manual_seed(5)
    for p in m.parameters(): p.data = torch.randn(p.shape, generator=g) * .1
    return m
class MF(nn.Module):
    def __init__(self, nu=nu, ni=ni, k=6):
        super().__init__(); self.U, self.V = nn.Embedding(nu, k), nn.Embedding(ni, k); self.bu, self.bv = nn.Embedding(nu, 1), nn.Embedding(ni, 1); self.register_buffer('mu', torch.tensor(3.3))
    def forward(self, x):
        u, v = x[:, 0].long(), x[:, 1].long()
        return ((self.U(u) * self.V(v)).sum(-1, keepdim=True) + self.bu(u) + self.bv(v) + self.mu)
m = start(MF()); crit = nn.MSELoss(); opt = torch.optim.Adam(m.parameters(), lr=1e-2); hist = []
for ep in range(2):
    m.train(); tot = n = 0
    for xb, yb in dls.train:
        opt.zero_grad(); loss = crit(m(xb), yb.float()); loss.backward(); opt.step(); tot += loss.item() * len(xb); n += len(xb)
    m.eval()
    with torch.no_grad(): vl = sum(crit(m(xb), yb.float()).item() * len(xb) for xb, yb in dls.valid) / len(dls.valid_ds)
    hist.append((tot / n, vl))
close_hist = hist
# %%
xb.shape, yb.shape, xb.dtype, yb.dtype, xb.type(), type(yb).__name__
# %%
xb.is_contiguous(), yb.min() >= 1, yb.float().mean().shape, yb[:, 0].shape, yb.squeeze().shape, yb.view(-1).shape, xb[0], xb[:, 0].max() < nu
# %%
len(dls.train), len(dls.valid), dls.train.bs, dls.valid.bs, dls.n_inp, dls.train.n, dls.valid.n, len(dls.loaders), dls.train.drop_last, dls.valid.drop_last, dls.train.shuffle
# %%
sched_m = start(MF()); o = torch.optim.SGD(sched_m.parameters(), lr=.05, momentum=.9, weight_decay=1e-4); s = torch.optim.lr_scheduler.OneCycleLR(o, max_lr=.1, steps_per_epoch=len(dls.train), epochs=2); rates = []
for ep in range(2):
    for b in dls.train:
        *x, y = b; l = F.mse_loss(sched_m(*x), y.float()); l.backward(); nn.utils.clip_grad_norm_(sched_m.parameters(), 1.); o.step(); o.zero_grad(set_to_none=True); s.step(); rates.append(s.get_last_lr()[0])
close_rates = rates[::5]; close_sgd = [l.item(), float(sched_m.U.weight.norm())]
# %%
a = start(MF()); learn = Learner(dls, a, loss_func=nn.MSELoss(), opt_func=partial(OptimWrapper, opt=torch.optim.Adam), metrics=[rmse]); learn.fit(2, 1e-2, wd=0.); close_same = [float(x) for x in learn.recorder.values[-1]]
# %%
def accuracy_half(p, t): return ((p - t).abs() <= .5).float().mean()
class Trainer:
    def __init__(self, model, dls, lr): store_attr(); self.opt = SGD(model.parameters(), lr); self.log = []
    def one(self, train=True):
        self.model.train(train); ls, ac = [], []
        for xb, yb in progress_bar(self.dls.train if train else self.dls.valid, leave=False):
            with torch.set_grad_enabled(train):
                p = self.model(xb); l = F.mse_loss(p, yb.float())
            if train: l.backward(); self.opt.step(); self.opt.zero_grad()
            ls.append(l.detach()); ac.append(accuracy_half(p, yb))
        return torch.stack(ls).mean().item(), torch.stack(ac).mean().item()
    def fit(self, n):
        for e in range(n): self.log.append((*self.one(), *self.one(False)))
        return self
t = Trainer(start(MF()), dls, .1).fit(2); close_trainer = t.log
# %%
pd.DataFrame(t.log, columns=['loss', 'acc', 'vloss', 'vacc']).plot(); plt.close()
# %%
class NumpyMF:
    "stochastic gradient in plain numpy on the loader's arrays"
    def __init__(s, k=4, lr=.02, reg=.02): s.k, s.lr, s.reg = k, lr, reg
    def fit(s, X, y, n=2):
        r = np.random.RandomState(0); s.P, s.Q = r.normal(0, .1, (nu, s.k)), r.normal(0, .1, (ni, s.k)); s.mu = y.mean()
        for _ in range(n):
            for (u, i), v in zip(X, y):
                e = v - s.mu - s.P[u] @ s.Q[i]; s.P[u], s.Q[i] = s.P[u] + s.lr * (e * s.Q[i] - s.reg * s.P[u]), s.Q[i] + s.lr * (e * s.P[u] - s.reg * s.Q[i])
        return s
    def predict(s, X): return s.mu + (s.P[X[:, 0]] * s.Q[X[:, 1]]).sum(1)
X, y = dls.train_ds.cats.values, dls.train_ds.ys.values.ravel(); Xv, yv = dls.valid_ds.cats.to_numpy(), dls.valid_ds.ys.to_numpy()[:, 0]
nm = NumpyMF().fit(X, y); close_numpy = float(np.sqrt(((nm.predict(Xv) - yv) ** 2).mean())); X.shape, X.dtype.kind, y.dtype.kind
# %%
R = np.zeros((nu, ni)); R[X[:, 0], X[:, 1]] = y; close_density = float((R > 0).mean()); u_, s_, vt = np.linalg.svd(R - R.mean(), full_matrices=False); close_sv = s_[:4].tolist()
# %%
batches = list(dls.train); len(batches), len(batches[0]), type(batches[0]).__name__, sum(len(b[0]) for b in batches)
# %%
it = iter(dls.train); b1, b2 = next(it), next(it); torch.equal(b1[0], b2[0]), b1[0].shape
# %%
x, y = first(dls.valid); x.shape, y.shape, first(dls.train)[0].ndim
# %%
for i, (x, y) in enumerate(dls.train):
    if i == 2: break
i, x.shape, y.float().mean().item() > 0
# %%
dls.train.dataset is dls.train_ds, dls.train_ds is dls.train.dataset, dls[0] is dls.train, dls[1] is dls.valid, dls.train.device, dls.valid_ds.items.shape[1]
# %%
tl = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(R[X[:, 0], X[:, 1]]).float()[:, None]), batch_size=64, shuffle=False)
vl = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(Xv), torch.tensor(yv).float()[:, None]), batch_size=64)
d2 = DataLoaders(tl, vl); l2 = Learner(d2, start(MF()), loss_func=F.mse_loss, metrics=[mae, accuracy_half]); l2.fit(2, 1e-2, wd=0.); close_torch_dl = [float(v) for v in l2.recorder.values[-1]]
# %%
l2.validate(), len(l2.get_preds()), l2.get_preds()[0].shape, l2.get_preds()[1].shape, l2.get_preds(ds_idx=0)[0].shape
# %%
close_bydef = [float(v) for v in l2.validate(dl=tl)]; l2.loss_func is F.mse_loss, l2.opt.hypers[0]['lr']
# %%
l2.opt.state_dict().keys(), len(l2.opt.param_lists), len(l2.opt.all_params())
# %%
scaler = m; ema = deepcopy(m)
with torch.no_grad():
    for pe, p in zip(ema.parameters(), l2.model.parameters()): pe.mul_(.9).add_(p, alpha=.1)
close_ema = float(F.mse_loss(ema(first(dls.valid)[0]), first(dls.valid)[1].float()))
# %%
swa = torch.optim.swa_utils.AveragedModel(m); swa.update_parameters(m); swa.update_parameters(l2.model); close_swa = float(swa.module.U.weight.sum()); Learner(dls, swa, loss_func=nn.MSELoss()).validate()
# %%
comp = torch.jit.trace(m.eval(), x); torch.allclose(comp(x), m(x))
# %%
l3 = Learner(dls, start(MF()), loss_func=lambda p, t: F.smooth_l1_loss(p, t.float(), beta=.5), opt_func=Adam); l3.fit_one_cycle(2, 3e-2); close_sl1 = [float(v) for v in l3.recorder.values[-1]]
# %%
l3.fit(1, 0.); close_zero = [float(v) for v in l3.recorder.values[-1]]; close_unmoved = float(l3.model.U.weight.abs().sum())
# %%
with l3.no_bar(): l3.fit(1, lr=1e-3, wd=0.1, reset_opt=True)
close_after = [float(v) for v in l3.recorder.values[-1]]; l3.recorder.lrs[-1], l3.recorder.iters[-1] if l3.recorder.iters else -1
