# %% autoencoders on rows of the matrix: Mult-VAE, denoising, KL by callback, ranking measures; graph convolution
from fastai.collab import *
from fastai.tabular.all import *
set_seed(0); nu, ni = ratings.user.nunique(), ratings.movie.nunique(); X = np.zeros((nu, ni), np.float32); X[ratings.user.values - 1, ratings.movie.values - 1] = 1; X.mean().round(2)
# %%
hold = np.random.RandomState(0).rand(nu, ni) < .2; Xtr, Xte = X * ~hold, X * hold; rows = [(tensor(a), tensor(a)) for a in Xtr]; ds, vds = rows[:45], rows[45:]; dls = DataLoaders.from_dsets(ds, vds, bs=15, shuffle=False); [o.shape for o in dls.one_batch()]
# %%
class MultVAE(Module):
    def __init__(self, n, h=12, z=4): self.enc, self.mu, self.lv = nn.Linear(n, h), nn.Linear(h, z), nn.Linear(h, z); self.dec = nn.Sequential(nn.Linear(z, h), nn.Tanh(), nn.Linear(h, n)); self.noise = 0.
    def forward(self, x):
        h = torch.tanh(self.enc(F.normalize(x, dim=1))); mu, lv = self.mu(h), self.lv(h); z = mu + (torch.randn_like(mu) * (.5 * lv).exp() if self.training and self.noise else 0); return self.dec(z), mu, lv
class ELBO:
    beta = .0
    def __call__(self, out, y): logits, mu, lv = out; ll = -(F.log_softmax(logits, 1) * y).sum(1).mean(); kl = -.5 * (1 + lv - mu ** 2 - lv.exp()).sum(1).mean(); return ll + self.beta * kl
class Anneal(Callback):
    def __init__(self, top=.2): self.top = top
    def before_batch(self): self.learn.loss_func.beta = self.top * min(1., 2 * self.pct_train) if self.training else self.top
def filled(m, s=.3):
    for k, q in enumerate(m.parameters()): q.data = (torch.sin(torch.arange(q.numel()) * .37 + k) * s).view_as(q)
    return m
def vals(l): return [[float(v) for v in r] for r in l.recorder.values]
learn = Learner(dls, filled(MultVAE(ni)), loss_func=ELBO(), cbs=Anneal()); learn.fit(4, 1e-2); close_vae = vals(learn)
# %%
learn.loss_func.beta, learn.pred[0].shape if hasattr(learn, 'pred') and learn.pred is not None else None
# %%
out, targ = learn.get_preds(); type(out).__name__, len(out), out[0].shape, targ.shape
# %%
def ndcg(scores, truth, k=5):
    idx = np.argsort(-scores, 1)[:, :k]; gains = np.take_along_axis(truth, idx, 1); disc = 1 / np.log2(np.arange(2, k + 2)); dcg = (gains * disc).sum(1); ideal = np.array([disc[:int(min(n, k))].sum() for n in truth.sum(1)]); return (dcg[ideal > 0] / ideal[ideal > 0]).mean()
with torch.no_grad(): S = learn.model.eval()(tensor(Xtr))[0].numpy(); 
S[Xtr > 0] = -1e9; close_ndcg = float(ndcg(S, Xte))
# %%
class CDAE(Module):
    "a denoising autoencoder with a vector for each user"
    def __init__(self, p=0.): self.drop, self.enc, self.u, self.dec = nn.Dropout(p), nn.Linear(ni, 8), nn.Embedding(nu, 8), nn.Linear(8, ni)
    def forward(self, x, u): return self.dec(torch.sigmoid(self.enc(self.drop(x)) + self.u(u)))
cds = [(tensor(Xtr[i]), i, tensor(Xtr[i])) for i in range(nu)]; cdls = DataLoaders(DataLoader(cds, bs=20, n_inp=2), DataLoader(cds[:20], bs=20, n_inp=2)); cl = Learner(cdls, filled(CDAE()), loss_func=BCEWithLogitsLossFlat()); cl.fit(3, 1e-2); close_cdae = vals(cl)
# %%
cl.get_preds()[0].shape, cl.loss_func.activation(tensor([0.]))
# %%
def masked_mse(p, t): m = t > 0; return ((p - t)[m] ** 2).mean()
Rm = np.zeros((nu, ni), np.float32); Rm[ratings.user - 1, ratings.movie - 1] = ratings.rating; rd = [(tensor(r), tensor(r)) for r in Rm]
class AutoRec(nn.Sequential):
    def __init__(self, n, h=10): super().__init__(nn.Linear(n, h), nn.Sigmoid(), nn.Linear(h, n))
