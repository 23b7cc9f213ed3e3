# %% what to do with a user that came yesterday
set_seed(4); df = ratings.merge(movies); dls = CollabDataLoaders.from_df(df, item_name='title', bs=64, seed=2, shuffle=False)
def filled(m, s=.3):
    with torch.no_grad():
        for i, p in enumerate(m.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() * .37 + i).view_as(p) * s)
    return m
learn = collab_learner(dls, n_factors=6, y_range=(0, 5.5), metrics=rmse); filled(learn.model); learn.fit_one_cycle(3, 1e-2); close_fit = [float(v) for v in learn.recorder.values[-1]]
# %%
m = learn.model; mean_user = m.u_weight.weight.data[1:].mean(0); mean_bias = m.u_bias.weight.data[1:].mean(); close_mean = [*mean_user.tolist(), float(mean_bias)]
# %%
scores = sigmoid_range((mean_user[None] * m.i_weight.weight).sum(1) + mean_bias + m.i_bias.weight.squeeze(), *m.y_range); close_top = [round(float(v), 4) for v in scores[1:].topk(3).values]; scores.shape
# %%
unknown = dls.test_dl(pd.DataFrame({'user': [999, 1000], 'title': df.title.unique()[:2]})); p, t = learn.get_preds(dl=unknown); close_unknown = p.tolist(); p.shape, t
# %%
unknown.items, unknown.one_batch()[0]
# %%
with torch.no_grad(): m.u_weight.weight[0] = mean_user; m.u_bias.weight[0] = mean_bias
close_after_mean = learn.get_preds(dl=unknown)[0].tolist()
# %%
def grow(emb, rows=1, init=None):
    n, k = emb.weight.shape; e = nn.Embedding(n + rows, k); e.weight.data[:n] = emb.weight.data; e.weight.data[n:] = emb.weight.data.mean(0) if init is None else init; return e
m2 = deepcopy(m); m2.u_weight, m2.u_bias = grow(m2.u_weight), grow(m2.u_bias); new = m2.u_weight.num_embeddings - 1; m2
# %%
given = {'Film 03 (1953)': 5, 'Film 11 (1961)': 1, 'Film 20 (1970)': 4}; codes = torch.tensor([dls.classes['title'].o2i[k] for k in given]); y = torch.tensor(list(given.values())).float()
for p in m2.parameters(): p.requires_grad_(False)
vec, b = m2.u_weight.weight[new].clone().requires_grad_(), m2.u_bias.weight[new].clone().requires_grad_(); o = torch.optim.LBFGS([vec, b], max_iter=10)
def closure():
    o.zero_grad(); p = sigmoid_range((vec * m2.i_weight.weight[codes]).sum(1) + b + m2.i_bias.weight[codes, 0], *m2.y_range); l = F.mse_loss(p, y) + .01 * vec.pow(2).sum(); l.backward(); return l
o.step(closure); close_lbfgs = [float(closure()), *vec.tolist()]
# %%
m2.u_weight.weight.data[new] = vec.data; m2.u_bias.weight.data[new] = b.data; m2(torch.tensor([[new, 1], [new, 2]]))
# %%
A = m.i_weight.weight.data[codes].double(); r = torch.special.logit((y / 5.5).clamp(.02, .98)).double() - m.i_bias.weight.data[codes, 0].double(); ridge = torch.linalg.solve(A.T @ A + .1 * torch.eye(6).double(), A.T @ r); close_ridge = ridge.tolist(); ridge.dtype
# %%
l2 = Learner(dls, m2, loss_func=MSELossFlat(), metrics=rmse); l2.validate(); [p.requires_grad for p in l2.model.parameters()]
# %%
for p in l2.model.parameters(): p.requires_grad_(True)
l2.fit(1, 1e-3); l2.model.u_weight.weight.shape, l2.opt.param_lists[0][0].shape; close_l2 = [float(v) for v in l2.recorder.values[-1]]
# %%
class Side(Module):
    "item vectors from a table of genres, users as before"
    def __init__(self, nu, feats, k=6): self.register_buffer('feats', feats); self.u = Embedding(nu, k); self.g = nn.Linear(feats.shape[1], k, bias=False); self.b = nn.Linear(feats.shape[1], 1)
    def forward(self, x): f = self.feats[x[:, 1]]; return sigmoid_range((self.u(x[:, 0]) * self.g(f)).sum(1) + self.b(f).squeeze(1), 0, 5.5)
