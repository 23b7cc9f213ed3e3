# %% a study: cleaning, splitting, comparing, drawing
from sklearn.model_selection import train_test_split, KFold, GroupShuffleSplit, StratifiedKFold
from sklearn.metrics import mean_squared_error, mean_absolute_error
df = ratings.merge(movies, on='movie', how='left').drop_duplicates(['user', 'title'], keep='last').reset_index(drop=True)
exact_len = len(df)
# %%
train_idx, valid_idx = train_test_split(df.index, test_size=0.2, random_state=42)
splits = IndexSplitter(valid_idx)(df); [len(s) for s in splits]
# %%
to = TabularCollab(df, [Categorify], ['user', 'title'], y_names=['rating'], y_block=TransformBlock(), splits=(list(train_idx), list(valid_idx)))
dls = to.dataloaders(bs=64); len(dls.train_ds), len(dls.valid_ds)
# %%
learn = collab_learner(dls, n_factors=10, y_range=(0, 5.5), metrics=[rmse]); learn.fit_one_cycle(2, 5e-3, wd=0.1)
# %%
train_df, test_df = train_test_split(df, test_size=0.1, stratify=df.rating, random_state=1)
dls = CollabDataLoaders.from_df(train_df, item_name='title', bs=64, valid_pct=0.1, seed=0); dls.train_ds.items.shape
# %%
learn = collab_learner(dls, n_factors=10, y_range=(0, 5.5)); learn.fit_one_cycle(2, 5e-3)
tdl = dls.test_dl(test_df, with_labels=True); p, t = learn.get_preds(dl=tdl)
np.sqrt(mean_squared_error(t, p.reshape(-1, 1))) > 0, p, t
# %%
known = test_df[test_df.user.isin(train_df.user) & test_df.title.isin(train_df.title)]; len(known) <= len(test_df)
# %%
scores = []
for tr, va in KFold(3, shuffle=True, random_state=0).split(df):
    d = TabularCollab(df, [Categorify], ['user', 'title'], y_names='rating', y_block=TransformBlock(), splits=(L(*map(int, tr)), L(*map(int, va)))).dataloaders(bs=64)
    l = collab_learner(d, n_factors=4, y_range=(0.5, 5.5), metrics=rmse)
    with l.no_bar(), l.no_logging(): l.fit_one_cycle(1, 5e-3)
    scores.append(l.validate()[1])
np.mean(scores), len(scores)
# %%
grid = {}
for nf, wd, lr in itertools.product([3, 6], [0.0, 0.1], [5e-3]):
    l = collab_learner(dls, n_factors=nf, y_range=(0, 5.5), wd=wd, metrics=[rmse, mae])
    with l.no_bar(): l.fit_one_cycle(1, lr)
    grid[nf, wd] = dict(zip(['valid_loss', 'rmse', 'mae'], l.validate()))
    del l; gc.collect() if 'gc' in globals() else None
pd.DataFrame(grid).T.sort_values('valid_loss')
# %%
pd.DataFrame(grid).T.unstack()['rmse'].shape
# %%
plt.figure(); pd.DataFrame(grid).T['rmse'].plot.bar(rot=45); plt.tight_layout(); plt.close('all')
# %% pictures of embeddings
W = learn.model.i_weight.weight.cpu().detach(); B = learn.model.i_bias.weight.cpu().detach().squeeze()
u, s, v = torch.svd(W) if hasattr(torch, 'svd') else torch.linalg.svd(W); u.shape, s.shape
# %%
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.manifold import TSNE
TSNE(n_components=2, perplexity=5, init='random', random_state=0).fit_transform(W.numpy()).shape
# %%
pcs = PCA(3).fit_transform(W); fig = plt.figure(); ax = fig.add_subplot(projection='3d'); ax.scatter(*pcs.T); plt.close(fig)
# %%
W.pca(2).shape if hasattr(W, 'pca') else None
# %%
fac = pd.DataFrame(pcs, index=list(dls.classes['title']), columns=['f0', 'f1', 'f2']).assign(bias=B.numpy()); fac.head(2)
# %%
fac.sort_values('f0').index[:2].tolist() != []
# %%
fac.drop('#na#').corrwith(df.groupby('title').rating.mean()).shape if False else np.corrcoef(fac.drop('#na#')['bias'], df.groupby('title').rating.mean().reindex(fac.drop('#na#').index).fillna(3))
# %%
sns_like = np.histogram2d(fac.f0, fac.f1, bins=4)[0]; plt.imshow(sns_like); plt.colorbar(); plt.close('all')
# %%
sim = F.cosine_similarity(W[:, None], W[None], dim=-1); plt.matshow(sim[:10, :10]); plt.close('all'); sim
# %%
k = 4; vals, idx = sim[5].topk(k + 1); [dls.classes['title'][j] for j in idx[1:]] != []
# %%
learn.recorder.plot_loss(with_valid=True); plt.title('x'); plt.gca().get_lines().__len__() >= 1
# %%
plt.close('all'); fig, (a, b) = plt.subplots(1, 2); learn.recorder.plot_loss(ax=a) if False else a.plot(learn.recorder.losses); b.plot(learn.recorder.lrs); plt.close(fig)
# %%
learn.fit_one_cycle(2, 1e-3); vals = L(learn.recorder.values); vals.itemgot(0), vals.itemgot(1)
# %%
tr, va = zip(*[r[:2] for r in learn.recorder.values]); tr
# %%
learn.recorder.values[-1][0], min(r[1] for r in learn.recorder.values)
# %% what was wrong
interp = Interpretation.from_learner(learn); interp.top_losses(3, largest=False)
# %%
losses, idxs = interp.top_losses(5); dls.valid_ds.items.iloc[idxs.tolist()]
# %%
p, t, losses = learn.get_preds(with_loss=True); worst = losses.topk(3).indices; p[worst], losses.shape
# %%
res = dls.valid_ds.items.copy(); res['pred'] = p.squeeze(); res['err'] = (res.pred - t.squeeze().numpy()).abs(); res.groupby('user')['err'].mean().describe().shape
# %%
pd.crosstab(t.squeeze().numpy(), p.squeeze().round().numpy()).shape[0]
# %%
learn.show_results(ds_idx=1, max_n=3)
# %% a top-n list and its figures
all_items = np.array([t for t in dls.classes['title'] if t != '#na#'])
def top_n(learn, users, n=5, bs=1024):
    grid = pd.DataFrame([(u, i) for u in users for i in all_items], columns=['user', 'title'])
    seen = set(zip(train_df.user, train_df.title)); grid = grid[[k not in seen for k in zip(grid.user, grid.title)]]
    grid['score'] = learn.get_preds(dl=learn.dls.test_dl(grid, bs=bs))[0].numpy().ravel()
    return grid.sort_values(['user', 'score'], ascending=[True, False]).groupby('user').head(n)
