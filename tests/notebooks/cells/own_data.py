# %% one's own Dataset, loaders and losses over ratings: the same losses as there
from torch.utils.data import Dataset, random_split, Subset, ConcatDataset
df = ratings.copy(); df['u'] = df.user.astype('category').cat.codes.astype(np.int64); df['m'] = df.movie.astype('category').cat.codes.astype(np.int64); nu, ni = df.u.nunique(), df.m.nunique(); train_df, valid_df = df[:1200], df[1200:]; exact_n = [nu, ni]
def filled(m, scale=0.3, shift=0):
    with torch.no_grad():
        for i, p in enumerate(m.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() * 0.37 + i + shift).view_as(p) * scale)
    return m
def rows(l): return [[float(v) for v in r] for r in l.recorder.values]
# %%
class RatingsDataset(Dataset):
    def __init__(self, df): self.x = torch.from_numpy(df[['u', 'm']].values); self.y = torch.from_numpy(df.rating.values.astype(np.float32))
    def __len__(self): return len(self.y)
    def __getitem__(self, i): return self.x[i], self.y[i]
ds, vds = RatingsDataset(train_df), RatingsDataset(valid_df); len(ds), ds[0]
# %%
dls = DataLoaders(DataLoader(ds, bs=64, shuffle=False), DataLoader(vds, bs=128)); xb, yb = dls.one_batch(); xb.shape, yb.shape
# %%
class Dot(Module):
    def __init__(self, k=6): self.u, self.m, self.bu, self.bm = nn.Embedding(nu, k), nn.Embedding(ni, k), nn.Embedding(nu, 1), nn.Embedding(ni, 1)
    def forward(self, x):
        u, m = x[:, 0], x[:, 1]
        return sigmoid_range((self.u(u) * self.m(m)).sum(1) + self.bu(u).squeeze(1) + self.bm(m).squeeze(1), .5, 5.5)
def fresh(loss, **k): return Learner(k.pop('dls', dls), filled(k.pop('model', None) or Dot()), loss_func=loss, metrics=[rmse], **k)
l = fresh(MSELossFlat()); l.fit(2, 1e-2); close_mse = rows(l)
# %%
class TwoArgs(Dataset):
    def __init__(self, d): self.d = d
    def __len__(self): return len(self.d)
    def __getitem__(self, i): r = self.d.iloc[i]; return int(r.u), int(r.m), np.float32(r.rating)
d2 = DataLoaders.from_dsets(TwoArgs(train_df[:300]), TwoArgs(valid_df[:100]), bs=50, shuffle=False, n_inp=2); d2.n_inp = 2; [o.dtype for o in d2.one_batch()]
# %%
class Dot2(Dot):
    def forward(self, u, m): return super().forward(torch.stack([u, m], 1))
l = fresh(MSELossFlat(), dls=d2, model=Dot2()); l.fit(2, 1e-2); close_two = rows(l)
# %%
class Weighted(Dataset):
    "x, y, weight as a dict is not a batch; a target of two columns is"
    def __init__(self, d): self.x, self.y = d[['u', 'm']].values, np.stack([d.rating, np.where(d.rating > 3, 2., 1.)], 1).astype(np.float32)
    def __len__(self): return len(self.x)
    def __getitem__(self, i): return torch.tensor(self.x[i]), torch.tensor(self.y[i])
