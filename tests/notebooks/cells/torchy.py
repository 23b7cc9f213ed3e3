# %% plain torch over what the library made: loops, optimizers, averaging, pruning, hooks, ranking, retrieval
from torch import nn, optim
from torch.utils.data import DataLoader as TDL, TensorDataset, WeightedRandomSampler
import torch.nn.functional as F
set_seed(3); dls = CollabDataLoaders.from_df(ratings, bs=64, seed=42, shuffle=False); nu, ni = len(dls.classes['user']), len(dls.classes['movie'])
def filled(m, scale=0.3):
    with torch.no_grad():
        for i, p in enumerate(m.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() * 0.37 + i).view_as(p) * scale)
    return m
learn = collab_learner(dls, n_factors=8, y_range=(.5, 5.5), metrics=[rmse]); filled(learn.model); close_0 = [float(v) for v in learn.validate()]
# %%
model = learn.model; optimizer = optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-4); criterion = nn.MSELoss(); hist = []
for epoch in range(2):
    model.train(); total = 0.
    for xb, yb in dls.train:
        optimizer.zero_grad(); out = model(xb); loss = criterion(out, yb.squeeze().float()); loss.backward(); optimizer.step(); total += loss.item() * len(xb)
    model.eval()
    with torch.no_grad(): v = sum(((model(x) - y.squeeze()) ** 2).sum().item() for x, y in dls.valid) / dls.valid.n
    hist.append([total / dls.train.n, v])
close_hist = hist
# %%
close_after = [float(v) for v in learn.validate()]
# %%
learn.fit(1, 5e-3); close_fit = [[float(v) for v in r] for r in learn.recorder.values]
# %%
xb, yb = next(iter(dls.valid)); model.zero_grad(); l = F.mse_loss(model(xb), yb.squeeze(-1).float()); l.backward(); close_grads = [float(p.grad.abs().sum()) for p in model.parameters()]
# %%
torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
# %%
sched = optim.lr_scheduler.StepLR(optimizer, 1, .5); lrs = []
for _ in range(3): optimizer.step(); sched.step(); lrs.append(sched.get_last_lr()[0])
close_lrs = lrs
# %%
ema = deepcopy(model); 
for a, b in zip(ema.parameters(), model.parameters()): a.data.mul_(.9).add_(b.data, alpha=.1)
close_ema = float(sum(p.sum() for p in ema.parameters()))
# %%
from torch.optim.swa_utils import AveragedModel, update_bn
swa = AveragedModel(model); learn.fit(1, 1e-3); swa.update_parameters(learn.model); int(swa.n_averaged), close_swa if False else swa.module(xb).shape
# %%
close_swa = swa(xb)[:3].tolist()
# %%
learn.model.load_state_dict(swa.module.state_dict()); close_swav = [float(v) for v in learn.validate()]
# %%
ds = TensorDataset(torch.tensor(ratings[['user', 'movie']].values), torch.tensor(ratings.rating.values, dtype=torch.float32)); tdl = TDL(ds, batch_size=128, shuffle=True, generator=torch.Generator().manual_seed(0)); close_first = next(iter(tdl))[1][:6].tolist()
# %%
w = 1. / torch.tensor(ratings.groupby('movie').movie.transform('size').values).float(); smp = WeightedRandomSampler(w, 200, generator=torch.Generator().manual_seed(1)); exact_w = [int(i) for i in list(smp)[:8]]
# %%
class MF(nn.Module):
    def __init__(self, nu, ni, k, mu): 
        super().__init__(); self.P, self.Q = nn.Embedding(nu, k), nn.Embedding(ni, k); self.bu, self.bi = nn.Embedding(nu, 1), nn.Embedding(ni, 1); self.mu = mu
        for e in (self.P, self.Q): nn.init.normal_(e.weight, std=.05)
        for e in (self.bu, self.bi): nn.init.zeros_(e.weight)
    def forward(self, u, i): return self.mu + self.bu(u).squeeze(-1) + self.bi(i).squeeze(-1) + (self.P(u) * self.Q(i)).sum(-1)
torch.manual_seed(0); mf = MF(nu, ni, 8, 3.3); opt = optim.SGD(mf.parameters(), lr=.5, momentum=.9)
for x, y in dls.train: opt.zero_grad(); loss = F.mse_loss(mf(x[:, 0], x[:, 1]), y[:, 0].float()); loss.backward(); opt.step()
close_mf = [float(loss), float(mf.P.weight.sum())]
# %%
class Wrap(nn.Module):
    def __init__(self, m): super().__init__(); self.m = m
    def forward(self, x): return self.m(x[:, 0], x[:, 1])
