# %% a zoo of models: GMF, MLP, NeuMF, FM, SVD++-like, two towers, attention, each as a Module and a plain nn.Module
set_seed(1); df = ratings.merge(movies); dls = CollabDataLoaders.from_df(df, item_name='title', seed=42, bs=64, shuffle=False)
n_users, n_items = len(dls.classes['user']), len(dls.classes['title']); exact_n = [n_users, n_items, len(dls.train), dls.valid.n]
def filled(m, scale=0.3):
    with torch.no_grad():
        for i, p in enumerate(m.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() * 0.37 + i).view_as(p) * scale)
    return m
def losses(l): return [[float(v) for v in r] for r in l.recorder.values]
# %%
class GMF(nn.Module):
    def __init__(self, n_users, n_items, k=8):
        super().__init__()
        self.user_emb = nn.Embedding(n_users, k); self.item_emb = nn.Embedding(n_items, k)
        self.affine_output = nn.Linear(k, 1); self.logistic = nn.Sigmoid()
    def forward(self, x):
        user_indices, item_indices = x[:, 0], x[:, 1]
        element_product = torch.mul(self.user_emb(user_indices), self.item_emb(item_indices))
        return self.logistic(self.affine_output(element_product)) * 5.5
gmf = Learner(dls, filled(GMF(n_users, n_items)), loss_func=nn.MSELoss(), metrics=[rmse]); gmf.fit(2, 1e-2, wd=0.); close_gmf = losses(gmf)
# %%
class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embedding_user = torch.nn.Embedding(config['num_users'], config['latent_dim']); self.embedding_item = torch.nn.Embedding(config['num_items'], config['latent_dim'])
        self.fc_layers = torch.nn.ModuleList()
        for idx, (in_size, out_size) in enumerate(zip(config['layers'][:-1], config['layers'][1:])): self.fc_layers.append(torch.nn.Linear(in_size, out_size))
        self.affine_output = torch.nn.Linear(config['layers'][-1], 1)
    def forward(self, x):
        vector = torch.cat([self.embedding_user(x[:, 0]), self.embedding_item(x[:, 1])], dim=-1)
        for idx, _ in enumerate(range(len(self.fc_layers))):
            vector = self.fc_layers[idx](vector); vector = torch.nn.ReLU()(vector)
        return self.affine_output(vector)