dw = DataLoaders(DataLoader(Weighted(train_df), bs=64), DataLoader(Weighted(valid_df), bs=64))
def wmse(p, t): return (t[:, 1] * (p - t[:, 0]) ** 2).sum() / t[:, 1].sum()
def wr(p, t): return ((p - t[:, 0]) ** 2).mean().sqrt()
l = Learner(dw, filled(Dot()), loss_func=wmse, metrics=[wr]); l.fit(2, 1e-2); close_w = rows(l)
# %%
def masked(p, t): m = t > 2; return ((p[m] - t[m]) ** 2).mean()
l = fresh(masked); l.fit(2, 1e-2); close_masked = rows(l)
# %%
def where_loss(p, t): return torch.where(p > t, (p - t).abs() * 2, (p - t) ** 2).mean()
l = fresh(where_loss); l.fit(2, 1e-2); close_where = rows(l)
# %%
def hinge(p, t): return torch.clamp((p - t).abs() - .5, min=0).mean()
l = fresh(hinge); l.fit(2, 1e-2); close_hinge = rows(l)
# %%
def maxed(p, t): return torch.max((p - t).abs(), torch.tensor(.3)).mean() + .01 * ((p - t) ** 2).max()
l = fresh(maxed); l.fit(2, 1e-2); close_max = rows(l)
# %%
W = torch.tensor([0., .5, 1., 1., 1.5, 2.])
def by_star(p, t): return (W[t.long()] * (p - t) ** 2).mean()
l = fresh(by_star); l.fit(2, 1e-2); close_star = rows(l)
# %%
def logcosh(p, t): return torch.log(torch.cosh(p - t)).mean()
l = fresh(logcosh); l.fit(2, 1e-2); close_cosh = rows(l)
# %%
def rmse_loss(p, t, eps=1e-6): return torch.sqrt(F.mse_loss(p, t) + eps)
l = fresh(rmse_loss); l.fit(2, 1e-2); close_rmse = rows(l)
# %%
class Focal(nn.Module):
    def __init__(self, gamma=1.): super().__init__(); self.gamma = gamma
    def forward(self, p, t): e = (p - t).abs(); return ((e / (e.detach().max() + 1e-6)) ** self.gamma * e).mean()
l = fresh(Focal()); l.fit(2, 1e-2); close_focal = rows(l)
# %%
def topk_loss(p, t): return ((p - t) ** 2).topk(16).values.mean()
l = fresh(topk_loss); l.fit(2, 1e-2); close_topk = rows(l)
# %%
def pairwise(p, t):
    d, s = p[:, None] - p[None], torch.sign(t[:, None] - t[None])
    return F.softplus(-d * s)[s != 0].mean()
l = fresh(pairwise); l.fit(1, 1e-2); close_pair = rows(l)
# %%
def quantile(q, p, t): e = t - p; return torch.max((q - 1) * e, q * e).mean()
l = fresh(partial(quantile, .7)); l.fit(2, 1e-2); close_q = rows(l)
# %%
def clipped(p, t): return (p.clamp(1, 5) - t).pow(2).mean() + F.relu(p - 5).mean() + F.relu(1 - p).mean()
l = fresh(clipped); l.fit(2, 1e-2); close_clip = rows(l)
# %%
def median_l(p, t): return (p - t).abs().median() + (p - t).abs().mean()
l = fresh(median_l); l.fit(2, 1e-2); close_med = rows(l)
# %%
def var_l(p, t): return F.mse_loss(p, t) + .1 * (p.std() - t.std()).abs() + .1 * (p.mean() - t.mean()) ** 2
l = fresh(var_l); l.fit(2, 1e-2); close_var = rows(l)
# %%
def corr_l(p, t): a, b = p - p.mean(), t - t.mean(); return 1 - (a * b).sum() / (a.norm() * b.norm() + 1e-8)
l = fresh(corr_l); l.fit(2, 1e-2); close_corr = rows(l)
# %%
l = fresh(nn.SmoothL1Loss(beta=.5)); l.fit(2, 1e-2); a = rows(l); l = fresh(nn.HuberLoss(delta=.7)); l.fit(2, 1e-2); close_sm = [a, rows(l)]
# %%
l = fresh(nn.MSELoss(reduction='sum')); l.fit(2, 1e-3); close_sum = rows(l)
# %%
l = fresh(lambda p, t: F.mse_loss(p, t) + 1e-3 * l.model.u.weight.pow(2).mean()); l.fit(2, 1e-2); close_pen = rows(l)
# %%
class Step:
    "a loss that changes with the number of calls"
    n = 0
    def __call__(self, p, t): self.n += 1; return F.mse_loss(p, t) if self.n < 30 else F.l1_loss(p, t)
