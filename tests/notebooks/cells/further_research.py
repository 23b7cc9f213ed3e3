# %% the further research of the chapter: everything again without help, then ratings as classes
from collections import defaultdict
set_seed(42, reproducible=True)
df = ratings.merge(movies); df.head()
# %%
crosstab = df.pivot_table(values='rating', index='user', columns='title', aggfunc='mean'); crosstab.iloc[:4, :3].shape
# %%
last_skywalker = np.array([0.98, 0.9, -0.9]); user1 = np.array([0.9, 0.8, -0.6]); close_dot = float((user1 * last_skywalker).sum()); user1 @ last_skywalker
# %%
dls = CollabDataLoaders.from_df(df, item_name='title', bs=64, seed=1, shuffle=False); dls.show_batch(); dls
# %%
n_users, n_movies, n_factors = len(dls.classes['user']), len(dls.classes['title']), 5
user_factors = torch.randn(n_users, n_factors); movie_factors = torch.randn(n_movies, n_factors); one_hot_3 = one_hot(3, n_users).float(); torch.allclose(user_factors.t() @ one_hot_3, user_factors[3])
# %%
def create_params(size): return nn.Parameter(torch.zeros(*size).normal_(0, 0.01))
class T(Module):
    def __init__(self): self.a = torch.ones(3)
class T2(Module):
    def __init__(self): self.a = nn.Parameter(torch.ones(3)); self.b = nn.Linear(1, 3, bias=False)
L(T().parameters()), L(T2().parameters()), type(T2().b.weight).__name__
# %%
class DotProductBias(Module):
    def __init__(self, n_users, n_movies, n_factors, y_range=(0, 5.5)):
        self.user_factors = create_params([n_users, n_factors]); self.user_bias = create_params([n_users])
        self.movie_factors = create_params([n_movies, n_factors]); self.movie_bias = create_params([n_movies]); self.y_range = y_range
    def forward(self, x):
        users, movies = self.user_factors[x[:, 0]], self.movie_factors[x[:, 1]]
        res = (users * movies).sum(dim=1); res += self.user_bias[x[:, 0]] + self.movie_bias[x[:, 1]]
        return sigmoid_range(res, *self.y_range)
model = DotProductBias(n_users, n_movies, 8); learn = Learner(dls, model, loss_func=MSELossFlat()); learn.fit_one_cycle(2, 5e-3, wd=0.1); close_own = [float(v) for v in learn.recorder.values[-1]]
# %%
model
# %%
movie_bias = learn.model.movie_bias.squeeze(); idxs = movie_bias.argsort()[:5]; [dls.classes['title'][i] for i in idxs].__len__(), movie_bias.requires_grad
# %%
class DotClass(Module):
    "five numbers for each pair, one a class"
    def __init__(self, nu, nm, k, c): self.u = Embedding(nu, k); self.m = Embedding(nm, k); self.lin = nn.Linear(k, c); self.ub = Embedding(nu, c); self.mb = Embedding(nm, c)
    def forward(self, x): return self.lin(self.u(x[:, 0]) * self.m(x[:, 1])) + self.ub(x[:, 0]) + self.mb(x[:, 1])
class RatingCE(Module):
    def forward(self, p, t): return F.cross_entropy(p, t.squeeze(-1).long() - 1)
