# %% a student's answers: every line printed, matrices by hand, mistakes caught and explained
print(torch.__version__.split('.')[0], type(dls_ := CollabDataLoaders).__name__); df = pd.merge(ratings, movies, on='movie', how='inner'); assert len(df) == len(ratings)
# %%
dls = CollabDataLoaders.from_df(df, item_name='title', user_name='user', rating_name='rating', bs=50, val_bs=100, seed=99, shuffle=False)
x, y = dls.one_batch(); print(x[:3], y[:3].view(-1)); x.shape, y.shape
# %%
users, items = x[:, 0], x[:, 1]; users.max() < len(dls.classes['user']), [dls.classes['user'][u] for u in users[:2]], [dls.classes['title'][i] for i in items[:2]]
# %%
len(dls.train_ds)
# %%
dls.valid_ds[3:5].__len__() if hasattr(dls.valid_ds, '__getitem__') else 0
# %%
dls.decode(dls.one_batch()) if hasattr(dls, 'decode') else dls.decode_batch(dls.one_batch())
# %%
dls.train.after_item, dls.train.before_batch, dls.train.after_batch, dls.train_ds.procs
# %%
U = torch.randn(len(dls.classes['user']), 5, requires_grad=True); V = torch.randn(len(dls.classes['title']), 5, requires_grad=True); lr = .5; hist = []
for epoch in range(3):
    tot = 0.
    for xb, yb in dls.train:
        p = (U[xb[:, 0]] * V[xb[:, 1]]).sum(1); loss = ((p - yb.squeeze(1)) ** 2).mean(); loss.backward()
        with torch.no_grad(): U -= lr * U.grad; V -= lr * V.grad; U.grad.zero_(); V.grad = None
        tot += loss.item()
    hist.append(tot / len(dls.train))
hist[0] > hist[-1], U.grad.abs().sum() == 0
# %%
class Emb0(Module):
    def __init__(self, n, k): self.weight = nn.Parameter(torch.zeros(n, k).normal_(0, .01))
    def forward(self, i): return self.weight[i]
class Dot(Module):
    def __init__(self, nu, ni, k): store_attr('nu,ni,k'); self.u, self.i = Emb0(nu, k), Emb0(ni, k); self.bias = nn.Parameter(torch.zeros(1))
    def forward(self, xb): return torch.einsum('bk,bk->b', self.u(xb[:, 0]), self.i(xb[:, 1])) + self.bias
m = Dot(len(dls.classes['user']), len(dls.classes['title']), 4); learn = Learner(dls, m, opt_func=SGD, loss_func=MSELossFlat(), metrics=rmse); learn.fit(2, .3); m, m.nu
# %%
try: Learner(dls, m).fit(1); r = 'ran'
except Exception as e: r = type(e).__name__
r
# %%
try: collab_learner(dls, n_factors=5, y_range=(0, 5.5), loss_func=None).fit(1, 'x'); r = 'ran'
except Exception as e: r = 'error'
r
# %%
try: dls.classes['title'].o2i['No such film']; r = 'found'
except KeyError: r = 'KeyError'
r, dls.classes['title'].o2i.get('No such film', 0) if hasattr(dls.classes['title'].o2i, 'get') else 0
# %%
learn = collab_learner(dls, n_factors=5, y_range=(0, 5.5)); before = learn.model.u_weight.weight.clone(); learn.fit_one_cycle(1, 5e-3); (before - learn.model.u_weight.weight).abs().max() > 0
# %%
b1 = [(b, n) for b, n in zip(learn.model.i_bias.weight.squeeze(), dls.classes['title'])]; sorted(b1, key=lambda o: o[0])[:1][0][1] in list(dls.classes['title']), max(b1, key=lambda o: float(o[0]))[0].ndim
# %%
g = df.groupby('title')['rating'].count(); top = g.sort_values(ascending=False).index.values[:12]; idx = tensor([learn.dls.classes['title'].o2i[t] for t in top]); w = learn.model.i_weight.weight[idx].cpu().detach(); pca = w.pca(3); f0, f1, f2 = pca.t(); idxs = list(range(12)); X, Y = f0[idxs], f2[idxs]; plt.figure(figsize=(4, 4)); plt.scatter(X, Y)
for i, xx, yy in zip(top[idxs], X, Y): plt.text(xx, yy, i, color=np.random.rand(3) * 0.7, fontsize=8)
plt.show(); plt.close('all'); w.shape, pca.shape
# %%
mf = learn.model.i_weight.weight; i = dls.classes['title'].o2i['Film 10 (1960)']; d = nn.CosineSimilarity(dim=1)(mf, mf[i][None]); k = d.argsort(descending=True)[1]; dls.classes['title'][k] != 'Film 10 (1960)', k.ndim, d[i] > .99
# %%
e = nn.Embedding(4, 2); e(tensor(1)).shape, e.weight[1].equal(e(tensor([1]))[0]), Embedding(4, 2).weight.std() < .05, Embedding(4, 2, std=1.).weight.shape, embedding_std if 'embedding_std' in globals() else 0
# %%
sigmoid_range(torch.tensor([-100., 0., 100.]), 0, 5.5), SigmoidRange(0, 5.5)(torch.zeros(2)), sigmoid(torch.tensor(0.))
# %%
F.one_hot(tensor([1, 2]), 4), one_hot(2, 4), tensor([1, 2, 3]).float().softmax(0).sum(), mse(tensor([1., 2.]), tensor([1., 4.])), rmse(tensor([1., 2.]), tensor([1., 4.])), mae(tensor([1., 2.]), tensor([1., 4.]))
# %%
parabola = lambda x: x ** 2; xs = torch.linspace(-2, 2, 5); plot_function(parabola, 'w', 'loss') if 'plot_function' in globals() else plt.plot(xs, parabola(xs)); plt.close('all'); wd = .1; xt = tensor(1.5).requires_grad_(); (parabola(xt) + wd * xt ** 2).backward(); close_grad = float(xt.grad)
# %%
for wd in (0., .1, .5):
    l = collab_learner(dls, n_factors=5, y_range=(0, 5.5)); l.fit_one_cycle(1, 5e-3, wd=wd); print(f'wd={wd}: {l.recorder.values[-1][1]:.3f}, norm {l.model.u_weight.weight.norm():.2f}')
# %%
learn.show_training_loop()
# %%
test_eq(len(dls.classes['user']), df.user.nunique() + 1); test_close(sigmoid_range(tensor(0.), 0, 5.5), 2.75); test_fail(lambda: dls.classes['genre']); assert learn.model.u_bias.weight.shape == (df.user.nunique() + 1, 1)
# %%
learn.lr_find(num_it=20, stop_div=False, show_plot=True); plt.close('all')
# %%
print(learn.model.__class__.__name__, sum(p.numel() for p in learn.model.parameters()), sep='\n'); [n for n, p in learn.model.named_parameters()], learn.model.u_weight
