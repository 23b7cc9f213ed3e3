# %% tables of other kinds: hours, wide jokes, implicit zeros, many columns
hours = ratings.rename(columns={'user': 'UserID', 'movie': 'Game', 'rating': 'Hours'}).drop(columns='timestamp')
hours['Game'] = 'Game ' + hours['Game'].astype(str)
hours['Hours'] = np.exp(hours['Hours']) + 0.1
hours['log_hours'] = np.log1p(hours.Hours)
dls = CollabDataLoaders.from_df(hours, user_name='UserID', item_name='Game', rating_name='log_hours', seed=0)
dls.show_batch(max_n=2)
# %%
y_range = (hours.log_hours.min() * 0.9, hours.log_hours.max() * 1.1)
learn = collab_learner(dls, n_factors=5, y_range=y_range, metrics=[exp_rmspe, mae])
learn.fit_one_cycle(1, 1e-2)
len(learn.recorder.values[-1])
# %%
wide = ratings.pivot_table(index='user', columns='movie', values='rating', aggfunc='mean', fill_value=99)
wide.shape
# %%
long = wide.reset_index().melt(id_vars='user', var_name='joke', value_name='rating')
long = long[long.rating != 99]
long['joke'] = long['joke'].astype(int)
long.shape[1]
# %%
jdls = CollabDataLoaders.from_df(long, seed=42, bs=64, valid_pct=0.1)
jdls.classes['joke'][1:4]
# %%
jl = collab_learner(jdls, use_nn=True, layers=[20, 10], y_range=(0, 5.5), emb_szs={'user': 8, 'joke': 6})
jl.model
# %%
jl.fit_one_cycle(1, 1e-2)
jl.model.embeds[0].weight.shape, jl.model.embeds[1].weight.shape
# %%
get_emb_sz(jdls.train_ds, {'user': 8})
# %%
books = ratings.copy()
books['ISBN'] = books.movie.map(lambda i: f'0{i:08d}X'); books['Book-Rating'] = books.rating * 2
books.loc[books.index % 3 == 0, 'Book-Rating'] = 0
explicit = books[books['Book-Rating'] > 0]
bdls = CollabDataLoaders.from_df(explicit[['user', 'ISBN', 'Book-Rating']], item_name='ISBN', bs=64)
bdls.classes['ISBN'][1]
# %%
bl = collab_learner(bdls, n_factors=8, y_range=(0, 10.5), wd=0.1); bl.fit_one_cycle(1, 5e-3)
bl.get_preds()[0].max() <= 10.5
# %%
rated = explicit.groupby('ISBN')['Book-Rating'].agg(['mean', 'count'])
weighted = (rated['count'] * rated['mean'] + 5 * rated['mean'].mean()) / (rated['count'] + 5)
bias = pd.Series(bl.model.bias(weighted.index.tolist()).numpy(), index=weighted.index)
bias.corr(weighted) > -1
# %%
pd.DataFrame({'bias': bias, 'weighted': weighted}).plot.scatter('bias', 'weighted'); plt.close('all')
# %%
implicit = books.assign(liked=(books['Book-Rating'] > 6).astype(float))
idls = CollabDataLoaders.from_df(implicit, item_name='ISBN', rating_name='liked', bs=64)
il = collab_learner(idls, n_factors=4, loss_func=BCEWithLogitsLossFlat(), metrics=None)
il.fit(1, 1e-2)
p, t = il.get_preds(); p.min() >= 0, p.max() <= 1
# %%
from sklearn.metrics import roc_auc_score
0 <= roc_auc_score(t.squeeze().numpy(), p.squeeze().numpy()) <= 1
# %%
neg = pd.DataFrame({'user': np.random.choice(ratings.user.unique(), 300), 'movie': np.random.choice(ratings.movie.unique(), 300), 'y': 0.0})
both = pd.concat([ratings[['user', 'movie']].assign(y=1.0), neg], ignore_index=True).drop_duplicates(['user', 'movie'])
ndls = CollabDataLoaders.from_df(both, rating_name='y', bs=128, seed=7)
nl = collab_learner(ndls, n_factors=4, y_range=(0, 1), loss_func=BCELossFlat())
nl.fit_one_cycle(1, 1e-2)
nl.validate()
# %%
ids = ratings.copy(); ids['user'] = ids['user'].astype('category'); ids['movie'] = ids['movie'].astype('int16'); ids['rating'] = ids['rating'].astype('float16')
cdls = CollabDataLoaders.from_df(ids, seed=1); cdls.one_batch()[1].dtype
# %%
cdls.classes['user'][:3]
# %%
indexed = ratings.set_index('timestamp'); indexed.index.name = 'when'
CollabDataLoaders.from_df(indexed, seed=1).train_ds.items.index.name
# %%
strange = ratings.rename(columns={'user': 'user id', 'movie': 'movie/title', 'rating': 'rate!'})
sdls = CollabDataLoaders.from_df(strange, user_name='user id', item_name='movie/title', rating_name='rate!')
sorted(sdls.classes)
# %%
sl = collab_learner(sdls, n_factors=3); sl.fit(1); sl.model.bias(sdls.classes['movie/title'][1:3]).shape
# %%
ratings.to_csv('r.csv', index=False, header=False)
CollabDataLoaders.from_df(pd.read_csv('r.csv', header=None, names=['user', 'movie', 'rating', 'ts'], usecols=[0, 1, 2, 3])).train_ds.items.shape[1]
# %%
ratings.to_csv('with_header.csv', index=False)
fdls = CollabDataLoaders.from_csv('with_header.csv', seed=3, bs=32); fdls.bs
# %%
Path('with_header.csv').read_text().split('\n')[0], Path('.').ls(file_exts='.csv').attrgot('name').sorted()
# %%
multi = ratings.merge(movies); multi['decade'] = multi.title.str.extract(r'\((\d{3})')[0] + '0s'; multi['hour'] = multi.timestamp % 24
to = TabularPandas(multi, [Categorify, FillMissing, Normalize], ['user', 'title', 'decade'], ['hour'], y_names='rating', splits=RandomSplitter(seed=2)(multi), y_block=RegressionBlock())
tdls = to.dataloaders(bs=64)
tl = tabular_learner(tdls, layers=[20], y_range=(0, 5.5), metrics=rmse); tl.fit_one_cycle(1, 1e-2)
tl.model
# %%
tl.model.embeds[2].weight.shape, to.procs.categorify.classes['decade'] if hasattr(to.procs, 'categorify') else to.classes['decade']
# %%
tl.get_preds(dl=tdls.test_dl(multi.iloc[:1]))[0].shape
# %%
tdl = tdls.test_dl(multi.drop(columns='rating').head(6)); tl.get_preds(dl=tdl)[0].shape
# %%
to.xs.shape, to.ys.shape, to.train.xs.iloc[:, :2].dtypes.astype(str).str[:3].tolist()
# %%
from sklearn.ensemble import RandomForestRegressor
rf = RandomForestRegressor(5, max_depth=4).fit(to.train.xs, to.train.ys.values.ravel()); rf.predict(to.valid.xs).shape
# %%
def embed_features(learner, xs):
    xs = xs.copy()
    for i, feature in enumerate(learner.dls.cat_names):
        emb = learner.model.embeds[i].weight.data.cpu().numpy()
        new = pd.DataFrame(emb[xs[feature].values], index=xs.index, columns=[f'{feature}_{j}' for j in range(emb.shape[1])])
        xs = pd.concat([xs.drop(columns=feature), new], axis=1)
    return xs
