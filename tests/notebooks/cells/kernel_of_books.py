# %% Book-Crossing as kernels have it: words, merged tables, counts as thresholds, popularity, SVD, factors, explain
import string, textwrap; from collections import Counter, OrderedDict; from functools import reduce; from itertools import chain, combinations; sns = None; RANDOM_STATE = 42; np.random.seed(RANDOM_STATE); random.seed(RANDOM_STATE); torch.manual_seed(RANDOM_STATE); torch.use_deterministic_algorithms(False)
users = pd.DataFrame({'User-ID': range(1, 61), 'Location': [f'city{i % 7}, state, ' + ('usa' if i % 3 else 'canada') for i in range(60)], 'Age': [np.nan if i % 9 == 0 else (i * 7) % 90 for i in range(60)]}); books = movies.rename(columns={'movie': 'ISBN', 'title': 'Book-Title'}).assign(ISBN=lambda d: '0' + d.ISBN.astype(str).str.zfill(9), **{'Book-Author': [f'Writer {c}' for c in (string.ascii_uppercase * 2)[:40]], 'Year-Of-Publication': lambda d: d['Book-Title'].str[-5:-1]}); R = ratings.rename(columns={'user': 'User-ID', 'movie': 'ISBN', 'rating': 'Book-Rating'}).assign(ISBN=lambda d: '0' + d.ISBN.astype(str).str.zfill(9)).drop(columns='timestamp'); R['Book-Rating'] = np.where(np.arange(len(R)) % 4 == 0, 0, R['Book-Rating'] * 2); R.shape, books.columns.tolist()
# %%
users[['city', 'state', 'country']] = users.Location.str.split(',', expand=True); users.country = users.country.str.strip(); users.loc[(users.Age > 80) | (users.Age < 5), 'Age'] = np.nan; users.Age = users.Age.fillna(users.Age.median()).astype(np.int32); users.country.value_counts().to_dict()
# %%
explicit, implicit = R[R['Book-Rating'] != 0], R[R['Book-Rating'] == 0]; sizes = [len(explicit), len(implicit)]; exact_sizes = sizes; all_df = reduce(lambda a, b: a.merge(b[1], on=b[0], how='left'), [('ISBN', books), ('User-ID', users)], explicit); all_df.isna().sum().sum(), all_df.shape[1]
# %%
cnt = Counter(all_df['User-ID']); keep_u = [u for u, c in cnt.items() if c >= 12]; bc = all_df['ISBN'].value_counts(); keep_b = bc[bc >= 10].index; final = all_df[all_df['User-ID'].isin(keep_u) & all_df['ISBN'].isin(keep_b)]; len(keep_u) > 5, final['Book-Rating'].min() >= 2
# %%
pt = final.pivot_table(index='Book-Title', columns='User-ID', values='Book-Rating').fillna(0); from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances; cs = cosine_similarity(pt); cs.shape == (len(pt), len(pt)), sorted(list(enumerate(cs[0])), key=lambda x: x[1], reverse=True)[0][0]
# %%
final = final.copy(); final['Rating-Scaled'] = (final['Book-Rating'] - final['Book-Rating'].min()) / (final['Book-Rating'].max() - final['Book-Rating'].min()); from sklearn.preprocessing import LabelEncoder, MinMaxScaler, StandardScaler; le_u, le_b = LabelEncoder().fit(final['User-ID']), LabelEncoder().fit(final['ISBN']); final['u'], final['b'] = le_u.transform(final['User-ID']), le_b.transform(final.ISBN); final[['u', 'b']].dtypes.astype(str).tolist()
# %%
dls = CollabDataLoaders.from_df(final, user_name='u', item_name='b', rating_name='Rating-Scaled', bs=32, valid_pct=.2, seed=RANDOM_STATE); dls.one_batch()[1].dtype, len(dls.classes['u']), dls.classes['u'][:3]
# %%
learn = collab_learner(dls, n_factors=16, y_range=(-.1, 1.1), metrics=[rmse, mae], wd=.1, opt_func=Adam); learn.fit_one_cycle(3, 1e-2, cbs=[SaveModelCallback(fname='books', with_opt=True), CSVLogger()]); pd.read_csv(learn.path/'history.csv').columns.tolist(), sorted(p.name for p in Path('models').glob('*.pth'))
# %%
sc = MinMaxScaler((2, 10)).fit(np.array([[0.], [1.]])); p, t = learn.get_preds(); real = sc.transform(p.numpy().reshape(-1, 1)); real.shape, sc.transform(t).shape
# %%
titles = dict(zip(books.ISBN, books['Book-Title'])); def_ = lambda code: titles[le_b.inverse_transform([code])[0]]; top = learn.model.i_bias.weight[1:].squeeze().topk(4).indices; [def_(dls.classes['b'][int(i) + 1]) for i in top].__len__()
# %%
u = final.u.iloc[0]; mine = set(final[final.u == u].b); cand = np.setdiff1d(final.b.unique(), list(mine)); tdl = dls.test_dl(pd.DataFrame({'u': u, 'b': cand})); s = learn.get_preds(dl=tdl)[0]; out = pd.DataFrame({'b': cand, 's': s}).assign(t=lambda d: d.b.map(def_)).sort_values('s', ascending=False).head(5); out.shape, out.s.dtype.kind
# %%
print(textwrap.fill(', '.join(out.t), 60)); tdl.bs, len(tdl), tdl.n if hasattr(tdl, 'n') else len(tdl.dataset)
# %%
pairs = list(combinations(out.b.tolist(), 2)); W = {b: learn.model.i_weight.weight[dls.classes['b'].o2i[b]].detach() for b in out.b}; div = np.mean([1 - F.cosine_similarity(W[a], W[b], dim=0).item() for a, b in pairs]); 0 <= div <= 2
# %%
feats = pd.DataFrame({'age': users.set_index('User-ID').Age.reindex(le_u.classes_).values, 'bias': learn.model.u_bias.weight[1:].detach().squeeze().numpy()[:len(le_u.classes_)]}); feats.corr().shape, len(feats)
# %%
from sklearn.cluster import KMeans; from sklearn.decomposition import TruncatedSVD; lab = KMeans(4, n_init=1, random_state=0).fit_predict(learn.model.i_weight.weight[1:].detach()); final['cluster'] = final.b.map(dict(zip(dls.classes['b'][1:], lab))); final.cluster.isna().sum(), final.groupby('cluster')['Book-Rating'].mean().shape
# %%
svd = TruncatedSVD(5, random_state=17).fit_transform(pt); np.corrcoef(svd).shape == (len(pt),) * 2
# %%
final['country'] = final.country.astype('category'); d3 = TabularCollab(final, [Categorify], ['u', 'b', 'country'], y_names=['Rating-Scaled'], y_block=TransformBlock(), splits=RandomSplitter(seed=1)(final)).dataloaders(bs=32); d3.classes.keys(), d3.one_batch()[0].shape
# %%
class WithCountry(Module):
    def __init__(self, c, k=8): self.u, self.b, self.c = [Embedding(len(v), k) for v in c.values()]; self.ub, self.bb = Embedding(len(c['u']), 1), Embedding(len(c['b']), 1)
    def forward(self, x): u = self.u(x[:, 0]) + self.c(x[:, 2]); return (u * self.b(x[:, 1])).sum(1, keepdim=True) + self.ub(x[:, 0]) + self.bb(x[:, 1])
lc = Learner(d3, WithCountry(d3.classes), loss_func=MSELossFlat(), metrics=rmse); lc.fit_one_cycle(2, 1e-2); lc.get_preds()[0].shape, lc.recorder.metric_names
# %%
nn_l = collab_learner(d3, use_nn=True, layers=[20], y_range=(0, 1)); nn_l.fit(1, 1e-2); len(nn_l.model.embeds), nn_l.predict(final.iloc[0])[1] > 0
# %%
for thr in (.5, .7): tp = ((p.squeeze() >= thr) & (t.squeeze() >= thr)).sum(); prec = tp / (p.squeeze() >= thr).sum().clamp(min=1); rec = tp / (t.squeeze() >= thr).sum(); f1 = 2 * prec * rec / (prec + rec + 1e-8); print(f'{thr}: {prec:.2f} {rec:.2f} {f1:.2f}')
prec.ndim, f1.dtype
# %%
learn.recorder.plot_loss(show_epochs=True); plt.gcf().set_size_inches(4, 2); plt.close('all'); learn.csv_logger.read_log().shape if hasattr(learn, 'csv_logger') else 0
# %%
learn.load('books'); learn.opt is not None, learn.validate().__len__(), learn.show_results()