wl = Learner(dls, Wrap(mf), loss_func=MSELossFlat(), metrics=rmse); close_wl = [float(v) for v in wl.validate()]; wl.fit(1, 1e-3, wd=0); close_wl2 = [[float(v) for v in r] for r in wl.recorder.values]
# %%
acts = []
h = wl.model.m.P.register_forward_hook(lambda m, i, o: acts.append(o.shape)); wl.model(xb); h.remove(); acts
# %%
with hook_output(wl.model.m.Q) as hk: wl.model(xb); s = hk.stored
s.shape
# %%
with Hooks([wl.model.m.P, wl.model.m.Q], lambda m, i, o: o.mean().item()) as hs: wl.model(xb); st = hs.stored
len(st), [type(v).__name__ for v in st]
# %%
grads = []
g = wl.model.m.Q.weight.register_hook(lambda g: grads.append(float(g.norm()))); wl.fit(1, 1e-3, wd=0); g.remove(); len(grads) == len(dls.train)
# %%
import torch.nn.utils.prune as prune
pm = deepcopy(wl.model.m); prune.l1_unstructured(pm.Q, 'weight', amount=.5); prune.remove(pm.Q, 'weight'); (pm.Q.weight == 0).float().mean()
# %%
q = torch.quantize_per_tensor(pm.Q.weight.detach(), .01, 0, torch.qint8); q.dequantize().shape
# %%
half = pm.Q.weight.detach().half(); half.dtype, bool((half.float() - pm.Q.weight).abs().max() < 1e-2)
# %%
learn.model.i_weight.weight.grad is None or True, [n for n, p in learn.model.named_parameters()]
# %%
for n, p in learn.model.named_parameters(): print(n, tuple(p.shape), f'{p.norm().item():.2f}')
# %%
{k: v.shape for k, v in learn.model.state_dict().items()}
# %%
learn.model.apply(lambda m: nn.init.normal_(m.weight, 0, .01) if isinstance(m, nn.Embedding) else None); learn.model.u_weight.weight.std() < .02
# %%
learn.model.u_weight = nn.Embedding.from_pretrained(torch.ones(nu, 8) * .1, freeze=True); learn.model.u_weight.weight.requires_grad
# %%
learn.fit(1, 1e-2); torch.equal(learn.model.u_weight.weight, torch.ones(nu, 8) * .1)
# %%
E = F.normalize(wl.model.m.Q.weight.detach(), dim=1); sims = E @ E.T; sims.fill_diagonal_(-1); nn5 = sims.topk(5).indices; nn5.shape
# %%
sub = torch.randperm(ni)[:10]; torch.cdist(E[sub], E).argmin(1).shape, torch.pdist(E[:5]).shape
# %%
U, S_, V = torch.linalg.svd(E, full_matrices=False); close_sv = S_[:3].tolist(); torch.svd_lowrank(E, q=3)[1].shape
# %%
U, S_, V = torch.pca_lowrank(E, q=2); (E - E.mean(0)) @ V[:, :2]
# %%
M = torch.sparse_coo_tensor(torch.tensor(ratings[['user', 'movie']].values.T), torch.tensor(ratings.rating.values, dtype=torch.float32), (61, 41)).coalesce(); torch.sparse.sum(M, 1).to_dense().shape
# %%
mean = torch.zeros(41).scatter_add_(0, torch.tensor(ratings.movie.values), torch.tensor(ratings.rating.values, dtype=torch.float32)) / torch.bincount(torch.tensor(ratings.movie.values), minlength=41).clamp(min=1); close_mean = mean[1:5].tolist()
# %%
def triplet(u, p, n, margin=.2): return F.relu(margin - (mf.P(u) * (mf.Q(p) - mf.Q(n))).sum(1)).mean()
opt = optim.Adagrad(mf.parameters(), lr=.1); torch.manual_seed(5)
for x, y in list(dls.train)[:5]:
    pos = x[y[:, 0] >= 4]; neg = torch.randint(1, ni, (len(pos),)); loss = triplet(pos[:, 0], pos[:, 1], neg); opt.zero_grad(); loss.backward(); opt.step()
close_tr = float(loss)
# %%
params = dict(mf.named_parameters()); from torch.func import functional_call, vmap, grad
functional_call(mf, params, (xb[:3, 0], xb[:3, 1])).shape, vmap(lambda u: (mf.P.weight * u).sum())(mf.P.weight[:2]).shape
# %%
lr_lambda = optim.lr_scheduler.OneCycleLR(optim.Adam(mf.parameters()), max_lr=.01, total_steps=10); lr_lambda.get_last_lr()
# %%
dl_iter = iter(dls.train); b1 = next(dl_iter); b2 = next(dl_iter); exact_b = [b1[0][:2].tolist(), b2[0][:2].tolist()]
# %%
for i, (xb_, yb_) in enumerate(progress_bar(dls.valid, leave=False)): pass
i + 1 == len(dls.valid)
# %%
mb = master_bar(range(2))
for e in mb:
    for b in progress_bar(dls.valid, parent=mb): mb.child.comment = 'x'
    mb.main_bar.comment = f'{e}'
e
# %%
@torch.no_grad()
def score_all(m, u): return m(torch.full((ni,), u), torch.arange(ni))
score_all(mf, 3).argsort(descending=True)[:3].shape
# %%
ckpt = {'epoch': 1, 'model': mf.state_dict(), 'opt': opt.state_dict()}; torch.save(ckpt, 'ck.pt'); c = torch.load('ck.pt', weights_only=False); mf.load_state_dict(c['model']); opt.load_state_dict(c['opt']); c['epoch']
# %%
@patch
def top(self: Learner, u, n=3): x = torch.stack([torch.full((ni - 1,), u), torch.arange(1, ni)], 1); return [self.dls.classes['movie'][int(i) + 1] for i in self.model(x).argsort(descending=True)[:n]]
wl.top(4)
# %%
wl.fit_one_cycle(1, 1e-3, cbs=[]); wl.opt.state_dict()['hypers'] if isinstance(wl.opt.state_dict(), dict) and False else list(wl.opt.state_dict())
# %%
t = tensor([1, 2, 3]); t2 = tensor(1., 2.); t2, tensor(np.array([1, 2])).dtype, tensor([[1., 2]]).shape, TensorBase([1., 2.]).sum() if 'TensorBase' in globals() else None
# %%
to_np(wl.model.m.P.weight[:2]), to_cpu(xb).device, to_float(xb).dtype, one_param(wl.model).shape, num_distrib(), rank_distrib()
# %%
apply(lambda o: o + 1, {'a': tensor(1), 'b': [tensor(2)]}), concat([1], [2, 3]), find_bs((xb, yb)), tensor([3., 1]).detach().requires_grad_().shape