config = dict(num_users=n_users, num_items=n_items, latent_dim=6, layers=[12, 8, 4]); mlp = Learner(dls, filled(MLP(config)), loss_func=MSELossFlat()); mlp.fit_one_cycle(2, 1e-2); close_mlp = losses(mlp)
# %%
class NeuMF(Module):
    def __init__(self, nu, ni, mf=6, mlp=(12, 6)):
        self.mf_u, self.mf_i = Embedding(nu, mf), Embedding(ni, mf)
        self.ml_u, self.ml_i = Embedding(nu, mlp[0] // 2), Embedding(ni, mlp[0] // 2)
        self.layers = nn.Sequential(*[m for a, b in zip(mlp[:-1], mlp[1:]) for m in (nn.Linear(a, b), nn.ReLU())])
        self.out = nn.Linear(mf + mlp[-1], 1)
    def forward(self, x):
        u, i = x.unbind(1)
        mf = self.mf_u(u) * self.mf_i(i)
        ml = self.layers(torch.cat([self.ml_u(u), self.ml_i(i)], -1))
        return sigmoid_range(self.out(torch.cat([mf, ml], -1)), 0.5, 5.5).squeeze(-1)
nmf = Learner(dls, filled(NeuMF(n_users, n_items)), loss_func=MSELossFlat(), metrics=[mae]); nmf.fit_one_cycle(2, 1e-2, wd=.05); close_nmf = losses(nmf)
# %%
nmf.get_preds()[0].shape, gmf.get_preds()[0].shape, mlp.get_preds()[0].shape
# %%
class FM(Module):
    "factorisation machine over one table with offsets"
    def __init__(self, dims, k): self.offsets = torch.tensor([0, *np.cumsum(dims)[:-1]]); self.emb, self.lin, self.b = nn.Embedding(sum(dims), k), nn.Embedding(sum(dims), 1), nn.Parameter(torch.zeros(1))
    def forward(self, x):
        x = x + self.offsets; e = self.emb(x)
        inter = .5 * (e.sum(1).pow(2) - e.pow(2).sum(1)).sum(1, keepdim=True)
        return self.b + self.lin(x).sum(1) + inter
fm = Learner(dls, filled(FM([n_users, n_items], 5)), loss_func=MSELossFlat(), metrics=rmse); fm.fit(2, 2e-2, wd=.01); close_fm = losses(fm)
# %%
class Tower(Module):
    def __init__(self, n, k=12, out=8): self.e, self.l = Embedding(n, k), nn.Sequential(nn.Linear(k, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, out))
    def forward(self, i): return F.normalize(self.l(self.e(i)), dim=-1)
class TwoTower(Module):
    def __init__(self, nu, ni): self.u, self.i, self.scale = Tower(nu), Tower(ni), nn.Parameter(torch.tensor(2.))
    def forward(self, x): return 3 + self.scale * (self.u(x[:, 0]) * self.i(x[:, 1])).sum(-1)
tt = Learner(dls, filled(TwoTower(n_users, n_items)), loss_func=MSELossFlat(), metrics=rmse); tt.fit_one_cycle(2, 5e-3); close_tt = losses(tt)
# %%
close_scale = float(tt.model.scale); tt.model.u(tensor([1, 2])).shape
# %%
class SVDpp(Module):
    "implicit feedback through a table of padded histories"
    def __init__(self, nu, ni, hist, k=6):
        self.register_buffer('hist', hist); self.u, self.i, self.y = Embedding(nu, k), Embedding(ni, k), nn.Embedding(ni, k, padding_idx=0); self.bu, self.bi = Embedding(nu, 1), Embedding(ni, 1); self.mu = 3.3
    def forward(self, x):
        h = self.hist[x[:, 0]]; n = (h > 0).sum(1, keepdim=True).clamp(min=1).float()
        p = self.u(x[:, 0]) + self.y(h).sum(1) / n.sqrt()
        return (p * self.i(x[:, 1])).sum(1) + self.mu + self.bu(x[:, 0])[:, 0] + self.bi(x[:, 1])[:, 0]
tr = dls.train_ds.items; H = torch.zeros(n_users, 10, dtype=torch.long)
for u, g in tr.groupby('user'): H[u, :min(10, len(g))] = torch.tensor(g.title.values[:10])
spp = Learner(dls, filled(SVDpp(n_users, n_items, H)), loss_func=MSELossFlat(), metrics=rmse); spp.fit(2, 1e-2); close_spp = losses(spp)
# %%
[n for n, _ in spp.model.named_buffers()], [n for n, _ in spp.model.named_parameters()]
# %%
class Att(Module):
    def __init__(self, nu, ni, k=8): self.u, self.i = Embedding(nu, k), Embedding(ni, k); self.att = nn.MultiheadAttention(k, 2, batch_first=True); self.out = nn.Linear(2 * k, 1)
    def forward(self, x):
        t = torch.stack([self.u(x[:, 0]), self.i(x[:, 1])], 1); a, _ = self.att(t, t, t, need_weights=False)
        return self.out((t + a).flatten(1))
att = Learner(dls, filled(Att(n_users, n_items)), loss_func=MSELossFlat(), metrics=rmse); att.fit(1, 5e-3); close_att = losses(att)
# %%
class Hybrid(EmbeddingDotBias):
    "a subclass of the library's model"
    def __init__(self, *a, **k): super().__init__(*a, **k); self.gb = nn.Parameter(torch.zeros(1))
    def forward(self, x): return super().forward(x) + self.gb
hy = Learner(dls, filled(Hybrid(6, n_users, n_items, y_range=(.5, 5.5))), loss_func=MSELossFlat(), metrics=rmse); hy.fit(2, 1e-2); close_hy = losses(hy)
# %%
hy.model
# %%
class Wrapped(Module):
    def __init__(self, inner, lo, hi): self.inner, self.lo, self.hi = inner, lo, hi
    def forward(self, x): return self.inner(x).clamp(self.lo, self.hi)
wr = Learner(dls, Wrapped(filled(FM([n_users, n_items], 4)), 1., 5.), loss_func=L1LossFlat(), metrics=rmse); wr.fit(2, 2e-2, wd=0); close_wr = losses(wr)
# %%
class Bilinear(nn.Module):
    def __init__(self): super().__init__(); self.u, self.i, self.b = nn.Embedding(n_users, 6), nn.Embedding(n_items, 6), nn.Bilinear(6, 6, 1)
    def forward(self, x): return self.b(self.u(x[:, 0]), self.i(x[:, 1])).squeeze(1)
bl = Learner(dls, filled(Bilinear()), loss_func=MSELossFlat()); bl.fit(1, 1e-2); close_bl = losses(bl)
# %%
class Ordinal(Module):
    "logits of five stars"
    def __init__(self): self.u, self.i = Embedding(n_users, 6), Embedding(n_items, 6); self.head = nn.Linear(6, 5)
    def forward(self, x): return self.head(self.u(x[:, 0]) * self.i(x[:, 1]))
def ce(p, t): return F.cross_entropy(p, t.squeeze(-1).long() - 1)
def acc(p, t): return (p.argmax(-1) + 1 == t.squeeze(-1)).float().mean()
def exp_rmse(p, t): return ((p.softmax(-1) @ torch.arange(1., 6.) - t.squeeze(-1)) ** 2).mean().sqrt()
orl = Learner(dls, filled(Ordinal()), loss_func=ce, metrics=[acc, exp_rmse]); orl.fit(2, 1e-2); close_or = losses(orl)
# %%
orl.get_preds()[0].shape, orl.recorder.metric_names
# %%
class BPRLike(Module):
    def __init__(self): self.u, self.i = Embedding(n_users, 6), Embedding(n_items, 6)
    def forward(self, x):
        u = self.u(x[:, 0]); neg = (x[:, 1] * 7 + 3) % n_items
        return torch.stack([(u * self.i(x[:, 1])).sum(1), (u * self.i(neg)).sum(1)], 1)
def bpr(p, t): return -F.logsigmoid(p[:, 0] - p[:, 1]).mean()
bp = Learner(dls, filled(BPRLike()), loss_func=bpr); bp.fit(2, 1e-2); close_bp = losses(bp)
# %%
class Poly(Module):
    def __init__(self): self.u, self.i, self.w = Embedding(n_users, 5), Embedding(n_items, 5), nn.Parameter(torch.ones(3) / 3)
    def forward(self, x):
        s = (self.u(x[:, 0]) * self.i(x[:, 1])).sum(1, keepdim=True)
        return (torch.cat([s, s ** 2, torch.tanh(s)], 1) * self.w.softmax(0)).sum(1) + 3
po = Learner(dls, filled(Poly()), loss_func=MSELossFlat()); po.fit(2, 1e-2); close_po = losses(po)
# %%
class Deep(nn.Sequential):
    def __init__(self): super().__init__(Lambda(lambda x: x.float() / 50), nn.Linear(2, 8), nn.Mish(), nn.Linear(8, 1), SigmoidRange(0, 5.5))
de = Learner(dls, filled(Deep()), loss_func=MSELossFlat()); de.fit(2, 1e-2); close_de = losses(de)
# %%
class AutoRec(Module):
    "rows of the matrix of ratings, looked up by user"
    def __init__(self, R, h=8): self.register_buffer('R', R); self.enc, self.dec = nn.Linear(R.shape[1], h), nn.Linear(h, R.shape[1])
    def forward(self, x): return self.dec(torch.sigmoid(self.enc(self.R[x[:, 0]]))).gather(1, x[:, 1:2])
R = torch.zeros(n_users, n_items); R[tr.user.values, tr.title.values] = torch.tensor(tr.rating.values).float()
ar = Learner(dls, filled(AutoRec(R)), loss_func=MSELossFlat(), metrics=rmse); ar.fit(2, 1e-2, wd=0.01); close_ar = losses(ar)
# %%
table = pd.DataFrame({n: {'params': total_params(l.model)[0], 'loss': float(l.validate()[0])} for n, l in dict(gmf=gmf, mlp=mlp, nmf=nmf, fm=fm, tt=tt, spp=spp, hy=hy, ar=ar).items()}).T; table
# %%
close_table = table.loss.tolist()
# %%
for l in (gmf, nmf, tt): l.save(f'{type(l.model).__name__}')
sorted(p.stem for p in Path('models').iterdir())
# %%
clone = Learner(dls, NeuMF(n_users, n_items), loss_func=MSELossFlat(), metrics=[mae]); clone.load('NeuMF'); close_clone = [float(v) for v in clone.validate()]
# %%
tt.summary()
# %%
nmf.model.layers, nmf.model.out.weight.shape, nmf.layers[0].in_features
# %%
mlp.freeze(); [p.requires_grad for p in mlp.model.parameters()].count(True)
# %%
def split_emb(m): return [list(m.embedding_user.parameters()) + list(m.embedding_item.parameters()), list(m.fc_layers.parameters()) + list(m.affine_output.parameters())]
ml2 = Learner(dls, filled(MLP(config)), loss_func=MSELossFlat(), splitter=split_emb); ml2.fit_one_cycle(1, slice(1e-3, 1e-2)); close_ml2 = losses(ml2); ml2.freeze(); [len(g) for g in ml2.opt.param_lists]
# %%
ml2.fit(1, 1e-2); close_frozen = losses(ml2)
# %%
ml2.unfreeze(); ml2.fit_one_cycle(1, lr_max=slice(1e-4, 1e-2), pct_start=.5); close_unfrozen = losses(ml2); [round(h['lr'], 8) for h in ml2.opt.hypers]
# %%
def reg_loss(p, t): return F.mse_loss(p.squeeze(-1), t.squeeze(-1).float()) + 1e-3 * sum((q ** 2).sum() for q in nmf2.model.parameters())
nmf2 = Learner(dls, filled(NeuMF(n_users, n_items)), loss_func=reg_loss); nmf2.fit(2, 1e-2, wd=0); close_reg = losses(nmf2)
# %%
nmf3 = Learner(dls, filled(NeuMF(n_users, n_items)), loss_func=MSELossFlat(), opt_func=partial(SGD, mom=.9)); nmf3.fit(2, 1e-1, wd=0); close_sgd = losses(nmf3)
# %%
nmf4 = Learner(dls, filled(NeuMF(n_users, n_items)), loss_func=MSELossFlat(), opt_func=partial(OptimWrapper, opt=torch.optim.AdamW)); nmf4.fit_one_cycle(2, 1e-2); close_adamw = losses(nmf4)
# %%
nmf5 = Learner(dls, filled(NeuMF(n_users, n_items)), loss_func=MSELossFlat(), opt_func=partial(RMSProp, sqr_mom=.9)); nmf5.fit(1, 1e-3); nmf5.fit(1, 1e-3, reset_opt=True); close_rms = losses(nmf5)
