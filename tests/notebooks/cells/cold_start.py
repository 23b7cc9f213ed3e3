# %% cold start in five ways, federated averaging, noise for privacy, active learning, bandits, explanations by gradients
from fastai.collab import *
from fastai.tabular.all import *
set_seed(10); df = ratings.merge(movies); dls = CollabDataLoaders.from_df(df, item_name='title', bs=64, seed=10, shuffle=False); N = [len(c) for c in dls.classes.values()]
def filled(m, s=.3):
    for k, q in enumerate(m.parameters()): q.data = (torch.sin(torch.arange(q.numel()) * .37 + k) * s).view_as(q)
    return m
def vals(l): return [[float(v) for v in r] for r in l.recorder.values]
learn = collab_learner(dls, n_factors=8, y_range=(.5, 5.5), metrics=[rmse]); filled(learn.model); learn.fit_one_cycle(3, 1e-2, wd=.1); close_fit = vals(learn); m = learn.model
# %% averages of tables
avg_u = m.u_weight.weight[1:].mean(0); avg_b = m.u_bias.weight[1:].mean(); s = sigmoid_range(m.i_weight.weight @ avg_u + m.i_bias.weight[:, 0] + avg_b, *m.y_range); close_avg = s[:4].tolist(); s.shape, s.topk(3)
# %% likes of a new person
liked = {'Film 01 (1951)': 5, 'Film 02 (1952)': 1, 'Film 03 (1953)': 4}; idx = tensor([dls.classes['title'].o2i[t] for t in liked]); y = tensor([float(v) for v in liked.values()]); w = nn.Parameter(avg_u.detach().clone()); b = nn.Parameter(torch.zeros(1)); opt = torch.optim.Adam([w, b], lr=.05); hist = []
for _ in range(40): p = sigmoid_range(m.i_weight.weight[idx].detach() @ w + m.i_bias.weight[idx, 0].detach() + b, .5, 5.5); loss = F.mse_loss(p, y) + .01 * w.pow(2).sum(); opt.zero_grad(); loss.backward(); opt.step(); hist.append(loss.item())
close_hist = hist[::10]
# %% ridge in closed form
A = m.i_weight.weight[idx].detach(); r = torch.logit((y.clamp(.6, 5.4) - .5) / 5) - m.i_bias.weight[idx, 0].detach(); wr = torch.linalg.solve(A.T @ A + .1 * torch.eye(8), A.T @ r); close_ridge = wr.tolist()
# %% neighbours who saw the same films
M = df.pivot_table(index='user', columns='title', values='rating'); like = M[list(liked)].sub(pd.Series(liked)).abs().mean(1).nsmallest(5).index; nb = m.weight(list(like), is_item=False).mean(0); nb.shape
# %% more rows and warm weights
new_rows = pd.DataFrame({'user': 999, 'title': list(liked), 'rating': list(liked.values())}); df2 = pd.concat([df[['user', 'title', 'rating']], new_rows], ignore_index=True); dls2 = CollabDataLoaders.from_df(df2, item_name='title', bs=64, valid_pct=.1, seed=1); l2 = collab_learner(dls2, n_factors=8, y_range=(.5, 5.5)); l2.model.i_weight.load_state_dict(m.i_weight.state_dict()); l2.model.i_bias.load_state_dict(m.i_bias.state_dict()); len(dls2.classes['user']), 999 in dls2.classes['user'].o2i
# %%
for p in [*l2.model.i_weight.parameters(), *l2.model.i_bias.parameters()]: p.requires_grad = False
l2.create_opt(); n_tr = sum(p.numel() for p in l2.model.parameters() if p.requires_grad); before = l2.model.i_weight.weight.clone(); l2.fit(2, 1e-2); n_tr, torch.equal(before, l2.model.i_weight.weight)
# %%
l2.predict(new_rows.iloc[0])[2].shape, l2.model.bias([999], is_item=False).shape
# %% federated averaging
parts = [df[df.user % 3 == k].reset_index(drop=True) for k in range(3)]
def client(k, state):
    d = TabularCollab(parts[k], [Categorify], ['user', 'title'], y_names=['rating'], y_block=TransformBlock(), splits=RandomSplitter(seed=k)(parts[k])).dataloaders(bs=32, shuffle=False); U = len(d.classes['user']); l = Learner(d, filled(EmbeddingDotBias(8, U, N[1], y_range=(.5, 5.5))), loss_func=MSELossFlat())
    if state is not None: [getattr(l.model, n).load_state_dict({'weight': v}) for n, v in state.items()]
    l.fit(1, 1e-2); return {n: getattr(l.model, n).weight.detach().clone() for n in ('i_weight', 'i_bias')}, vals(l)[-1]