l = fresh(Step()); l.fit(2, 1e-2); close_step = rows(l)
# %%
def bce(p, t): return F.binary_cross_entropy(((p - .5) / 5).clamp(1e-4, 1 - 1e-4), (t > 3).float())
l = fresh(bce); l.fit(2, 1e-2); close_bce = rows(l)
# %%
def gauss(p, t): return F.gaussian_nll_loss(p, t, torch.full_like(p, .5))
l = fresh(gauss); l.fit(2, 1e-2); close_g = rows(l)
# %%
def poisson(p, t): return F.poisson_nll_loss(p, t, log_input=False)
l = fresh(poisson); l.fit(2, 1e-2); close_poi = rows(l)
# %%
def index_put(p, t): w = torch.ones_like(p); w[t == 5] = 3.; w[t == 1] = .5; return (w * (p - t) ** 2).mean()
l = fresh(index_put); l.fit(2, 1e-2); close_ip = rows(l)
# %%
def sorted_l(p, t): return F.mse_loss(p.sort().values, t.sort().values) + F.mse_loss(p, t)
l = fresh(sorted_l); l.fit(2, 1e-2); close_so = rows(l)
# %%
def cases(p, t):
    if t.mean() > 3.4: return F.mse_loss(p, t)
    return F.l1_loss(p, t)
l = fresh(cases); l.fit(2, 1e-2); close_cases = rows(l)
# %% the loaders
full = RatingsDataset(df); a, b = random_split(full, [1200, 300], generator=torch.Generator().manual_seed(42)); dr = DataLoaders.from_dsets(a, b, bs=64, shuffle=False); exact_split = [int(i) for i in a.indices[:5]]; l = fresh(MSELossFlat(), dls=dr); l.fit(1, 1e-2); close_rs = rows(l)
# %%
ds3 = DataLoaders(torch.utils.data.DataLoader(Subset(full, range(1000)), batch_size=100), torch.utils.data.DataLoader(ConcatDataset([Subset(full, range(1000, 1250)), Subset(full, range(1250, 1500))]), batch_size=100)); l = fresh(MSELossFlat(), dls=ds3); l.fit(1, 1e-2); close_cc = rows(l)
# %%
def collate(batch): return torch.stack([b[0] for b in batch]), torch.stack([b[1] for b in batch]) - 3.
dc = DataLoaders(torch.utils.data.DataLoader(ds, batch_size=64, collate_fn=collate), torch.utils.data.DataLoader(vds, batch_size=64, collate_fn=collate))
class Raw(Dot):
    def forward(self, x): return (self.u(x[:, 0]) * self.m(x[:, 1])).sum(-1)
l = fresh(MSELossFlat(), dls=dc, model=Raw()); l.fit(2, 1e-2); close_co = rows(l)
# %%
class Batches(torch.utils.data.IterableDataset):
    def __init__(self, d): self.d = d
    def __iter__(self):
        for s in range(0, len(self.d), 64): c = self.d[s:s + 64]; yield torch.tensor(c[['u', 'm']].values), torch.tensor(c.rating.values.astype(np.float32))
    def __len__(self): return (len(self.d) + 63) // 64
di = DataLoaders(torch.utils.data.DataLoader(Batches(train_df), batch_size=None), torch.utils.data.DataLoader(Batches(valid_df), batch_size=None)); l = fresh(MSELossFlat(), dls=di); l.fit(2, 1e-2); close_it = rows(l)
# %%
class Neg(Dataset):
    "positives and fixed negatives"
    def __init__(self, d): p = d[d.rating > 3]; self.u = np.repeat(p.u.values, 2); self.m = np.stack([p.m.values, (p.m.values * 5 + 1) % ni], 1).ravel(); self.y = np.tile([1., 0.], len(p)).astype(np.float32)
    def __len__(self): return len(self.y)
    def __getitem__(self, i): return torch.tensor([self.u[i], self.m[i]]), self.y[i]