embed_features(tl, to.valid.xs).shape
# %%
make_date(pd.DataFrame({'d': ['2020-01-01']}), 'd')
when = ratings.assign(date=pd.to_datetime(ratings.timestamp, unit='s')); when = add_datepart(when, 'date', drop=False); [c for c in when.columns if c.startswith('date')][:4] if any(c.startswith('date') for c in when) else list(when.columns)[:6]
# %%
df_shrink(ratings.copy()).dtypes.astype(str).tolist()
# %%
cont_cat_split(multi.assign(rating=multi.rating.astype(float)), max_card=20, dep_var='rating')
# %%
cutoff = ratings.timestamp.quantile(0.8); cond = ratings.timestamp < cutoff
splits = (L(np.where(cond)[0], use_list=True), L(np.where(~cond)[0], use_list=True)); splits = (list(np.where(cond)[0]), list(np.where(~cond)[0]))
tt = TabularCollab(ratings, [Categorify], ['user', 'movie'], y_names='rating', y_block=TransformBlock(), splits=splits)
tt.train.items.timestamp.max() < tt.valid.items.timestamp.min()
# %%
tt.split
# %%
tt.show(max_n=2)
# %%
Path('to.txt').write_text('a'); Path('to.txt').read_text()
# %%
seen = ratings.groupby('user').movie.agg(set)
def candidates(u): return [m for m in ratings.movie.unique() if m not in seen[u]]
tl2 = collab_learner(tt.dataloaders(bs=64), n_factors=4, y_range=(0.5, 5.5)); tl2.fit_one_cycle(1, 1e-2)
recs = {}
for u in ratings.user.unique()[:3]:
    c = candidates(u); dl = tl2.dls.test_dl(pd.DataFrame({'user': u, 'movie': c}))
    recs[u] = pd.Series(tl2.get_preds(dl=dl)[0].squeeze(-1).numpy() if tl2.get_preds(dl=dl)[0].ndim > 1 else tl2.get_preds(dl=dl)[0].numpy(), index=c).nlargest(5)