state, trace = None, []
for r_ in range(2): outs = [client(k, state) for k in range(3)]; state = {n: torch.stack([o[0][n] for o in outs]).mean(0) for n in outs[0][0]}; trace.append([o[1] for o in outs])
close_fed = trace; {k: v.shape for k, v in state.items()}
# %% noise on clipped gradients
class DPSGD(Callback):
    def __init__(self, clip=1., sigma=.0): store_attr()
    def after_backward(self):
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        for p in self.model.parameters():
            if p.grad is not None: p.grad.add_(torch.randn_like(p.grad) * self.sigma * self.clip / self.dls.bs)
ld = collab_learner(dls, n_factors=8, y_range=(.5, 5.5), cbs=DPSGD(.1), opt_func=SGD); filled(ld.model); ld.fit(2, .5); close_dp = vals(ld)
# %% active learning: films whose score is least certain over an ensemble
members = []
for k in range(3): l = collab_learner(dls, n_factors=8, y_range=(.5, 5.5)); filled(l.model, .2 + .1 * k); l.fit(1, 1e-2); members.append(l)
preds = torch.stack([l.get_preds()[0] for l in members]); close_unc = preds.std(0).topk(3).values.tolist(); preds.shape, preds.mean(0).shape
# %%
targs = learn.get_preds()[1].squeeze(); close_ens = [float(rmse(preds.mean(0), targs)), float(rmse(preds[0], targs))]
# %% a bandit over films
rng = np.random.RandomState(0); counts, sums = np.ones(N[1]), np.full(N[1], 3.); base = to_np(s)
for t_ in range(50): ucb = base + sums / counts + np.sqrt(2 * np.log(t_ + 2) / counts); a = int(ucb[1:].argmax()) + 1; counts[a] += 1; sums[a] += rng.normal(3.5, .3)
counts.sum()
# %% gradients by input, integrated
x = torch.tensor([[5, 7]]); m.eval(); u, i = m.u_weight(x[:, 0]).detach().requires_grad_(), m.i_weight(x[:, 1]).detach().requires_grad_(); out = (u * i).sum(); out.backward(); close_grad = u.grad[0, :3].tolist(); u.grad.shape, torch.equal(u.grad, i.detach())
# %%
m.zero_grad(); m(tensor([[5, 7], [6, 8]])).sum().backward(); m.u_weight.weight.grad[5].abs().sum() > 0, m.u_weight.weight.grad[4].abs().sum().item()
# %%
inf = torch.autograd.functional.jacobian(lambda w: sigmoid_range((w * m.i_weight.weight[7].detach()).sum(), .5, 5.5), m.u_weight.weight[5].detach()); inf.shape
# %% ablation of one row: leave it out, train, look
def without(user): d = df[df.user != user].reset_index(drop=True); dd = TabularCollab(d, [Categorify], ['user', 'title'], y_names=['rating'], y_block=TransformBlock(), splits=EndSplitter(.1)(d)).dataloaders(bs=64, shuffle=False); l = collab_learner(dd, n_factors=8, y_range=(.5, 5.5)); filled(l.model); l.fit(1, 1e-2); return float(l.recorder.values[-1][1])
close_without = [without(3), without(4)]
# %% distillation
class Teach(Callback):
    def __init__(self, teacher): self.teacher = teacher.eval()
    def after_pred(self):
        with torch.no_grad(): self.soft = self.teacher(*self.xb)
    def after_loss(self):
        if self.training: self.learn.loss_grad = self.loss_grad * .5 + .5 * F.mse_loss(self.pred, self.soft); self.learn.loss = self.loss_grad.clone()
st = collab_learner(dls, n_factors=3, y_range=(.5, 5.5), cbs=Teach(deepcopy(m))); filled(st.model); st.fit(2, 1e-2); close_student = vals(st)
# %% pruned and rounded
pr = deepcopy(learn.model); thr = pr.i_weight.weight.abs().flatten().quantile(.3); pr.i_weight.weight.data[pr.i_weight.weight.abs() < thr] = 0; lp = Learner(dls, pr, loss_func=MSELossFlat(), metrics=rmse); close_pr = [float(v) for v in lp.validate()]; (pr.i_weight.weight == 0).float().mean()
# %%
q = learn.model.i_weight.weight.detach(); sc = q.abs().max() / 127; q8 = (q / sc).round().to(torch.int8); close_q8 = float((q8.float() * sc - q).abs().max()); q8.dtype
# %%
half = deepcopy(learn.model).double(); half(tensor([[1, 2]])).dtype
# %%
from torch.nn.utils import parameters_to_vector, vector_to_parameters
v = parameters_to_vector(learn.model.parameters()); close_norm = float(v.norm()); vector_to_parameters(v * .9, learn.model.parameters()); close_scaled = [float(o) for o in learn.validate()]; v.shape
# %%
learn.model.apply(lambda mod: nn.init.normal_(mod.weight, std=.01) if isinstance(mod, nn.Embedding) else None); learn.model.i_weight.weight.std().item() < .02
# %%
[(n, tuple(p.shape), p.requires_grad) for n, p in learn.model.named_parameters()], [type(c).__name__ for c in learn.model.children()]