ad = DataLoaders.from_dsets(rd[:48], rd[48:], bs=16, shuffle=False); al = Learner(ad, filled(AutoRec(ni)), loss_func=masked_mse, metrics=[lambda p, t: masked_mse(p, t).sqrt()], wd=.01); al.fit_one_cycle(4, 2e-2); close_auto = vals(al)
# %%
al.model[0].weight.shape, al.recorder.metric_names
# %%
tied = nn.Linear(ni, 8, bias=False)
class Tied(Module):
    def __init__(self): self.w = nn.Parameter(torch.randn(8, ni) * .1); self.b = nn.Parameter(torch.zeros(ni))
    def forward(self, x): return F.linear(torch.sigmoid(F.linear(x, self.w)), self.w.t(), self.b)
tl = Learner(ad, filled(Tied()), loss_func=masked_mse); tl.fit(3, 1e-2); close_tied = vals(tl)
# %% graph convolution
A = np.zeros((nu + ni, nu + ni), np.float32); A[:nu, nu:] = Xtr; A[nu:, :nu] = Xtr.T; d = A.sum(1).clip(1) ** -.5; An = torch.tensor(d[:, None] * A * d[None]).to_sparse(); An.is_sparse, An.shape
# %%
dls2 = CollabDataLoaders.from_df(ratings, bs=64, seed=42, shuffle=False); sz = [len(c) for c in dls2.classes.values()]
class LightGCN(Module):
    def __init__(self, k=6, layers=2): self.e = nn.Embedding(nu + ni, k); self.layers = layers; self.A = An
    def all(self):
        e = self.e.weight; out = [e]
        for _ in range(self.layers): e = torch.sparse.mm(self.A, e); out.append(e)
        return torch.stack(out).mean(0)
    def forward(self, x): e = self.all(); return 3.3 + (e[(x[:, 0] - 1).clamp(min=0)] * e[nu + (x[:, 1] - 1).clamp(min=0)]).sum(1)
gl = Learner(dls2, filled(LightGCN()), loss_func=MSELossFlat(), metrics=rmse); gl.fit(2, 1e-2); close_gcn = vals(gl)
# %%
gl.model.all().shape, gl.get_preds()[0].shape
# %%
class NGCF(Module):
    def __init__(self, k=6): self.e = nn.Embedding(nu + ni, k); self.W = nn.ModuleList([nn.Linear(k, k) for _ in range(2)]); self.A = nn.Parameter(An.to_dense(), requires_grad=False)
    def forward(self, x):
        e = self.e.weight; out = [e]
        for w in self.W: e = F.leaky_relu(w(self.A @ e)); out.append(F.normalize(e, dim=1))
        e = torch.cat(out, 1); return (e[(x[:, 0] - 1).clamp(min=0)] * e[nu + (x[:, 1] - 1).clamp(min=0)]).sum(1, keepdim=True) + 3.
ng = Learner(dls2, filled(NGCF()), loss_func=MSELossFlat(), metrics=rmse); [p.requires_grad for p in ng.model.parameters()].count(False)
# %%
ng.model.A.data = An.to_dense(); ng.fit(2, 1e-2); close_ngcf = vals(ng)
# %%
class Transformer(Module):
    "next film from a history"
    def __init__(self, k=8, n=6): self.e, self.pos = nn.Embedding(ni + 1, k, padding_idx=0), nn.Embedding(n, k); self.enc = nn.TransformerEncoderLayer(k, 2, 16, dropout=0., batch_first=True); self.register_buffer('mask', torch.triu(torch.ones(n, n), 1).bool())
    def forward(self, s): h = self.enc(self.e(s) + self.pos.weight, src_mask=self.mask); return h[:, -1] @ self.e.weight.T
h = ratings.sort_values('timestamp').groupby('user').movie.apply(list); seqs = [(tensor(([0] * 6 + s[:-1])[-6:]), tensor(s[-1])) for s in h]; sd = DataLoaders.from_dsets(seqs[:48], seqs[48:], bs=16, shuffle=False); tr = Learner(sd, filled(Transformer(), .1), loss_func=CrossEntropyLossFlat(), metrics=[accuracy, partial(top_k_accuracy, k=10)]); tr.fit(2, 1e-3); close_tf = vals(tr)
# %%
p, t = tr.get_preds(); p.shape, t.shape, torch.allclose(p.sum(1), torch.ones(len(p)), atol=1e-4)
# %%
tr.recorder.metric_names, tr.loss_func.decodes(p).shape
# %%
class Freeze(Callback):
    def before_epoch(self): self.model.e.weight.requires_grad_(self.epoch > 0)
fr = Learner(sd, filled(Transformer(), .1), loss_func=CrossEntropyLossFlat(), cbs=Freeze()); fr.fit(2, 1e-3); close_fr = vals(fr)
# %%
ng.summary()
