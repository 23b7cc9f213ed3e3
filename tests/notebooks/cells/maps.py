# %% pictures of embeddings
set_seed(7); df = ratings.merge(movies); dls = CollabDataLoaders.from_df(df, item_name='title', bs=64, seed=4, shuffle=False); learn = collab_learner(dls, n_factors=8, y_range=(0, 5.5))
with torch.no_grad():
    for i, p in enumerate(learn.model.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() * .37 + i).view_as(p) * .3)
learn.fit_one_cycle(2, 1e-2); g = df.groupby('title')['rating'].count(); top = g.sort_values(ascending=False, kind='stable').index.values[:20]; top.shape, top.dtype.kind
# %%
movie_bias = learn.model.bias(top, is_item=True); movie_bias.shape, movie_bias.requires_grad, movie_bias.dtype
# %%
mean_ratings = df.groupby('title')['rating'].mean(); movie_ratings = [(b, i, mean_ratings.loc[i]) for i, b in zip(top, movie_bias)]; item0 = lambda o: o[0]; len(sorted(movie_ratings, key=item0)[:5]), sorted(movie_ratings, key=itemgetter(0), reverse=True)[0].__len__()
# %%
movie_w = learn.model.weight(top, is_item=True); pca = movie_w.pca(3); movie_w.shape, pca.shape, pca.requires_grad
# %%
fac0, fac1, fac2 = pca.t(); comp = [(f, i) for f, i in zip(fac0, top)]; len(sorted(comp, key=itemgetter(0), reverse=True)[:4]), fac0.shape
# %%
X, Y = fac0[:10], fac2[:10]; plt.figure(figsize=(4, 4)); plt.scatter(X, Y)
for t, x, y in zip(top[:10], X, Y): plt.text(x, y, t, color=np.random.rand(3) * .7, fontsize=8)
plt.show(); plt.close('all')
# %%
from sklearn.decomposition import PCA, TruncatedSVD; from sklearn.manifold import TSNE; from sklearn.cluster import KMeans, AgglomerativeClustering; from sklearn.neighbors import NearestNeighbors; from sklearn.metrics.pairwise import cosine_similarity
W = to_np(movie_w); pc = PCA(2, random_state=0).fit(W); close_var = pc.explained_variance_ratio_.tolist(); W.dtype.kind, pc.transform(W).shape
# %%
TSNE(2, perplexity=5, random_state=0, init='pca').fit_transform(W).shape, TSNE(n_components=2, perplexity=4, init='random', random_state=1).fit_transform(movie_w.numpy()).dtype.kind
# %%
km = KMeans(3, n_init=2, random_state=0).fit(movie_w); km.labels_.shape, pd.DataFrame({'t': top, 'c': km.labels_}).groupby('c').t.count().sum()
# %%
AgglomerativeClustering(4).fit_predict(movie_w.detach().cpu().numpy()).shape, NearestNeighbors(n_neighbors=3, metric='cosine').fit(W).kneighbors(W[:2])[1].shape, cosine_similarity(movie_w).shape
# %%
movie_factors = learn.model.i_weight.weight; idx = dls.classes['title'].o2i['Film 05 (1955)']; distances = nn.CosineSimilarity(dim=1)(movie_factors, movie_factors[idx][None]); order = distances.argsort(descending=True); exact_self = int(order[0]) == idx; dls.classes['title'][order[1]] in dls.classes['title'].items
# %%
close_dist = [float(distances[order[0]]), float(distances[order[1]])]; dls.classes['title'][order[1:4]], distances.shape
# %%
[dls.classes['title'][i] for i in order[:3]], dls.classes['title'].items[order[0]], np.array(dls.classes['title'])[order[:3].numpy()].shape
# %%
def neighbours(t, k=3, metric='cos'):
    v = learn.model.weight([t]); al = learn.model.i_weight.weight.detach()
    d = 1 - F.cosine_similarity(al, v) if metric == 'cos' else (al - v).norm(dim=1); return L(dls.classes['title'])[d.argsort()[1:k + 1].tolist()]
neighbours(top[0]), neighbours(top[1], metric='l2')
# %%
M = F.normalize(movie_w, dim=1); S = M @ M.T; plt.imshow(S, cmap='viridis'); plt.colorbar(); plt.xticks(range(20), top, rotation=90); plt.close('all'); close_S = float(S.mean()); S.shape, S.triu(1).max().shape
# %%
import scipy.cluster.hierarchy as sch; Z = sch.linkage(movie_w.numpy(), 'ward'); sch.dendrogram(Z, labels=top, no_plot=True)['ivl'].__len__(), Z.shape
# %%
U, s, V = torch.linalg.svd(movie_w, full_matrices=False); close_s = s.tolist(); U.shape, V.shape
# %%
user_w = learn.model.weight(list(dls.classes['user'])[1:6], is_item=False); user_w.shape, learn.model.weight(dls.classes['user'][1:6], is_item=False).shape, learn.model.bias(L(1, 2, 3), is_item=False).shape
# %%
learn.model.weight(pd.Series(top)).shape, learn.model.weight(top[:2].tolist()).shape, learn.model.bias(pd.Index(top)).shape, learn.model.weight(np.array(top)).shape
# %%
ax = pd.DataFrame(pca.numpy(), columns=['x', 'y', 'z'], index=top).plot.scatter('x', 'y'); ax.set_title('films'); plt.close('all'); fig = plt.figure(); fig.add_subplot(projection='3d').scatter(*pca.T); plt.close(fig)
# %%
emb_df = pd.DataFrame(learn.model.i_weight.weight.tolist(), index=list(dls.classes['title'])).add_prefix('f'); emb_df.to_csv('emb.tsv', sep='\t', header=False); emb_df.shape, pd.read_csv('emb.tsv', sep='\t', header=None).shape
# %%
with open('vecs.txt', 'w') as f:
    for t, v in zip(dls.classes['title'], learn.model.i_weight.weight.data): f.write(t.replace(' ', '_') + ' ' + ' '.join(f'{x:.4f}' for x in v) + '\n')
len(Path('vecs.txt').read_text().splitlines())
# %%
np.save('w.npy', learn.model.i_weight.weight.detach()); np.load('w.npy').shape, torch.save({'w': learn.model.i_weight.weight, 'c': list(dls.classes['title'])}, 'x.pt')
# %%
a = learn.model.weight(['Film 01 (1951)']) - learn.model.weight(['Film 02 (1952)']) + learn.model.weight(['Film 03 (1953)']); F.cosine_similarity(a, learn.model.i_weight.weight).topk(2).indices.shape
# %%
nrm = learn.model.i_weight.weight.norm(p=2, dim=1); pd.Series(nrm.detach(), index=dls.classes['title']).sort_values().shape, np.corrcoef(nrm.detach()[1:], df.groupby('title').size().reindex(list(dls.classes['title'])[1:]))[0].shape
# %%
plt.style.use('default'); fig, axs = plt.subplots(2, 2); axs.flat[0].hist(movie_factors.flatten().detach(), bins=20); axs[1, 1].bar(range(3), pca.abs().mean(0)); plt.close(fig)
# %%
d2 = TensorBase(movie_w); d2.shape, type(movie_w).__name__, movie_w.device.type, movie_w.is_leaf
# %%
pca2 = movie_w.pca(2); torch.allclose(pca2.mean(0), torch.zeros(2), atol=1e-4), pca2.std(0)[0] >= pca2.std(0)[1], torch.pca_lowrank(movie_w, 2)[0].shape
