# %% a kernel on books: text ids, a broken index, columns that nobody needs
set_seed(3)
import warnings; warnings.filterwarnings('ignore')
books = movies.rename(columns={'movie': 'book_id'}); books['authors'] = ['Author ' + 'ABCDEFG'[i % 7] for i in range(len(books))]; books['average_rating'] = 3.5
rt = ratings.rename(columns={'movie': 'book_id', 'user': 'user_id'}); rt['user_id'] = 'u' + rt.user_id.astype(str)
df = pd.merge(rt, books, how='left', on='book_id').sample(frac=1, random_state=0); df.index.is_monotonic_increasing, df.shape
# %%
print('There are', df.user_id.nunique(), 'readers and', df.book_id.nunique(), 'books'); print(f"sparsity {1 - len(df) / (df.user_id.nunique() * df.book_id.nunique()):.3%}")
df.isnull().sum().sum(), df.duplicated(['user_id', 'book_id']).sum()
# %%
df = df.drop_duplicates(['user_id', 'book_id'], keep='last'); exact_len = len(df); df.title = df.title.str.lower().str.replace(r'\(\d+\)', '', regex=True).str.strip(); df.title.iloc[0][:4]
# %%
dls = CollabDataLoaders.from_df(df[['user_id', 'title', 'rating']], user_name='user_id', item_name='title', rating_name='rating', bs=128, seed=11, valid_pct=.1)
len(dls.train_ds), len(dls.valid_ds)
# %%
dls.train_ds.items.head(2).shape, list(dls.train_ds.items.columns), dls.train_ds.items.index[:0].tolist()
# %%
dls.train_ds.cat_names, dls.train_ds.y_names, dls.train_ds.cont_names, dls.train_ds.procs
# %%
dls.train.items.rating.dtype, dls.items is not None, dls.train.cats.shape
# %%
dls.train_ds.cats.dtypes.astype(str).tolist(), dls.train_ds.ys.dtypes.astype(str).tolist(), dls.train_ds.conts.shape
# %%
exact_first = dls.valid_ds.items.index[:5].tolist(); exact_codes = dls.valid_ds.items.title.head(5).tolist(); dls.valid_ds.items.shape
# %%
learn = collab_learner(dls, n_factors=12, y_range=[0.5, 5.5], metrics=[rmse, mae], wd=.05)
learn.model
# %%
learn.fit_one_cycle(2, 1e-2); len(learn.recorder.values), learn.recorder.metric_names
# %%
users, titles = dls.classes['user_id'], dls.classes['title']; users[0], len(users), type(users[1]).__name__, users.o2i[users[3]]
# %%
def top_unread(name, n=5):
    seen = set(df[df.user_id == name].title)
    cand = [t for t in titles[1:] if t not in seen]
    dl = dls.test_dl(pd.DataFrame({'user_id': [name] * len(cand), 'title': cand}))
    p, _ = learn.get_preds(dl=dl)
    best = p.squeeze().argsort(descending=True)[:n]
    return pd.DataFrame({'title': [cand[int(i)] for i in best], 'est': p.squeeze()[best].numpy().round(2)})
top_unread('u7')
# %%
top_unread(users[2], 3).est.dtype
# %%
pd.concat([top_unread(u, 2).assign(who=u) for u in list(users)[1:4]]).reset_index(drop=True)
# %%
bias = learn.model.i_bias.weight.squeeze(); pop = df.groupby('title').size(); pd.Series(bias.detach().numpy(), index=list(titles)).drop('#na#').to_frame('bias').join(pop.rename('n')).corr().shape
# %%
learn.model.i_bias(torch.arange(3)).shape, learn.model.u_weight.weight.norm(dim=1).shape, learn.model.bias(titles[1:4]).shape, learn.model.weight(users[1:3], is_item=False).shape
# %%
learn.predict({'user_id': 'u7', 'title': titles[5]})[1:]
# %%
row = df.iloc[0]; pred_row, pred, out = learn.predict(row); pred.shape, out.shape, pred.dtype
# %%
learn.show_results(max_n=4)
# %%
df['pred'] = learn.get_preds(dl=dls.test_dl(df))[0].numpy(); df[['rating', 'pred']].agg(['mean', 'std']).shape
# %%
(df.rating - df.pred).abs().groupby(df.authors).mean().sort_values().index.str.len().tolist()
# %%
def by_author(name): return df[df.authors == name].title.unique().tolist()
W = learn.model.weight(by_author('Author A'), is_item=True); F.cosine_similarity(W[:1], W[1:]).shape, torch.cdist(W, W).shape, (W @ W.T).diag().shape
# %%
with torch.no_grad(): everything = torch.sigmoid(learn.model.u_weight.weight @ learn.model.i_weight.weight.T + learn.model.u_bias.weight + learn.model.i_bias.weight.T) * 5 + .5
everything.shape, everything.requires_grad, float(everything.max()) <= 5.5
# %%
pd.DataFrame(everything.numpy(), index=users, columns=titles).drop('#na#').drop('#na#', axis=1).T.shape
# %%
pd.DataFrame(everything.numpy()[1:], index=users[1:]).iloc[:2, :3].shape
# %%
list(users).index('u7'), 'u7' in users.o2i
# %%
{v: k for k, v in enumerate(titles)}['#na#'], dict(enumerate(titles))[0], dict(zip(titles, range(len(titles))))['#na#']
# %%
np.array(titles).shape, pd.Series(list(titles)).shape, len(L(titles)), np.array(list(titles)).dtype.kind
# %%
titles[1:3], titles[[1, 2]], titles[L(1, 2)]
# %%
learn.dls.classes.keys(), learn.dls.train_ds.classes.keys()