[len(r) for r in recs.values()]
# %%
def precision_at_k(learn, k=5):
    preds, targs = learn.get_preds()
    frame = learn.dls.valid_ds.items.assign(p=preds.numpy().ravel(), t=targs.numpy().ravel())
    return frame.groupby('user').apply(lambda g: (g.nlargest(k, 'p').t >= 4).mean()).mean()
0 <= precision_at_k(tl2) <= 1
# %%
def ndcg(g, k=5):
    g = g.sort_values('p', ascending=False); gains = (2 ** g.t.values[:k] - 1) / np.log2(np.arange(2, min(k, len(g)) + 2))
    ideal = np.sort(g.t.values)[::-1][:k]; return gains.sum() / ((2 ** ideal - 1) / np.log2(np.arange(2, len(ideal) + 2))).sum()
preds, targs = tl2.get_preds(); frame = tl2.dls.valid_ds.items.assign(p=preds.numpy().ravel(), t=targs.numpy().ravel()); 0 < frame.groupby('user').apply(ndcg).mean() <= 1
# %%
t5 = tl2.model.i_weight.weight.detach(); torch.cdist(t5, t5).topk(3, largest=False).indices.shape
# %%
from sklearn.decomposition import PCA
PCA(2).fit_transform(to_np(tl2.model.i_weight.weight)).shape
# %%
L(zip(tl2.dls.classes['movie'], t5.norm(dim=1).tolist())).sorted(key=itemgetter(1), reverse=True)[:2]
# %%
L(range(10)).shuffle() is not None, L(1, 2, 3).map(lambda o: o * 2).filter(gt(2)).reduce(operator.add) if 'operator' in globals() else 0
# %%
groupby([('a', 1), ('b', 2), ('a', 3)], 0) , merge({'a': 1}, {'b': 2}), chunked(range(5), 2), listify('abc'), uniqueify([3, 1, 3])
# %%
dict2obj({'a': {'b': 1}}).a.b, nested_attr(tl2, 'model.u_weight.weight').shape, type(AttrDict(a=1).a)
