# %% a student's translation of the v3 course: data, learn, cycles, old argument names, everything printed
from fastai import *
from fastai.collab import *
from fastai.tabular import *
from fastai.tabular.all import *
user, item, title = 'userId', 'movieId', 'title'; ratings = ratings.rename(columns={'user': user, 'movie': item}); movies = movies.rename(columns={'movie': item}); path = Path('data'); path.mkdir(exist_ok=True); ratings.to_csv(path / 'ratings.csv', index=False); ratings = pd.read_csv(path / 'ratings.csv'); ratings.head()
# %%
rating_movie = ratings.merge(movies[[item, title]]); rating_movie.head(); len(rating_movie)
# %%
data = CollabDataLoaders.from_df(rating_movie, seed=42, valid_pct=0.1, item_name=title, user_name=user, rating_name='rating', path=path, bs=64); data.show_batch()
# %%
y_range = [0, 5.5]; learn = collab_learner(data, n_factors=40, y_range=y_range, wd=1e-1); learn.model.__class__.__name__, learn.wd
# %%
learn.lr_find(start_lr=1e-6, end_lr=1., num_it=40); plt.close('all')
# %%
learn.fit_one_cycle(3, 5e-3)
# %%
learn.save('dotprod'); learn.load('dotprod')
# %%
learn.model
# %%
g = rating_movie.groupby(title)['rating'].count(); top_movies = g.sort_values(ascending=False).index.values[:1000]; top_movies[:10].shape
# %%
movie_bias = learn.model.bias(top_movies, is_item=True); movie_bias.shape
# %%
mean_ratings = rating_movie.groupby(title)['rating'].mean(); movie_ratings = [(b, i, mean_ratings.loc[i]) for i, b in zip(top_movies, movie_bias)]; item0 = lambda o: o[0]; sorted(movie_ratings, key=item0)[:15].__len__(), sorted(movie_ratings, key=lambda o: o[0], reverse=True)[:1]
# %%
movie_w = learn.model.weight(top_movies, is_item=True); movie_w.shape
# %%
movie_pca = movie_w.pca(3); fac0, fac1, fac2 = movie_pca.t(); movie_comp = [(f, i) for f, i in zip(fac0, top_movies)]; sorted(movie_comp, key=itemgetter(0), reverse=True)[:10].__len__()
# %%
learn = collab_learner(data, use_nn=True, emb_szs={user: 20, title: 20}, layers=[64, 32], y_range=y_range, metrics=[mae]); learn.fit_one_cycle(1, 1e-2); learn.model
# %%
learn.dls.train_ds, learn.dls.valid_ds
# %%
batch = data.one_batch(); x, y = batch; type(x), x[0], y[0]
# %%
cats, conts = x, None; learn.model(x)[:2]
# %%
learn.model.eval(); out = learn.model(data.valid.one_batch()[0]); out.min() > 0, out.max() < 5.5
# %%
preds, y = learn.get_preds(ds_idx=1); print(preds.shape, y.shape); loss = F.mse_loss(preds, y); loss
# %%
preds, y, losses = learn.get_preds(with_loss=True); interp = Interpretation(learn, data.valid, losses); interp.losses.shape, interp.top_losses(3, largest=False)[1].shape
# %%
learn.recorder.plot_loss(); plt.show(); plt.close('all')
# %%
learn.unfreeze(); learn.fit_one_cycle(2, slice(1e-5, 1e-3), pct_start=0.8, wd=0.2)
# %%
learn.fit(1, lr=1e-3, wd=0.1); learn.validate(), learn.recorder.metric_names
# %%
learn.export(); sorted(p.name for p in learn.path.ls(file_exts='.pkl')), learn.path
# %%
learn = load_learner(path / 'export.pkl'); learn.predict(rating_movie.iloc[0])
# %%
learn.dls.test_dl(rating_movie.iloc[:3]).one_batch().__len__(), learn.get_preds(dl=learn.dls.test_dl(rating_movie.iloc[:3]))
# %%
try: ImageDataBunch
except NameError as e: print(e)
# %%
learn.dls.device, default_device(), torch.cuda.is_available()
# %%
print(learn.summary()[:20] if isinstance(learn.summary(), str) else type(learn.summary()).__name__)
# %%
learn.opt, learn.loss_func, learn.loss_func.__class__.__name__
# %%
class EmbeddingNet(nn.Module):
    "the v1 course's own network"
    def __init__(self, n_users, n_movies, nh=10, p1=0.05, p2=0.5, n_factors=10, min_score=.5, max_score=5):
        super().__init__(); self.lo, self.hi = min_score, max_score; (self.u, self.m) = [nn.Embedding(*o) for o in [(n_users, n_factors), (n_movies, n_factors)]]; self.u.weight.data.uniform_(-0.01, 0.01); self.m.weight.data.uniform_(-0.01, 0.01); self.lin1, self.lin2 = nn.Linear(n_factors * 2, nh), nn.Linear(nh, 1); self.drop1, self.drop2 = nn.Dropout(p1), nn.Dropout(p2)
    def forward(self, x): users, movies = x[:, 0], x[:, 1]; x = self.drop1(torch.cat([self.u(users), self.m(movies)], dim=1)); x = self.drop2(F.relu(self.lin1(x))); return torch.sigmoid(self.lin2(x)) * (self.hi - self.lo + 1) + self.lo - 0.5
net = EmbeddingNet(len(data.classes[user]), len(data.classes[title])); learn = Learner(data, net, MSELossFlat(), opt_func=partial(Adam, wd=1e-3), metrics=[rmse]); learn.fit(2, 1e-3); len(learn.recorder.values[-1])
# %%
def get_emb(ni, nf): e = nn.Embedding(ni, nf); e.weight.data.uniform_(-0.01, 0.01); return e
class EmbeddingDotBias2(nn.Module):
    def __init__(self, n_users, n_movies, n_factors=10): super().__init__(); (self.u, self.m, self.ub, self.mb) = [get_emb(*o) for o in [(n_users, n_factors), (n_movies, n_factors), (n_users, 1), (n_movies, 1)]]
    def forward(self, cats, conts=None): users, movies = cats[:, 0], cats[:, 1]; um = (self.u(users) * self.m(movies)).sum(1); res = um + self.ub(users).squeeze() + self.mb(movies).squeeze(); return torch.sigmoid(res) * 4.5 + .5
learn = Learner(data, EmbeddingDotBias2(len(data.classes[user]), len(data.classes[title])), loss_func=lambda p, t: F.mse_loss(p, t.squeeze()), wd=2e-4, opt_func=SGD); learn.fit(1, .4); learn.fit(1, lr=.05, cbs=ParamScheduler({'lr': SchedLin(.4, .04)})); learn.recorder.values[0].__class__.__name__
# %%
topMovies = g.sort_values(ascending=False).index.values[:20]; topMovieIdx = np.array([data.classes[title].o2i[o] for o in topMovies]); m = learn.model; mb = to_np(m.mb(tensor(topMovieIdx))); list(zip(mb[:, 0], topMovies))[0][1][:4], mb.shape
# %%
u = ratings.groupby(user)['rating'].count().sort_values(ascending=False)[:15]; m_ = ratings.groupby(item)['rating'].count().sort_values(ascending=False)[:15]; pd.crosstab(ratings[user], ratings[item], ratings.rating, aggfunc='sum').shape
