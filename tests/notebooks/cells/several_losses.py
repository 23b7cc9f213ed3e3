# %% several losses: ranking beside rating, uncertainty weights, contrastive pairs, adversarial fairness, debiasing by propensities
from fastai.collab import *
from fastai.tabular.all import *
df = ratings.merge(movies); dls = CollabDataLoaders.from_df(df, item_name='title', bs=64, seed=42, shuffle=False); NU, NI = [len(c) for c in dls.classes.values()]
def filled(m, s=.3):
    for k, q in enumerate(m.parameters()): q.data = (torch.sin(torch.arange(q.numel()) * .37 + k) * s).view_as(q)
    return m
def vals(l): return [[float(v) for v in r] for r in l.recorder.values]
class Dot(Module):
    def __init__(self, k=6): self.u, self.i, self.bu, self.bi = Embedding(NU, k), Embedding(NI, k), Embedding(NU, 1), Embedding(NI, 1)
    def forward(self, x): return 3.3 + (self.u(x[:, 0]) * self.i(x[:, 1])).sum(1) + self.bu(x[:, 0])[:, 0] + self.bi(x[:, 1])[:, 0]
exact_n = [NU, NI]
# %% two heads, weights learned (Kendall)
class TwoHeads(Module):
    def __init__(self, k=8): self.u, self.i, self.rate, self.like = Embedding(NU, k), Embedding(NI, k), nn.Linear(k, 1), nn.Linear(k, 1); self.log_vars = nn.Parameter(torch.zeros(2))
    def forward(self, x): z = self.u(x[:, 0]) * self.i(x[:, 1]); return torch.cat([self.rate(z) + 3, self.like(z)], 1)
mt = filled(TwoHeads())
def kendall(p, t): t = t.view(-1).float(); a, b = F.mse_loss(p[:, 0], t), F.binary_cross_entropy_with_logits(p[:, 1], (t > 3).float()); w = torch.exp(-mt.log_vars); return w[0] * a + w[1] * b + mt.log_vars.sum()
def head_rmse(p, t): return F.mse_loss(p[:, 0], t.view(-1).float()).sqrt()
def head_acc(p, t): return ((p[:, 1] > 0) == (t.view(-1) > 3)).float().mean()
l = Learner(dls, mt, loss_func=kendall, metrics=[head_rmse, head_acc]); l.fit(3, 1e-2); close_kendall = vals(l) + [mt.log_vars.tolist()]
# %% a class of loss with parts remembered
class Parts:
    def __init__(self, a=.7): self.a, self.kept = a, []
    def __call__(self, p, t): mse, l1 = F.mse_loss(p, t.view(-1).float()), F.l1_loss(p, t.view(-1).float()); self.kept.append((mse.item(), l1.item())); return self.a * mse + (1 - self.a) * l1
parts = Parts(); l = Learner(dls, filled(Dot()), loss_func=parts); l.fit(2, 1e-2); close_parts = vals(l) + [list(parts.kept[0]), list(parts.kept[-1])]; len(parts.kept)
# %% pairs within the batch
def bpr_in_batch(p, t): t = t.view(-1).float(); d, s = p.unsqueeze(1) - p.unsqueeze(0), (t.unsqueeze(1) > t.unsqueeze(0)).float(); return -(F.logsigmoid(d) * s).sum() / s.sum().clamp(min=1)
l = Learner(dls, filled(Dot()), loss_func=lambda p, t: F.mse_loss(p, t.view(-1).float()) + .3 * bpr_in_batch(p, t)); l.fit(2, 1e-2); close_pairs = vals(l)
# %% listwise by user, inside a batch
class WithUser(Dot):
    def forward(self, x): self.seen = x[:, 0]; return super().forward(x)
wu = filled(WithUser())
def listnet(p, t):
    loss = 0.; t = t.view(-1).float()
    for u in wu.seen.unique()[:10]: m = wu.seen == u; loss = loss - (F.softmax(t[m], 0) * F.log_softmax(p[m], 0)).sum()
    return loss / 10
l = Learner(dls, wu, loss_func=listnet); l.fit(1, 1e-2); close_list = vals(l)
# %% propensities
pop = df.title.value_counts(normalize=True); prop = torch.tensor([1.] + [float(pop[t]) ** .5 for t in list(dls.classes['title'])[1:]]); prop = prop / prop.max()
class IPS(Dot):
    def forward(self, x): return torch.stack([super().forward(x), 1 / prop[x[:, 1]].clamp(min=.05)], 1)
def ips(p, t): return (p[:, 1].detach() * (p[:, 0] - t.view(-1)) ** 2).mean()
l = Learner(dls, filled(IPS()), loss_func=ips, metrics=[lambda p, t: F.mse_loss(p[:, 0], t.view(-1).float()).sqrt()]); l.fit(2, 1e-2); close_ips = vals(l)
# %% gradient reversal
class Rev(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, lam): ctx.lam = lam; return x.view_as(x)
    @staticmethod
    def backward(ctx, g): return -ctx.lam * g, None
group = (torch.arange(NU) % 2).float()
class Fair(Module):
    def __init__(self, k=6): self.d, self.adv = Dot(k), nn.Linear(k, 1)
    def forward(self, x): return torch.stack([self.d(x), self.adv(Rev.apply(self.d.u(x[:, 0]), .5))[:, 0], group[x[:, 0]]], 1)