feats = torch.eye(5)[torch.arange(len(dls.classes['title'])) % 5]; sl = Learner(dls, filled(Side(len(dls.classes['user']), feats)), loss_func=MSELossFlat(), metrics=[rmse, mae]); sl.fit(2, 1e-2); close_side = [float(v) for v in sl.recorder.values[-1]]
# %%
sl.model.feats.shape, [n for n, _ in sl.model.named_buffers()], len(sl.model.state_dict()); sl.save('side'); sl.load('side').model.g
# %%
pop = df.groupby('title').rating.agg(['mean', 'count']); C = pop['count'].mean(); pop['bayes'] = (C * df.rating.mean() + pop['mean'] * pop['count']) / (C + pop['count']); close_pop = pop.sort_values('bayes', ascending=False).bayes.head(4).tolist(); pop.shape
# %%
fav = df.query('user == 5 and rating >= 4').title.tolist(); center = learn.model.weight(fav).mean(0, keepdim=True); sims = nn.CosineSimilarity(dim=1)(learn.model.i_weight.weight, center); [dls.classes['title'][int(i)] for i in sims.argsort(descending=True)[:3]].__len__()
# %%
dl2 = dls.test_dl(pd.DataFrame({'user': [5] * 3, 'title': list(dls.classes['title'])[1:4], 'rating': [3, 3, 3]}), with_labels=True); pp, tt = learn.get_preds(dl=dl2); pp.shape, tt.shape
# %%
close_dl2 = [float(v) for v in learn.validate(dl=dl2)]; len(dl2), dl2.n, dl2.bs
# %%
more = pd.concat([df, pd.DataFrame({'user': [61, 61], 'title': fav[:2], 'rating': [5, 4], 'movie': [1, 2], 'timestamp': [0, 0]})], ignore_index=True); d3 = CollabDataLoaders.from_df(more, item_name='title', bs=64, seed=2, shuffle=False); l3 = collab_learner(d3, n_factors=6, y_range=(0, 5.5))
old = {c: i for i, c in enumerate(dls.classes['user'])}; idx = torch.tensor([old.get(c, 0) for c in d3.classes['user']])
with torch.no_grad(): l3.model.u_weight.weight.copy_(m.u_weight.weight[idx]); l3.model.u_bias.weight.copy_(m.u_bias.weight[idx]); l3.model.i_weight.weight.copy_(m.i_weight.weight); l3.model.i_bias.weight.copy_(m.i_bias.weight)
close_moved = float(l3.validate()[0]); len(d3.classes['user']) - len(dls.classes['user'])
# %%
l3.model.i_weight.requires_grad_(False); l3.model.i_bias.requires_grad_(False); before = l3.model.i_weight.weight.clone(); l3.fit(1, 1e-2); torch.equal(before, l3.model.i_weight.weight), not torch.equal(l3.model.u_weight.weight, m.u_weight.weight[idx])
# %%
[len(g) for g in l3.opt.param_lists], sum(p.numel() for p in l3.model.parameters() if p.requires_grad), l3.summary().count('False') > 0 if isinstance(l3.summary(), str) else 0
# %%
learn.model.eval(); a = learn.model(torch.tensor([[3, 4]])); b_ = learn.predict(pd.Series({'user': dls.classes['user'][3], 'title': dls.classes['title'][4]}))[2]; abs(float(a) - float(b_)) < 1e-5, a.shape, b_.shape, a.requires_grad, b_.requires_grad
