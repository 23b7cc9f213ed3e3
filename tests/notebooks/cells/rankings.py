# %% a study of rankings: precision, recall, MAP, NDCG, coverage, personalisation, intra-list distance; per user tables; users new to the model
from fastai.collab import *
from fastai.tabular.all import *
from scipy.stats import spearmanr, kendalltau
df = ratings.merge(movies).sort_values(['timestamp', 'user'], kind='stable').reset_index(drop=True); test = df.groupby('user', group_keys=False).tail(4); splits = (df.index.difference(test.index).tolist(), test.index.tolist()); to = TabularCollab(df, [Categorify], ['user', 'title'], y_names=['rating'], y_block=TransformBlock(), splits=splits); dls = to.dataloaders(bs=64, shuffle=False); exact_n = [len(s) for s in splits]
def filled(m, s=.3):
    for k, q in enumerate(m.parameters()): q.data = (torch.sin(torch.arange(q.numel()) * .37 + k) * s).view_as(q)
    return m
learn = collab_learner(dls, n_factors=8, y_range=(.5, 5.5), metrics=[rmse, mae, R2Score(), SpearmanCorrCoef(), PearsonCorrCoef(), ExplainedVariance()]); filled(learn.model); learn.fit_one_cycle(3, 1e-2, wd=.1); close_fit = [[float(v) for v in r] for r in learn.recorder.values]; learn.recorder.metric_names
# %%
users, titles = df.user.unique(), df.title.unique(); grid = pd.DataFrame(list(itertools.product(users, titles)), columns=['user', 'title']); grid['score'] = learn.get_preds(dl=learn.dls.test_dl(grid))[0].numpy().ravel(); grid.shape, grid.score.between(.5, 5.5).all()
# %%
close_scores = grid.groupby('user').score.max().head().tolist()
# %%
seen = df.loc[splits[0], ['user', 'title']].assign(seen=1); cand = grid.merge(seen, how='left'); cand = cand[cand.seen.isna()].drop(columns='seen'); cand['rank'] = cand.groupby('user').score.rank(ascending=False, method='first'); top = cand[cand['rank'] <= 10].sort_values(['user', 'rank']); top.groupby('user').size().unique()
# %%
rel = test[test.rating >= 4].groupby('user').title.apply(set)
def prf(k): t = top[top['rank'] <= k].groupby('user').title.apply(list); hits = pd.Series({u: len(set(t[u]) & rel[u]) for u in rel.index}); return hits.mean() / k, (hits / rel.map(len)).mean()
close_prf = [list(map(float, prf(k))) for k in (5, 10)]
# %%
def ap(rec, r, k=10): return sum((sum(x in r for x in rec[:i + 1]) / (i + 1)) * (t in r) for i, t in enumerate(rec[:k])) / min(len(r), k)
lists = top.groupby('user').title.apply(list); close_map = float(np.mean([ap(lists[u], rel[u]) for u in rel.index]))
# %%
def ndcg(rec, r, k=10): g = np.array([t in r for t in rec[:k]], float); d = 1 / np.log2(np.arange(2, len(g) + 2)); return (g * d).sum() / d[:min(len(r), k)].sum()
close_ndcg = float(np.mean([ndcg(lists[u], rel[u]) for u in rel.index])); close_mrr = float(np.mean([max([1 / (i + 1) for i, t in enumerate(lists[u]) if t in rel[u]], default=0) for u in rel.index]))
# %%
cover = top.title.nunique() / len(titles); gini = lambda x: (2 * np.arange(1, len(x) + 1) - len(x) - 1) @ np.sort(x) / (len(x) * x.sum()); close_cover = [float(cover), float(gini(top.title.value_counts().reindex(titles).fillna(0).values))]
# %%
from sklearn.metrics.pairwise import cosine_similarity
onehot = pd.crosstab(top.user, top.title); C = cosine_similarity(onehot); close_pers = float(1 - C[np.triu_indices_from(C, 1)].mean()); E = F.normalize(learn.model.i_weight.weight.detach(), dim=1); o2i = dls.classes['title'].o2i
close_ild = float(np.mean([1 - (E[[o2i[t] for t in l]] @ E[[o2i[t] for t in l]].T)[torch.triu(torch.ones(len(l), len(l)), 1).bool()].mean().item() for l in lists]))
# %%
p, t = learn.get_preds(); per = pd.DataFrame({'user': df.loc[splits[1], 'user'].values, 'p': p.view(-1), 't': t.view(-1)}); per['sq'] = (per.p - per.t) ** 2; by = per.groupby('user').sq.mean(); close_by = by.head(5).tolist(); by.shape
# %%
close_corrs = [float(spearmanr(per.p, per.t)[0]), float(kendalltau(per.p, per.t)[0]), float(np.corrcoef(per.p, per.t)[0, 1])]
# %%
abs(close_corrs[0] - close_fit[-1][5]) < 1e-4, abs(close_corrs[2] - close_fit[-1][6]) < 1e-4
# %%
close_hand = [float(rmse(p, t)), float(mae(p, t)), float(((p - t) ** 2).mean()) if p.shape == t.shape else float(((p.view(-1) - t.view(-1)) ** 2).mean()), float(1 - per.sq.sum() / ((per.t - per.t.mean()) ** 2).sum())]; [abs(a - b) < 1e-4 for a, b in zip([close_hand[0], close_hand[1], close_hand[3]], [close_fit[-1][2], close_fit[-1][3], close_fit[-1][4]])]
# %%
bins = pd.cut(per.p, [0, 2, 3, 4, 6]); cal = per.groupby(bins, observed=True).agg(p=('p', 'mean'), t=('t', 'mean'), n=('t', 'size')); cal.columns.tolist()
# %%
thr = np.linspace(2, 4.5, 6); pr = [((per.p > h) & (per.t >= 4)).sum() / max((per.p > h).sum(), 1) for h in thr]; close_pr = list(map(float, pr))
# %%
from sklearn.metrics import roc_curve, auc, classification_report, confusion_matrix
fpr, tpr, _ = roc_curve(per.t >= 4, per.p); close_auc = float(auc(fpr, tpr)); confusion_matrix(per.t.astype(int), per.p.round().clip(1, 5).astype(int)).shape
# %%
plt.plot(fpr, tpr); plt.close(); pop = df.loc[splits[0]].title.value_counts(); popular = pop.index[:10].tolist(); close_pop = float(np.mean([ndcg([x for x in popular if x not in set(seen[seen.user == u].title)], rel[u]) for u in rel.index]))
# %%
mean_base = df.loc[splits[0]].groupby('title').rating.mean(); pb = df.loc[splits[1]].title.map(mean_base); close_base = float(np.sqrt(((pb - df.loc[splits[1]].rating) ** 2).mean()))
# %%
strangers = pd.DataFrame({'user': [901, 902], 'title': titles[:2]}); s = learn.get_preds(dl=learn.dls.test_dl(strangers))[0]; close_s = s.view(-1).tolist()
# %%
z = learn.model(torch.tensor([[0, o2i[titles[0]]], [0, o2i[titles[1]]]])); torch.allclose(z.detach(), s.view(-1), atol=1e-5)
# %%
boot = [per.sample(frac=1, replace=True, random_state=k).sq.mean() ** .5 for k in range(20)]; lo, hi = np.percentile(boot, [2.5, 97.5]); lo < close_hand[0] < hi
# %%
users_b = pd.Series(to_np(learn.model.u_bias.weight.squeeze()), index=list(dls.classes['user'])).drop('#na#'); act = df.user.value_counts(); users_b.index.dtype.kind, pd.concat([users_b, act], axis=1).shape
# %%
learn.validate(dl=dls.test_dl(df.loc[splits[1]], with_labels=True)), learn.validate(ds_idx=0)
# %%
close_val = [float(v) for v in learn.validate(dl=dls.test_dl(df.loc[splits[1]], with_labels=True))]
# %%
learn.get_preds(dl=dls.test_dl(df.loc[splits[1]]))[1]
# %%
sims = {t: [dls.classes['title'][i] for i in (E @ E[o2i[t]]).topk(4).indices[1:].tolist()] for t in titles[:3]}; [len(v) for v in sims.values()]
# %%
wide = grid.pivot(index='user', columns='title', values='score'); wide.shape, wide.loc[users[0]].nlargest(3).index.name
# %%
wide.to_numpy().dtype.kind, wide.rank(axis=1, ascending=False).min().min()
