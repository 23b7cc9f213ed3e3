# %% MyAnimeList: -1 is "watched, not rated"; genres; maps; neighbours; clusters
anime = movies.rename(columns={'movie': 'anime_id', 'title': 'name'}).assign(genre=lambda d: [', '.join(g for k, g in enumerate(['Action', 'Comedy', 'Drama', 'Sci-Fi']) if (i >> k) & 1) for i in d.anime_id], type=lambda d: np.where(d.anime_id % 4, 'TV', 'Movie'), episodes=lambda d: [str(i) if i % 5 else 'Unknown' for i in d.anime_id], members=lambda d: d.anime_id * 1000)
r = ratings.rename(columns={'user': 'user_id', 'movie': 'anime_id'})[['user_id', 'anime_id', 'rating']]
r['rating'] = np.where(np.random.RandomState(3).rand(len(r)) < .2, -1, r.rating * 2)
r.rating.value_counts().sort_index()
# %%
r = r[r.rating != -1].reset_index(drop=True); exact_left = [len(r), int(r.rating.sum())]
# %%
anime.episodes = pd.to_numeric(anime.episodes, errors='coerce'); anime.isna().sum().to_dict()
# %%
full = pd.merge(r, anime, on='anime_id', suffixes=('_user', '')); full.info(verbose=False, buf=io.StringIO()); full.columns.tolist()
# %%
genre_ohe = anime.genre.str.get_dummies(sep=', '); genre_ohe.sum().plot(kind='barh'); plt.close(); genre_ohe.shape
# %%
pivot = full.pivot_table(index='user_id', columns='name', values='rating'); sparsity = pivot.isna().mean().mean(); pivot.shape
# %%
top_n_users = full.groupby('user_id')['rating'].count().sort_values(ascending=False)[:15]
top_n_anime = full.groupby('name')['rating'].count().sort_values(ascending=False)[:15]
top_r = full.join(top_n_users, rsuffix='_r', how='inner', on='user_id').join(top_n_anime, rsuffix='_m', how='inner', on='name')
pd.crosstab(top_r.user_id, top_r.name, top_r.rating, aggfunc='sum').shape
# %%
splits = RandomSplitter(valid_pct=0.2, seed=47)(range_of(full)); exact_splits = [list(map(int, s[:6])) for s in splits]
# %%
to = TabularCollab(full, [Categorify], ['user_id', 'name'], y_names=['rating'], splits=splits)
dls = to.dataloaders(bs=128); dls.show_batch(max_n=3)
# %%
to.classes['name'][:3], len(to.train), len(to.valid), to.y_names, to.cat_names
# %%
learn = collab_learner(dls, n_factors=16, y_range=[0, 10.5], loss_func=MSELossFlat(), metrics=[rmse, mae, R2Score()]); learn.loss_func
# %%
set_seed(5); learn = collab_learner(dls, n_factors=16, y_range=[0, 10.5], metrics=[rmse, mae]); close_start = [float(x) for x in learn.validate()]
# %%
res = learn.lr_find(suggest_funcs=(minimum, steep, valley, slide), num_it=50); [n for n in res._fields]
# %%
learn.fine_tune(2, 5e-3)
# %%
learn.fit_one_cycle(2, lr_max=5e-3, div=10., pct_start=0.3, wd=0.05, moms=(0.9, 0.8, 0.9))
# %%
learn.recorder.plot_loss(); plt.gcf().axes != []; plt.close()
# %%
L(learn.recorder.values).map(len)
# %%
pd.DataFrame(list(learn.recorder.values), columns=learn.recorder.metric_names[1:-1])
# %% maps of items
emb = learn.model.i_weight.weight.detach().cpu().numpy(); emb = emb[1:]; emb.shape, emb.dtype
# %%
from sklearn.manifold import TSNE
xy = TSNE(n_components=2, perplexity=5, random_state=0, init='random', max_iter=250).fit_transform(emb); xy.shape
# %%
from sklearn.decomposition import PCA
pca = PCA(n_components=2).fit(emb); pca.transform(emb).shape, pca.explained_variance_ratio_.sum() <= 1
# %%
from sklearn.cluster import KMeans
km = KMeans(n_clusters=4, n_init=2, random_state=0).fit(emb)
clusters = pd.DataFrame({'name': list(dls.classes['name'])[1:], 'cluster': km.labels_}); clusters.groupby('cluster').name.apply(list).shape
# %%
fig, ax = plt.subplots(figsize=(5, 5)); sc = ax.scatter(xy[:, 0], xy[:, 1], c=km.labels_, cmap='tab10')
for (x, y), t in list(zip(xy, dls.classes['name'][1:]))[:5]: ax.annotate(t, (x, y))
fig.colorbar(sc); plt.close(fig)
# %%
from sklearn.neighbors import NearestNeighbors
nnb = NearestNeighbors(n_neighbors=4, metric='cosine').fit(emb); d, i = nnb.kneighbors(emb[:2]); d.shape, i.shape, [int(v[0]) for v in i]
# %%
from sklearn.metrics.pairwise import cosine_similarity
sim = pd.DataFrame(cosine_similarity(emb), index=dls.classes['name'][1:], columns=dls.classes['name'][1:]); sim.iloc[0].nlargest(4)
# %%
from scipy.cluster.hierarchy import linkage, dendrogram, fcluster
Z = linkage(emb, 'ward'); fig = plt.figure(); dendrogram(Z, no_plot=True)['ivl'].__len__(); plt.close(fig); fcluster(Z, 3, 'maxclust').shape
# %%
def find_similar(name, weights, index, n=5, least=False):
    try:
        dists = np.dot(weights, weights[index[name]])
        order = np.argsort(dists)
        closest = order[:n] if least else order[-n:]
        return pd.DataFrame([{'name': dls.classes['name'][int(c) + 1], 'similarity': float(dists[c])} for c in closest]).sort_values('similarity', ascending=least)
    except KeyError: print(f'{name} not found')
