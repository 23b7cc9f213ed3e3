# %% Book-Crossing: three semicolon tables, ISBNs, zeros that mean "no rating", ages that cannot be
rng = np.random.RandomState(0)
isbn = [f'{i:09d}X' if i % 7 == 0 else f'{i:010d}' for i in range(1, 41)]
pd.DataFrame({'User-ID': range(1, 61), 'Location': [['nyc, new york, usa', 'porto, v.n.gaia, portugal', 'toronto, ontario, canada'][u % 3] for u in range(60)], 'Age': [np.nan if u % 9 == 0 else (239 if u == 5 else 15 + u) for u in range(60)]}).to_csv('BX-Users.csv', sep=';', index=False)
pd.DataFrame({'ISBN': isbn, 'Book-Title': movies.title.str.replace('Film', 'Book'), 'Book-Author': [f'Author {i % 6}' for i in range(40)], 'Year-Of-Publication': [0 if i == 3 else 1960 + i for i in range(40)], 'Publisher': 'P'}).to_csv('BX-Books.csv', sep=';', index=False, encoding='latin-1')
bx = ratings.assign(isbn=[isbn[m - 1] for m in ratings.movie], r=np.where(rng.rand(len(ratings)) < .3, 0, ratings.rating * 2))[['user', 'isbn', 'r']]
bx.columns = ['User-ID', 'ISBN', 'Book-Rating']
bx.to_csv('BX-Book-Ratings.csv', sep=';', index=False)
# %%
path = Path('.')
users = pd.read_csv(path/'BX-Users.csv', sep=';', encoding='latin-1')
books = pd.read_csv(path/'BX-Books.csv', sep=';', encoding='latin-1', on_bad_lines='skip', low_memory=False)
ratings_bx = pd.read_csv(path/'BX-Book-Ratings.csv', sep=';', encoding='latin-1')
users.shape, books.shape, ratings_bx.shape
# %%
books.columns = ['isbn', 'title', 'author', 'year', 'publisher']
users.columns = ['user_id', 'location', 'age']
ratings_bx.columns = ['user_id', 'isbn', 'rating']
ratings_bx.head()
# %%
users.loc[(users.age > 90) | (users.age < 5), 'age'] = np.nan
users.age = users.age.fillna(users.age.mean()).astype(np.int32)
users['country'] = users.location.str.split(',').str[-1].str.strip()
users.country.value_counts()
# %%
explicit = ratings_bx[ratings_bx.rating != 0]
implicit = ratings_bx[ratings_bx.rating == 0]
exact_counts = [len(explicit), len(implicit)]
# %%
counts1 = explicit['user_id'].value_counts()
explicit = explicit[explicit['user_id'].isin(counts1[counts1 >= 10].index)]
counts = explicit['isbn'].value_counts()
explicit = explicit[explicit['isbn'].isin(counts[counts >= 10].index)]
explicit.shape
# %%
df = explicit.merge(books, on='isbn', how='inner').merge(users, on='user_id')
df = df[['user_id', 'title', 'rating', 'author', 'country', 'age']]
df.sample(5, random_state=1)
# %%
df.rating.hist(bins=10); plt.xlabel('rating'); plt.title('Ratings'); plt.close()
# %%
n_users, n_books = df.user_id.nunique(), df.title.nunique()
print(f'{n_users} users, {n_books} books, {len(df)/(n_users*n_books):.2%} filled')
# %%
set_seed(42, reproducible=True)
dls = CollabDataLoaders.from_df(df, user_name='user_id', item_name='title', rating_name='rating', valid_pct=0.1, seed=42, bs=64)
dls.show_batch()
# %%
xb, yb = dls.one_batch()
xb.shape, yb.shape, xb.dtype, yb.dtype, int(yb.max()) <= 10
# %%
y_range = (float(df.rating.min() - .5), float(df.rating.max() + .5))
learn = collab_learner(dls, n_factors=20, y_range=y_range, wd=1e-1, metrics=[rmse, mae])
close_before = [float(v) for v in learn.validate()]
# %%
learn.model
# %%
learn.lr_find(start_lr=1e-5, end_lr=1., num_it=40)
# %%
learn.fit_one_cycle(3, 5e-3)
# %%
learn.recorder.plot_loss(skip_start=2); plt.close()
# %%
learn.recorder.plot_sched(); plt.close()
# %%
final = learn.recorder.final_record; final[1], dict(zip(learn.recorder.metric_names[1:-1], learn.recorder.values[-1]))
# %%
learn.show_results(max_n=6)
# %%
learn.save('dotprod-bx')
# %%
learn = learn.load('dotprod-bx'); learn
# %%
g = df.groupby('title')['rating'].count()
top_books = g.sort_values(ascending=False).index.values[:25]
top_books[:5]
# %%
idxs = tensor([dls.classes['title'].o2i[t] for t in top_books])
book_bias = learn.model.bias(top_books, is_item=True)
book_bias.shape
# %%
mean_ratings = df.groupby('title')['rating'].mean()
book_ratings = [(b, i, mean_ratings.loc[i]) for i, b in zip(top_books, book_bias)]
sorted(book_ratings, key=lambda o: float(o[0]))[:2] != []
# %%
book_w = learn.model.weight(top_books, is_item=True); book_w.shape
# %%
book_pca = book_w.pca(3); book_pca.shape
# %%
fac0, fac1, fac2 = book_pca.t()
book_comp = [(f, i) for f, i in zip(fac0, top_books)]
sorted(book_comp, key=itemgetter(0), reverse=True)[:4]
# %%
X, Y = fac0[:15].numpy(), fac2[:15].numpy()
plt.figure(figsize=(6, 6)); plt.scatter(X, Y)
for i, x, y in zip(top_books[:15], X, Y): plt.text(x, y, i, color=np.random.rand(3) * 0.7, fontsize=11)
plt.close()
# %%
def similar_books(title, n=5):
    "nearest by cosine"
    factors = learn.model.i_weight.weight
    idx = dls.classes['title'].o2i[title]
    dist = nn.CosineSimilarity(dim=1)(factors, factors[idx][None])
    best = dist.argsort(descending=True)[1:n + 1]
    return pd.DataFrame({'title': [dls.classes['title'][i] for i in best], 'cos': dist[best].detach().numpy()})