def fair(p, t): return F.mse_loss(p[:, 0], t.view(-1).float()) + F.binary_cross_entropy_with_logits(p[:, 1], p[:, 2])
l = Learner(dls, filled(Fair()), loss_func=fair); l.fit(2, 1e-2); close_fair = vals(l)
# %% contrastive: two views of the batch
def nt_xent(a, b, tau=.5): z = F.normalize(torch.cat([a, b]), dim=1); s = z @ z.T / tau; s.fill_diagonal_(-1e9); n = len(a); y = torch.cat([torch.arange(n) + n, torch.arange(n)]); return F.cross_entropy(s, y)
class SSL(Dot):
    def forward(self, x): out = super().forward(x); u = self.u(x[:, 0]); self.ssl = nt_xent(u * 1.1, u * .9 + .01); return out
ssl = filled(SSL()); l = Learner(dls, ssl, loss_func=lambda p, t: F.mse_loss(p, t.view(-1).float()) + .1 * ssl.ssl); l.fit(1, 1e-2); close_ssl = vals(l)
# %% evidential, mixture, quantiles: more than one number for a rating
class Gauss(Dot):
    def __init__(self, k=6): super().__init__(k); self.lv = Embedding(NI, 1)
    def forward(self, x): return torch.stack([super().forward(x), self.lv(x[:, 1])[:, 0]], -1)
def nll(p, t): mu, lv = p.unbind(-1); return (.5 * lv + .5 * (t.view(-1) - mu) ** 2 * torch.exp(-lv)).mean()
l = Learner(dls, filled(Gauss()), loss_func=nll); l.fit(2, 1e-2); close_gauss = vals(l); p, t = l.get_preds(); z = ((t.view(-1) - p[:, 0]) / (p[:, 1] / 2).exp()); close_z = [float(z.mean()), float(z.std())]
# %%
class Quant(Dot):
    def __init__(self, k=6): super().__init__(k); self.w = nn.Parameter(torch.tensor([-.5, 0., .5]))
    def forward(self, x): return super().forward(x)[:, None] + self.w
def pinball(p, t, q=torch.tensor([.1, .5, .9])): e = t.view(-1, 1) - p; return torch.maximum(q * e, (q - 1) * e).mean()
l = Learner(dls, filled(Quant()), loss_func=pinball); l.fit(2, 1e-2); close_quant = vals(l); p, t = l.get_preds(); close_cover = float(((t >= p[:, :1]) & (t <= p[:, 2:])).float().mean())
# %% mixed batches by a callback
class MyMixUp(Callback):
    "embeddings mixed in the batch"
    def __init__(self, lam=.8): self.lam = lam
    def before_batch(self):
        if self.training: self.perm = torch.arange(len(self.y) - 1, -1, -1); self.learn.yb = (self.y * self.lam + self.y[self.perm] * (1 - self.lam),)
    def after_pred(self):
        if self.training: self.learn.pred = self.pred * self.lam + self.pred[self.perm] * (1 - self.lam)
l = Learner(dls, filled(Dot()), loss_func=MSELossFlat(), cbs=MyMixUp(), metrics=rmse); l.fit(2, 1e-2); close_mix = vals(l)
# %%
class Noise(Callback):
    def after_step(self):
        with torch.no_grad(): self.model.u.weight.mul_(.999)
l = Learner(dls, filled(Dot()), loss_func=MSELossFlat(), cbs=[Noise()]); l.fit(2, 1e-2); close_noise = vals(l)
# %%
class SAM(Callback):
    "sharpness-aware steps"
    def __init__(self, rho=.05): self.rho = rho
    def before_step(self):
        g = [p.grad.detach().clone() for p in self.model.parameters()]; n = torch.stack([o.norm() for o in g]).norm() + 1e-9; e = [o * self.rho / n for o in g]
        with torch.no_grad(): [p.add_(d) for p, d in zip(self.model.parameters(), e)]
        self.model.zero_grad(); self.learn.loss_func(self.model(*self.xb), *self.yb).backward()
        with torch.no_grad(): [p.sub_(d) for p, d in zip(self.model.parameters(), e)]
l = Learner(dls, filled(Dot()), loss_func=MSELossFlat(), cbs=SAM(), opt_func=SGD); l.fit(1, .1); close_sam = vals(l)
# %%
class Orth(Callback):
    def after_loss(self): w = self.model.i.weight; self.learn.loss_grad = self.loss_grad + 1e-3 * (w.T @ w - torch.eye(w.shape[1])).pow(2).sum()
l = Learner(dls, filled(Dot()), loss_func=MSELossFlat(), cbs=Orth()); l.fit(2, 1e-2); close_orth = vals(l)
# %%
class Balance(nn.Module):
    def __init__(self): super().__init__(); c = torch.bincount(torch.tensor(df.rating.values), minlength=6).float(); self.register_buffer('w', c.sum() / c.clamp(min=1) / 6)
    def forward(self, p, t): w = self.w[t.view(-1).long()]; return (w * (p - t.view(-1)) ** 2).sum() / w.sum()
l = Learner(dls, filled(Dot()), loss_func=Balance(), metrics=[rmse]); l.fit(2, 1e-2); close_bal = vals(l)
# %%
l.loss_func, list(l.loss_func.buffers())[0].shape, l.get_preds()[0].shape
# %%
def corr(p, t): p, t = p.view(-1) - p.mean(), t.view(-1).float() - t.float().mean(); return (p * t).sum() / (p.norm() * t.norm())
l.metrics = L(AccumMetric(corr, flatten=False), R2Score(), rmse); close_corr = [float(v) for v in l.validate()]