top = top_n(learn, [1, 2, 3]); top.groupby('user').size().tolist()
# %%
liked = test_df[test_df.rating >= 4].groupby('user').title.apply(set); hits = top.groupby('user').title.apply(lambda s: len(set(s) & liked.get(s.name, set()))); hits.shape
# %%
P = torch.sigmoid(learn.model.u_weight.weight @ learn.model.i_weight.weight.T + learn.model.u_bias.weight + learn.model.i_bias.weight.T) * 5.5; P
# %%
x = dls.valid.one_batch()[0]; torch.allclose(P[x[:, 0], x[:, 1]], learn.model(x), atol=1e-4)
# %%
P.detach().numpy()[1:, 1:].argsort(1)[:, ::-1][:, :3].shape
# %%
dls.classes['user'].o2i[1], dls.classes['title'].o2i['Film 03 (1953)'], dls.classes['title'].o2i.get('none') if hasattr(dls.classes['title'].o2i, 'get') else None
# %%
dls.classes['title'].map_objs(['Film 03 (1953)']), dls.classes['title'].map_ids([1, 2])
# %%
learn.model._get_idx(['Film 03 (1953)'], is_item=True)
# %%
learn.model.bias(['Film 03 (1953)', 'Film 04 (1954)']), learn.model.weight(['Film 03 (1953)'], is_item=True)
# %%
try: learn.model.bias(['no such film'])
except KeyError as e: print(e)
# %% a class of people: the mean of users
group = df[df.rating >= 4].groupby('title').user.nunique().nlargest(3).index.tolist(); len(group)
# %%
likers = df[df.title == group[0]].user.unique(); rows = [dls.classes['user'].o2i[u] for u in likers if u in dls.classes['user'].o2i]; learn.model.u_weight.weight[rows].mean(0).shape
# %%
new_user = W[[dls.classes['title'].o2i[t] for t in group]].mean(0); (W @ new_user + B).topk(3).values
# %% a baseline, the library's network, an ensemble
mean = train_df.rating.mean(); bu = train_df.groupby('user').rating.mean() - mean; bi = train_df.groupby('title').rating.mean() - mean
base = (mean + test_df.user.map(bu).fillna(0) + test_df.title.map(bi).fillna(0)).clip(1, 5); float(((base - test_df.rating) ** 2).mean() ** 0.5) > 0
# %%
nn_ = collab_learner(dls, use_nn=True, layers=[32, 16], y_range=(0, 5.5), metrics=rmse, config={'ps': 0.1, 'embed_p': 0.02, 'use_bn': False}); nn_.fit_one_cycle(1, 5e-3); nn_.model
# %%
pn = nn_.get_preds(dl=nn_.dls.test_dl(test_df))[0].squeeze(); ens = 0.5 * pn.numpy() + 0.5 * base.values; ens.shape
# %%
emb_u = nn_.model.embeds[0].weight; emb_u.shape[1] == get_emb_sz(dls)[0][1], list(nn_.model.named_children())[0][0]
# %%
sub = pd.DataFrame({'id': range(len(test_df)), 'rating': pn}); sub.to_csv('s.csv', index=False); pd.read_csv('s.csv').shape
# %% files of all kinds
learn.save('final'); learn.export(Path('final.pkl')); del learn
# %%
learn = load_learner(Path('final.pkl')); learn.dls.classes['title'][:2], type(learn.model).__name__
# %%
learn.get_preds(dl=learn.dls.test_dl(test_df))[0].shape[0] == len(test_df)
# %%
pred = learn.predict(test_df.iloc[0]); pred[1:]
# %%
np.save('w.npy', to_np(learn.model.i_weight.weight)); np.load('w.npy').shape
# %%
torch.save({'model': learn.model.state_dict(), 'classes': {k: list(v) for k, v in learn.dls.classes.items()}}, 'all.pt'); sorted(torch.load('all.pt', weights_only=False))
# %%
json.dumps({'titles': list(learn.dls.classes['title'])[:3]})
# %%
import joblib; joblib.dump({'users': list(map(str, learn.dls.classes['user']))}, 'c.joblib') != []
# %%
os.makedirs('out', exist_ok=True); shutil.copy('final.pkl', 'out/m.pkl'); sorted(os.listdir('out'))
