# %% a course notebook of the first years, moved to the second library: many helpers, plots, old habits
ratings.columns = ['userId', 'movieId', 'rating', 'timestamp']; movies.columns = ['movieId', 'title']; series2cat = None; path = Path('.'); path
# %%
ratings = ratings.merge(movies, on='movieId'); ratings.rename(columns={'title': 'name'}, inplace=True); g = ratings.groupby('userId')['rating'].count(); topUsers = g.sort_values(ascending=False)[:15]; g = ratings.groupby('name')['rating'].count(); topMovies = g.sort_values(ascending=False)[:15]
top_r = ratings.join(topUsers, rsuffix='_r', how='inner', on='userId'); top_r = top_r.join(topMovies, rsuffix='_r2', how='inner', on='name'); pd.crosstab(top_r.userId, top_r.name, top_r.rating, aggfunc='sum').shape
# %%
u_uniq = ratings.userId.unique(); user2idx = {o: i for i, o in enumerate(u_uniq)}; ratings['uidx'] = ratings.userId.apply(lambda x: user2idx[x]); m_uniq = ratings.name.unique(); movie2idx = {o: i for i, o in enumerate(m_uniq)}; ratings['midx'] = ratings.name.apply(lambda x: movie2idx[x]); n_users, n_movies = int(ratings.userId.nunique()), int(ratings.name.nunique()); n_users, n_movies
# %%
a, b = T([[1., 2], [3, 4]]) if 'T' in globals() else tensor([[1., 2], [3, 4]]), tensor([[2., 2], [10, 10]]); a * b, (a * b).sum(1)
# %%
class DotProductOld(nn.Module):
    def forward(self, u, m): return (u * m).sum(1)
DotProductOld()(a, b)
# %%
try: data = CollabDataBunch.from_df(ratings, seed=42)
except NameError: data = CollabDataLoaders.from_df(ratings[['userId', 'name', 'rating']], seed=42, valid_pct=.1, bs=64)
data.show_batch()
# %%
data.train.__class__.__name__ != '', len(data.valid)
# %%
len(data.train_ds), len(data.valid_ds), data.path, data.bs
# %%
y_range = [0, 5.5]; learn = collab_learner(data, n_factors=20, y_range=y_range, wd=1e-1); learn.model
# %%
learn.lr_find(); plt.close('all')
# %%
learn.recorder.plot_lr_find(skip_end=5); plt.close('all')
# %%
learn.fit_one_cycle(3, 5e-3)
# %%
learn.save('dotprod'); learn.load('dotprod');
# %%
learn.recorder.plot_loss(); plt.close('all'); [float(l_) for l_ in learn.recorder.losses][-1] > 0
# %%
learn.validate()[0], len(learn.recorder.losses), learn.recorder.metrics
# %%
g = ratings.groupby('name')['rating'].count(); top_movies = g.sort_values(ascending=False).index.values[:30]; top_movies[:10]
# %%
movie_bias = learn.model.bias(top_movies, is_item=True); movie_bias.shape
# %%
mean_ratings = ratings.groupby('name')['rating'].mean(); movie_ratings = [(b, i, mean_ratings.loc[i]) for i, b in zip(top_movies, movie_bias)]; item0 = lambda o: o[0]; sorted(movie_ratings, key=item0)[:3] != []
# %%
sorted(movie_ratings, key=lambda o: o[0], reverse=True)[:15].__len__()
# %%
movie_w = learn.model.weight(top_movies, is_item=True); movie_w.shape
# %%
movie_pca = movie_w.pca(3); movie_pca.shape
# %%
fac0, fac1, fac2 = movie_pca.t(); movie_comp = [(f, i) for f, i in zip(fac0, top_movies)]; sorted(movie_comp, key=itemgetter(0), reverse=True)[:10].__len__()
# %%
idxs = np.random.choice(len(top_movies), 20, replace=False); idxs = list(range(20)); X = fac0[idxs]; Y = fac2[idxs]; plt.figure(figsize=(5, 5)); plt.scatter(X, Y)
for i, x, y in zip(top_movies[idxs], X, Y): plt.text(x, y, i, color=np.random.rand(3) * .7, fontsize=11)
plt.show(); plt.close('all')
# %%
class EmbeddingDotBiasOld(nn.Module):
    def __init__(self, n_users, n_movies, n_factors=10, min_score=.5, max_score=5.5):
        super().__init__()
        (self.u, self.m, self.ub, self.mb) = [self.get_emb(*o) for o in [(n_users, n_factors), (n_movies, n_factors), (n_users, 1), (n_movies, 1)]]; self.lo, self.hi = min_score, max_score
    def get_emb(self, ni, nf): e = nn.Embedding(ni, nf); e.weight.data.uniform_(-.01, .01); return e
    def forward(self, cats, conts=None):
        users, movies_ = cats[:, 0], cats[:, 1]; um = (self.u(users) * self.m(movies_)).sum(1); res = um + self.ub(users).squeeze() + self.mb(movies_).squeeze(); return torch.sigmoid(res) * (self.hi - self.lo) + self.lo