def class_acc(p, t): return (p.argmax(1) + 1 == t.squeeze(-1)).float().mean()
def class_rmse(p, t): return ((p.softmax(1) @ torch.arange(1., 6.) - t.squeeze(-1).float()) ** 2).mean().sqrt()
ce = Learner(dls, DotClass(n_users, n_movies, 8, 5), loss_func=RatingCE(), metrics=[class_acc, class_rmse]); ce.fit_one_cycle(2, 1e-2); close_ce = [float(v) for v in ce.recorder.values[-1]]; ce.recorder.metric_names
# %%
probs, targs = ce.get_preds(); probs.shape, targs.shape, probs.softmax(1).sum(1).shape
# %%
exp = (probs.softmax(1) * torch.arange(1, 6)).sum(1); close_exp = float(exp.mean()); exp.shape, pd.crosstab(targs.squeeze().numpy(), (probs.argmax(1) + 1).numpy()).index.tolist()
# %%
ce.loss_func(probs, targs), ce.loss_func
# %%
df['stars'] = df.rating.map({1: 'one', 2: 'two', 3: 'three', 4: 'four', 5: 'five'}); order = ['one', 'two', 'three', 'four', 'five']
to = TabularPandas(df, procs=[Categorify], cat_names=['user', 'title'], y_names='stars', y_block=CategoryBlock(vocab=order, sort=False), splits=RandomSplitter(seed=3)(range_of(df))); cdls = to.dataloaders(bs=64); cdls.vocab, cdls.c
# %%
tl = tabular_learner(cdls, layers=[20], metrics=[accuracy, error_rate]); tl.fit_one_cycle(1, 1e-2); tl.loss_func, tl.recorder.metric_names
# %%
tl.predict(df.iloc[5])[1:], tl.show_results(max_n=2)
# %%
p, t, d = tl.get_preds(with_decoded=True); p.shape, d.shape, t.shape, [cdls.vocab[i] for i in d[:2]]
# %%
def bootstrap_user(answers, learn):
    "the mean of those who gave the same answers"
    ok = df.groupby('user').apply(lambda g: all(g[g.title == t].rating.mean() >= r for t, r in answers.items() if t in set(g.title)), include_groups=False); who = ok[ok].index
    return learn.model.user_factors[[dls.classes['user'].o2i[u] for u in who]].mean(0)
v = bootstrap_user({'Film 03 (1953)': 4}, learn); v.shape, v.requires_grad, (learn.model.movie_factors @ v).topk(3).indices.shape
# %%
for rng in (None, (0, 5), (0, 5.5), (1, 5)):
    l = collab_learner(dls, n_factors=5, y_range=rng); l.fit(1, 5e-3); print(rng, float(l.recorder.values[-1][1]))
l.model.y_range
# %%
class NoBias(Module):
    def __init__(self, k=5, y_range=None): self.u, self.i, self.y_range = Embedding(n_users, k), Embedding(n_movies, k), y_range
    def forward(self, x):
        r = (self.u(x[:, 0]) * self.i(x[:, 1])).sum(dim=1)
        return sigmoid_range(r, *self.y_range) if self.y_range else r
res = {}
for name, m in {'none': NoBias(), 'range': NoBias(y_range=(0, 5.5)), 'bias': EmbeddingDotBias(5, n_users, n_movies, y_range=(0, 5.5))}.items():
    l = Learner(dls, m, loss_func=MSELossFlat(), metrics=rmse)
    with l.no_bar(): l.fit_one_cycle(1, 1e-2)
    res[name] = l.recorder.values[-1]
pd.DataFrame(res, index=['train', 'valid', 'rmse']).T
# %%
embs = get_emb_sz(dls.train_ds); embs2 = get_emb_sz(dls); embs, embs2
# %%
class CollabNN(Module):
    def __init__(self, user_sz, item_sz, y_range=(0, 5.5), n_act=100):
        self.user_factors = Embedding(*user_sz); self.item_factors = Embedding(*item_sz)
        self.layers = nn.Sequential(nn.Linear(user_sz[1] + item_sz[1], n_act), nn.ReLU(), nn.Linear(n_act, 1)); self.y_range = y_range
    def forward(self, x):
        embs = self.user_factors(x[:, 0]), self.item_factors(x[:, 1]); x = self.layers(torch.cat(embs, dim=1)); return sigmoid_range(x, *self.y_range)
nnl = Learner(dls, CollabNN(*embs), loss_func=MSELossFlat()); nnl.fit_one_cycle(1, 5e-3, wd=0.01); nnl.get_preds()[0].shape, nnl.model(dls.one_batch()[0]).shape
# %%
learn = collab_learner(dls, use_nn=True, y_range=(0, 5.5), layers=[100, 50]); learn.fit_one_cycle(1, 5e-3, wd=0.1); type(learn.model).__name__, isinstance(learn.model, TabularModel), learn.model
# %%
@delegates(TabularModel)
class MyEmbeddingNN(TabularModel):
    def __init__(self, emb_szs, layers, **kwargs): super().__init__(emb_szs, layers=layers, n_cont=0, out_sz=1, **kwargs)
m = MyEmbeddingNN(embs, [10], y_range=(0, 5.5), ps=.1, embed_p=.1); ml = Learner(dls, m, loss_func=MSELossFlat()); ml.fit(1, 1e-2); m