similar_books(top_books[0])
# %%
def recommend(user, n=5, exclude=True):
    all_titles = np.array(dls.classes['title'][1:])
    if exclude: all_titles = np.setdiff1d(all_titles, df.loc[df.user_id == user, 'title'])
    rows = pd.DataFrame({'user_id': [user] * len(all_titles), 'title': all_titles})
    dl = dls.test_dl(rows)
    preds, _ = learn.get_preds(dl=dl)
    rows['prediction'] = preds.squeeze(-1)
    return rows.sort_values('prediction', ascending=False).head(n)
recommend(df.user_id.iloc[0])
# %%
recommend(df.user_id.iloc[3], n=3, exclude=False).prediction.between(*y_range).all()
# %%
recs = pd.concat([recommend(u, 2) for u in df.user_id.unique()[:4]], ignore_index=True); recs.groupby('user_id').size().tolist()
# %% cold start: a new reader is the mean of all
m = learn.model
mean_user = m.u_weight.weight[1:].mean(0); scores = (m.i_weight.weight @ mean_user + m.i_bias.weight.squeeze()); scores.shape
# %%
dls.classes['title'][scores[1:].argmax().item() + 1] in set(df.title)
# %%
new = pd.DataFrame({'user_id': [99999, 99999], 'title': list(top_books[:2])})
p = learn.get_preds(dl=dls.test_dl(new))[0]; p.shape, bool(p[0] != p[1])
# %%
learn_nn = collab_learner(dls, use_nn=True, emb_szs={'user_id': 12, 'title': 10}, layers=[32, 16], y_range=y_range, metrics=rmse)
learn_nn.model
# %%
learn_nn.fit_one_cycle(2, 5e-3, wd=0.01)
# %%
[e.weight.shape for e in learn_nn.model.embeds], learn_nn.model.n_emb
# %%
learn_nn.summary()[:30] is not None
# %%
preds, targs = learn_nn.get_preds(); ((preds - targs) ** 2).mean().sqrt().item() > 0
# %%
comparison = pd.DataFrame({'dot': [learn.validate()[1]], 'nn': [learn_nn.validate()[1]]}, index=['rmse']); comparison.T.plot.bar(); plt.close(); comparison
# %%
valid = dls.valid_ds.items.copy(); valid['pred'] = learn.get_preds()[0].numpy().ravel(); valid['err'] = (valid.pred - valid.rating).abs(); valid.head()
# %%
valid.groupby('title').err.mean().sort_values().tail(3).shape
# %%
inv = {i: o for o, i in dls.classes['title'].o2i.items()}; valid['name'] = valid.title.map(inv); valid.name.notna().all()
# %%
by_author = df.drop_duplicates('title').set_index('title').author
weights_df = pd.DataFrame(learn.model.i_weight.weight.detach().numpy()[1:], index=dls.classes['title'][1:]); weights_df.groupby(by_author).mean()
# %%
learn.export('bx.pkl'); inf = load_learner('bx.pkl'); inf.predict(df.iloc[0])[1].shape, len(inf.dls.classes['title'])
# %%
row, dec, prob = inf.predict(pd.Series({'user_id': int(df.user_id.iloc[0]), 'title': df.title.iloc[0]})); float(dec) == float(prob)