model = EmbeddingDotBiasOld(len(data.classes['userId']), len(data.classes['name'])); l2 = Learner(data, model, loss_func=MSELossFlat(), metrics=[rmse]); l2.fit(2, 1e-2, wd=2e-4); len(l2.recorder.values)
# %%
class EmbeddingNet(nn.Module):
    def __init__(self, n_users, n_movies, n_factors=10, nh=10, p1=.05, p2=.5):
        super().__init__(); (self.u, self.m) = [nn.Embedding(n, n_factors) for n in (n_users, n_movies)]; self.lin1 = nn.Linear(n_factors * 2, nh); self.lin2 = nn.Linear(nh, 1); self.drop1 = nn.Dropout(p1); self.drop2 = nn.Dropout(p2)
    def forward(self, cats): x = self.drop1(torch.cat([self.u(cats[:, 0]), self.m(cats[:, 1])], dim=1)); x = self.drop2(F.relu(self.lin1(x))); return torch.sigmoid(self.lin2(x)) * 5. + .5
l3 = Learner(data, EmbeddingNet(len(data.classes['userId']), len(data.classes['name'])), loss_func=F.mse_loss, metrics=[mae]); l3.fit(2, 1e-2, wd=1e-5); l3.recorder.values[-1]
# %%
l3.opt_func, l3.loss_func.__name__, l3.metrics
# %%
l3.model.eval(); p = l3.model(data.one_batch()[0]); p.shape, p.requires_grad
# %%
def get_items(c): return np.array(list(data.classes[c]))
get_items('name')[:3], get_items('userId').dtype
# %%
learn.dls.classes['name'].o2i['Film 01 (1951)'] if 'Film 01 (1951)' in learn.dls.classes['name'].o2i else None, type(learn.dls.classes).__name__
# %%
learn.get_preds(ds_idx=1)[0][:3].shape, learn.get_preds()[1].float().mean() > 1
# %%
learn.predict(ratings.iloc[0])[1]
# %%
preds, y = learn.get_preds(); math.sqrt(F.mse_loss(preds, y.float())) > 0, preds.numpy().shape
# %%
import matplotlib.pyplot as plt2; plt2.figure(); sns_like = plt2.hexbin(to_np(preds).ravel(), to_np(y).ravel(), gridsize=10); plt2.close('all')
# %%
user_means = ratings.groupby('userId').rating.mean(); item_means = ratings.groupby('name').rating.mean(); base = ratings.userId.map(user_means) + ratings.name.map(item_means) - ratings.rating.mean(); close_base = float(np.sqrt(((base - ratings.rating) ** 2).mean()))
# %%
learn.unfreeze(); learn.fit_one_cycle(1, 1e-3); learn.freeze_to(-1); bool(learn.opt.hypers[-1]['lr'] > 0)
# %%
learn.fit_one_cycle(1, 5e-3, moms=(.8, .7, .8), div_final=1e4); close_moms = sorted({round(learn.opt.hypers[0]['mom'], 3)})
# %%
cb = learn.recorder; cb.name, cb.learn is learn, learn.cbs.map(lambda c: c.name)
# %%
learn.callback = None if False else 1; learn.model_dir, learn.path, learn.wd, learn.train_bn
# %%
learn.purge() if hasattr(learn, 'purge') and False else None; learn.export('old.pkl'); load_learner(path/'old.pkl').dls.classes['name'][:2]
# %%
learn.model.u_weight, learn.u_weight.weight.shape, learn.i_bias
# %%
learn.model.u_weight.weight.data[0].abs().sum() >= 0, list(learn.model.children())[0], [len(p) for p in learn.model.parameters()]
# %%
params_n = [n for n, _ in learn.model.named_parameters()]; params_n
# %%
nnl = collab_learner(data, use_nn=True, layers=[50], emb_szs={'userId': 10, 'name': 10}, y_range=y_range, wd=1e-2); nnl.fit_one_cycle(2, 5e-3); nnl.model.layers[0], nnl.model.embeds
# %%
nnl = collab_learner(data, use_nn=True, emb_szs={'userId': 8}, layers=[16, 8], y_range=y_range, config=tabular_config(ps=.1) if False else None); nnl.model
# %%
emb_name = {c: nnl.model.embeds[i].weight.shape for i, c in enumerate(data.train_ds.cat_names)}; emb_name
# %%
doc(collab_learner) if False else None; collab_learner.__name__, inspect.signature(collab_learner).parameters.keys() >= {'dls', 'n_factors', 'use_nn', 'y_range'}