index = {n: k - 1 for n, k in dls.classes['name'].o2i.items() if n != '#na#'}
normed = emb / np.linalg.norm(emb, axis=1, keepdims=True)
find_similar('Film 03 (1953)', normed, index)
# %%
find_similar('nothing', normed, index) is None
# %%
b = learn.model.i_bias.weight.squeeze(); lo, hi = b.argsort()[:3], b.argsort(descending=True)[:3]; L(lo.tolist()).map(dls.classes['name'].__getitem__)
# %%
bias_df = pd.DataFrame({'name': list(dls.classes['name']), 'bias': to_np(b)}).set_index('name').join(anime.set_index('name').members); bias_df.corr(numeric_only=True).shape
# %%
bias_df.sort_values('bias').bias.iloc[[0, 1, -2, -1]].plot.barh(color=['r', 'r', 'g', 'g']); plt.close()
# %%
u = learn.model.u_weight(tensor([1, 2, 3])); u.shape, u.requires_grad
# %%
with torch.no_grad(): grid = learn.model.u_weight.weight @ learn.model.i_weight.weight.T + learn.model.u_bias.weight + learn.model.i_bias.weight.T
grid = torch.sigmoid(grid) * 10.5; grid.shape
# %%
p = learn.get_preds(dl=dls.test_dl(full.iloc[:7]))[0].squeeze(); rows = torch.stack([tensor([dls.classes['user_id'].o2i[u] for u in full.user_id[:7]]), tensor([dls.classes['name'].o2i[n] for n in full.name[:7]])]); torch.allclose(p, grid[rows[0], rows[1]], atol=1e-4)
# %%
vals, idx = grid[:, 1:].topk(3, dim=1); top3 = pd.DataFrame(idx.numpy() + 1).map(lambda i: dls.classes['name'][i]); top3.shape
# %%
seen = full.groupby('user_id').name.agg(set); [n for n in top3.iloc[1] if n not in seen.loc[dls.classes['user_id'][1]]].__class__
# %%
genre_w = torch.tensor(genre_ohe.values, dtype=torch.float32); by_genre = (genre_w.T @ torch.tensor(emb)) / genre_w.sum(0)[:, None]; by_genre.shape
# %%
learn.model.eval(); out = learn.model(dls.valid.one_batch()[0]); out.shape, out.min() >= 0
# %%
class AnimeNet(Module):
    def __init__(self, nu, ni, nf, hidden=16, p=.1):
        self.u, self.i = nn.Embedding(nu, nf), nn.Embedding(ni, nf)
        self.lin = nn.Sequential(nn.Linear(2 * nf, hidden), nn.ReLU(inplace=True), nn.Dropout(p), nn.Linear(hidden, 1))
    def forward(self, x): return sigmoid_range(self.lin(torch.cat((self.u(x[:, 0]), self.i(x[:, 1])), 1)), 0, 10.5)
net = AnimeNet(len(dls.classes['user_id']), len(dls.classes['name']), 8); sum(p.numel() for p in net.parameters())
# %%
learn2 = Learner(dls, net, MSELossFlat(), metrics=[rmse], opt_func=ranger if 'ranger' in globals() else Adam); learn2.fit_flat_cos(2, 3e-3)
# %%
learn2.fit_sgdr(1, 1, lr_max=1e-3); len(learn2.recorder.values)
# %%
m = (learn.get_preds()[0][:, None] + learn2.get_preds()[0]) / 2; rmse(m, learn.get_preds()[1])
# %%
learn2.export('net.pkl'); learn2.path.ls(file_exts='.pkl')
# %%
hist = full.groupby('user_id').agg(n=('rating', 'size'), mean=('rating', 'mean')); ub = pd.Series(to_np(learn.model.u_bias.weight.squeeze()), index=list(dls.classes['user_id'])).drop('#na#'); np.corrcoef(hist['mean'].loc[ub.index], ub)[0, 1] > 0
# %%
np.save('emb.npy', emb); pd.DataFrame(emb).add_prefix('f').to_csv('emb.tsv', sep='\t', index=False, header=False); clusters.name.to_csv('meta.tsv', sep='\t', index=False, header=False); np.load('emb.npy').shape, pd.read_csv('emb.tsv', sep='\t', header=None).shape