dn = DataLoaders(DataLoader(Neg(train_df), bs=64, shuffle=False), DataLoader(Neg(valid_df), bs=64)); l = Learner(dn, filled(Raw()), loss_func=BCEWithLogitsLossFlat(), metrics=[accuracy_multi]); l.fit(2, 1e-2); close_neg = rows(l)
# %%
p, t = l.get_preds(); p.shape, t.shape, 0 <= float(p.min()) <= float(p.max()) <= 1
# %%
class Tri(Dataset):
    def __init__(self, d): p = d[d.rating > 3]; self.t = torch.tensor(np.stack([p.u, p.m, (p.m * 3 + 2) % ni], 1))
    def __len__(self): return len(self.t)
    def __getitem__(self, i): return self.t[i], torch.ones(1)
class Rank(Dot):
    def forward(self, t): return super().forward(t[:, [0, 1]]) - super().forward(t[:, [0, 2]])
def rank_loss(d, y): return -torch.log(torch.sigmoid(d)).mean()
dt = DataLoaders(DataLoader(Tri(train_df), bs=64, shuffle=False), DataLoader(Tri(valid_df), bs=64)); l = Learner(dt, filled(Rank()), loss_func=rank_loss, metrics=[lambda d, y: (d > 0).float().mean()]); l.fit(2, 1e-2); close_tri = rows(l); l.recorder.metric_names
# %%
class Hist(Dataset):
    "history padded to ten, next film"
    def __init__(self, d): self.rows = [(g.m.values[:-1][-10:], g.m.values[-1]) for _, g in d.sort_values('timestamp').groupby('u') if len(g) > 3]
    def __len__(self): return len(self.rows)
    def __getitem__(self, i): h, y = self.rows[i]; return torch.tensor(np.r_[np.zeros(10 - len(h), dtype=np.int64), h + 1]), torch.tensor(y)
class Next(Module):
    def __init__(self, k=8): self.e = nn.Embedding(ni + 1, k, padding_idx=0); self.g = nn.GRU(k, k, batch_first=True); self.o = nn.Linear(k, ni)
    def forward(self, h): return self.o(self.g(self.e(h))[0][:, -1])
dh = DataLoaders(DataLoader(Hist(train_df), bs=16, shuffle=False), DataLoader(Hist(valid_df), bs=16)); l = Learner(dh, filled(Next()), loss_func=CrossEntropyLossFlat(), metrics=[accuracy, top_k_accuracy]); l.fit(2, 1e-2); close_next = rows(l)
# %%
l.get_preds(with_decoded=True)[2].shape, l.loss_func.activation(torch.ones(1, 4))
# %%
x = dh.one_batch()[0]; l.model.eval()(x).topk(3).indices.shape
# %%
class DictLoader:
    def __init__(self, d, bs): self.d, self.bs, self.dataset = d, bs, d
    def __len__(self): return (len(self.d) + self.bs - 1) // self.bs
    def __iter__(self):
        for s in range(0, len(self.d), self.bs): yield self.d.x[s:s + self.bs], self.d.y[s:s + self.bs]
dd = DataLoaders(DictLoader(ds, 64), DictLoader(vds, 64)); l = fresh(MSELossFlat(), dls=dd) if False else None; len(list(DictLoader(ds, 64)))
# %%
wd = WeightedDL(ds, bs=64, wgts=np.ones(len(ds))) if False else None; wl = dls.train.new(bs=32); len(wl), wl.one_batch()[0].shape
# %%
fresh(MSELossFlat()).dls.train.dataset is ds, dls.valid_ds is vds, dls.train.n, dls.valid.n
# %%
l = fresh(MSELossFlat()); l.validate(dl=dls.train); close_vt = [float(v) for v in l.validate(dl=dls.train)]; l.get_preds(dl=DataLoader(vds, bs=50))[0].shape
