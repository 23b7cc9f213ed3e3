# %% a blog post of pictures: biases, maps, matrices of similarity, users, training curves
import matplotlib.cm as cm
from mpl_toolkits.axes_grid1 import make_axes_locatable
plt.style.use('ggplot'); plt.rcParams['figure.figsize'] = (4, 3); df = ratings.merge(movies); df['decade'] = (df.title.str.extract(r'\((\d{4})\)')[0].astype(int) // 10) * 10; df.groupby('decade').size()
# %%
fig, axs = plt.subplots(2, 2); df.rating.value_counts().sort_index().plot.bar(ax=axs[0, 0]); df.groupby('user').size().plot.hist(ax=axs[0, 1]); df.groupby('title').size().sort_values().plot(ax=axs[1, 0]); df.groupby('decade').rating.mean().plot(ax=axs[1, 1]); fig.tight_layout(); plt.close(fig)
# %%
dls = CollabDataLoaders.from_df(df, item_name='title', bs=128, seed=42); dls.show_batch(max_n=4, show=False) if False else dls.show_batch(max_n=4)
# %%
set_seed(1); learn = collab_learner(dls, n_factors=12, y_range=(0, 5.5), metrics=[rmse], opt_func=partial(Adam, sqr_mom=.99)); r = learn.lr_find(show_plot=True, suggest_funcs=(valley, slide)); fig = plt.gcf(); len(fig.axes) > 0, bool(0 < r.valley < 10); plt.close('all')
# %%
r = learn.lr_find(start_lr=1e-6, end_lr=1, num_it=40, suggest_funcs=(SuggestionMethod.Valley, SuggestionMethod.Steep)); r.valley, r.steep
# %%
v, s = r; bool(v == r.valley)
# %%
learn.lr_find(num_it=30, suggest_funcs=None, show_plot=False) is None
# %%
learn.fit_one_cycle(4, r.valley if r.valley > 1e-4 else 5e-3, wd=.1); learn.recorder.plot_loss(skip_start=0, with_valid=True); plt.title('loss'); plt.close()
# %%
fig, ax = plt.subplots(); learn.recorder.plot_loss(ax=ax); ax.get_legend() is not None, len(ax.lines); plt.close(fig)
# %%
len(ax.lines)
# %%
learn.recorder.plot_sched(keys=['lr', 'mom'], figsize=(6, 2)); plt.close('all'); sorted(learn.recorder.hps)
# %%
len(learn.recorder.hps['lr']), bool(learn.recorder.hps['lr'][0] < max(learn.recorder.hps['lr']))
# %%
tl, vl = L(learn.recorder.values).itemgot(0), L(learn.recorder.values).itemgot(1); plt.plot(tl, label='train'); plt.plot(vl, label='valid'); plt.legend(); plt.close(); tl, vl
# %%
b = learn.model.i_bias.weight.squeeze(); order = b.argsort(); worst, best = [dls.classes['title'][i] for i in order[:5]], [dls.classes['title'][i] for i in order.flip(0)[:5]]; len(worst), len(best)
# %%
vals = to_np(b[order]); plt.figure(figsize=(5, 2)); plt.bar(range(len(vals)), vals, color=cm.RdYlGn((vals - vals.min()) / (vals.max() - vals.min()))); plt.axhline(0, c='k'); plt.close()
# %%
labels = [dls.classes['title'][i] for i in order.tolist()]; plt.barh(labels[:5] + labels[-5:], np.r_[vals[:5], vals[-5:]]); plt.gca().invert_yaxis(); plt.close()
# %%
g = df.groupby('title').rating.count(); top = g.sort_values(ascending=False).index.values[:30]; idx = tensor([learn.dls.classes['title'].o2i[m] for m in top]); W = learn.model.i_weight.weight[idx].cpu().detach(); P = W.pca(3); P.shape, abs(float(P.mean())) < 1
# %%
f0, f1, f2 = P.t(); plt.figure(figsize=(6, 6)); plt.scatter(f0, f2);
for t, x, y in zip(top[:10], f0[:10], f2[:10]): plt.annotate(t, (x, y), xytext=(2, 2), textcoords='offset points')
plt.close()
# %%
ax = plt.figure().add_subplot(projection='3d'); ax.scatter(f0, f1, f2, c=f0); plt.close()
# %%
from sklearn.manifold import TSNE, MDS; from sklearn.preprocessing import StandardScaler; Z = StandardScaler().fit_transform(W); Y = TSNE(2, perplexity=6, init='pca', random_state=1).fit_transform(Z); Y.shape
# %%
MDS(2, random_state=0, n_init=1, max_iter=20).fit_transform(Z).shape
# %%
def nn_graph(X, k=3): d = torch.cdist(X, X); d.fill_diagonal_(float('inf')); return d.topk(k, largest=False).indices
nn_graph(W).shape, nn_graph(P).dtype
# %%
C = torch.corrcoef(W); plt.matshow(C); plt.colorbar(); plt.close(); C.shape
# %%
S = F.cosine_similarity(W[:, None], W[None], dim=-1); im = plt.imshow(S, vmin=-1, vmax=1, cmap='coolwarm'); div = make_axes_locatable(plt.gca()); plt.colorbar(im, cax=div.append_axes('right', size='5%')); plt.close(); bool(torch.allclose(S.diag(), torch.ones(len(S)), atol=1e-5))
# %%
pairs = [(float(S[i, j]), top[i], top[j]) for i, j in itertools.combinations(range(8), 2)]; sorted(pairs, reverse=True)[:3].__len__()
# %%
U = learn.model.u_weight.weight.detach()[1:]; ub = learn.model.u_bias.weight.detach()[1:, 0]; plt.scatter(ub, df.groupby('user').rating.mean().loc[list(dls.classes['user'])[1:]]); plt.close(); U.shape, ub.shape
# %%
hist, edges = np.histogram(ub, bins=6); hist.sum() == len(ub), edges.shape
# %%
fav = (U @ learn.model.i_weight.weight.detach()[1:].T + learn.model.i_bias.weight.detach()[1:].T).argmax(1); Counter(fav.tolist()).most_common(2).__len__()
# %%
movie_df = pd.DataFrame(learn.model.i_weight.weight.detach().numpy(), index=list(dls.classes['title']), columns=[f'f{i}' for i in range(12)]).iloc[1:]; movie_df.describe().loc[['mean', 'std']]
# %%
corr = movie_df.join(df.groupby('title').decade.first()).corr().decade.drop('decade'); corr.plot.bar(); plt.close(); corr.shape
# %%
axis = movie_df.f0.sort_values(); pd.concat([axis.head(3), axis.tail(3)])
# %%
avg = movie_df.groupby(df.groupby('title').decade.first()).mean(); plt.imshow(avg); plt.yticks(range(len(avg)), avg.index); plt.close(); avg.shape
# %%
p, t = learn.get_preds(); plt.violinplot([p[t[:, 0] == k].numpy() for k in range(1, 6)]) if (torch.bincount(t.flatten().long(), minlength=6)[1:] > 1).all() else None; plt.close('all')
# %%
res = pd.DataFrame({'p': p.squeeze(-1), 't': t.squeeze(-1)}); res.groupby('t').p.agg(['mean', 'std', 'size'])
# %%
res['t'].plot.kde if False else res.p.hist(alpha=.5, bins=15); res.t.hist(alpha=.5, bins=15); plt.close()
# %%
noise = torch.linspace(0, .5, 5); ll = []
for s in noise:
    m = deepcopy(learn.model); m.i_weight.weight.data += s * torch.randn_like(m.i_weight.weight); x, y = dls.valid.one_batch(); ll.append(F.mse_loss(m(x), y.squeeze(-1).float()).item())
plt.plot(noise, ll); plt.close(); len(ll)
# %%
sizes = []
for f in (2, 4, 8):
    l = collab_learner(dls, n_factors=f, y_range=(0, 5.5)); 
    with l.no_bar(), l.no_logging(): l.fit_one_cycle(1, 5e-3)
    sizes.append((f, float(l.recorder.values[-1][1]), sum(p.numel() for p in l.parameters())))
pd.DataFrame(sizes, columns=['k', 'loss', 'params']).plot('k', 'loss', marker='o'); plt.close()
# %%
wds = {}
for wd in (0., .1, .5):
    l = collab_learner(dls, n_factors=8, y_range=(0, 5.5), metrics=rmse); l.fit_one_cycle(1, 5e-3, wd=wd); wds[wd] = l.recorder.values[-1]
pd.DataFrame(wds, index=['train', 'valid', 'rmse']).T
# %%
class Tracker(Callback):
    def before_fit(self): self.norms = []
    def after_epoch(self): self.norms.append([p.norm().item() for p in self.model.parameters()])
tr = Tracker(); l.fit(2, 1e-3, cbs=tr); plt.plot(tr.norms); plt.close(); np.array(tr.norms).shape
# %%
st = ActivationStats(with_hist=True) if False else None; learn.show_training_loop()
# %%
img = plt.imread(io.BytesIO()) if False else None; buf = io.BytesIO(); plt.plot([1, 2]); plt.savefig(buf, format='png'); plt.close(); buf.getvalue()[:4] == b'\x89PNG'
# %%
learn.dls.train.dataset.show(2) if hasattr(learn.dls.train.dataset, 'show') else None
# %%
fig, ax = plt.subplots(); subplots(1, 2)[1].shape if 'subplots' in globals() else None; plt.close('all')
# %%
get_grid(4)[0] if 'get_grid' in globals() else None; plt.close('all')
# %%
colors = L('r', 'g', 'b').cycle() if hasattr(L, 'cycle') else None; next(iter(colors))
# %%
L(range(5)).shuffle().__len__(), L(1, 2, 3).reduce(operator.add), L('b', 'a').sorted(), L([1, 2], [3]).concat(), L(1, 2).enumerate()
