# %% articles and customers of a shop: purchases, no ratings; negatives; recall and MAP at 12
import hashlib, heapq, collections
set_seed(11)
tx = ratings.rename(columns={'user': 'customer_id', 'movie': 'article_id'}).assign(t_dat=pd.to_datetime(ratings.timestamp, unit='s'), price=lambda d: d.rating / 100)
tx['customer_id'] = tx.customer_id.map(lambda u: hashlib.sha256(str(u).encode()).hexdigest()); tx['article_id'] = (tx.article_id + 108775000).astype(str).str.zfill(10); tx = tx[['t_dat', 'customer_id', 'article_id', 'price']].sort_values('t_dat', kind='stable'); tx.dtypes.astype(str).tolist(), tx.iloc[0].article_id
# %%
tx['cid'] = tx.customer_id.str[-8:].apply(int, base=16); tx['cid'].dtype
# %%
last_day = tx.t_dat.max(); cut = last_day - pd.Timedelta(days=2); train_tx, test_tx = tx[tx.t_dat <= cut], tx[tx.t_dat > cut]; exact_sizes = [len(train_tx), len(test_tx)]
# %%
pos = train_tx.groupby(['customer_id', 'article_id']).size().reset_index(name='n'); pos['bought'] = 1; len(pos)
# %%
rng = np.random.default_rng(0); arts, custs = pos.article_id.unique(), pos.customer_id.unique(); seen = set(zip(pos.customer_id, pos.article_id)); neg = [(c, a) for c, a in zip(rng.choice(custs, 4000), rng.choice(arts, 4000)) if (c, a) not in seen]
data = pd.concat([pos[['customer_id', 'article_id', 'bought']], pd.DataFrame(neg, columns=['customer_id', 'article_id']).drop_duplicates().assign(bought=0)], ignore_index=True).sample(frac=1, random_state=0); exact_rate = int(data.bought.sum()); data.index[:1].dtype
# %%
dls = CollabDataLoaders.from_df(data, rating_name='bought', bs=128, seed=5, shuffle=False); x, y = dls.one_batch(); x.dtype, y.dtype, y.unique().tolist(), dls.classes['customer_id'][1][:0]
# %%
learn = collab_learner(dls, n_factors=8, y_range=(0, 1), loss_func=BCELossFlat() if 'BCELossFlat' in globals() else None); learn.loss_func
# %%
learn.fit_one_cycle(2, 2e-2); close_bce = len(learn.recorder.values)
# %%
lg = collab_learner(dls, n_factors=8, loss_func=BCEWithLogitsLossFlat(), metrics=accuracy_multi); lg.fit_one_cycle(1, 2e-2); lg.model.y_range, lg.loss_func.thresh if hasattr(lg.loss_func, 'thresh') else 0
# %%
p, t = lg.get_preds(); p.min() >= 0, p.max() <= 1, p.shape, t.shape, t.dtype
# %%
p2, t2, d2 = lg.get_preds(with_decoded=True); d2.dtype, d2.shape
# %%
from sklearn.metrics import roc_auc_score, average_precision_score, log_loss, precision_recall_curve, roc_curve
auc = roc_auc_score(t.numpy().ravel(), p.numpy().ravel()); ap = average_precision_score(t, p); 0 <= auc <= 1, 0 <= ap <= 1, log_loss(t.squeeze(), p.squeeze()) > 0
# %%
fpr, tpr, _ = roc_curve(t, p); plt.plot(fpr, tpr, label=f'AUC {auc:.2f}'); plt.plot([0, 1], [0, 1], '--'); plt.legend(); plt.close('all')
# %%
def bce_focal(p, t, g=2.): t = t.float().view_as(p); pt = torch.where(t == 1, p.sigmoid(), 1 - p.sigmoid()); return (-(1 - pt) ** g * pt.clamp_min(1e-6).log()).mean()
fo = collab_learner(dls, n_factors=8, loss_func=bce_focal); fo.fit(1, 2e-2); fo.get_preds()[0].shape
# %%
def pos_weighted(p, t): return F.binary_cross_entropy_with_logits(p, t.float().squeeze(1), pos_weight=torch.tensor(3.))
pw = collab_learner(dls, n_factors=8, loss_func=pos_weighted, opt_func=ranger); pw.fit_flat_cos(1, 2e-2); pw.validate()
# %%
lw = Learner(dls, EmbeddingDotBias(8, len(dls.classes['customer_id']), len(dls.classes['article_id'])), loss_func=lambda p, t: nn.BCEWithLogitsLoss()(p, t.squeeze().float()), opt_func=partial(OptimWrapper, opt=torch.optim.AdamW)); lw.fit(1, 1e-2); len(lw.recorder.values[0])
# %%
U, I = lg.model.u_weight.weight.detach(), lg.model.i_weight.weight.detach(); S = U @ I.T + lg.model.i_bias.weight.detach().T; S[:, 0] = -np.inf; S.shape
# %%
codes = {a: i for i, a in enumerate(dls.classes['article_id'])}; cc = dls.classes['customer_id'].o2i
for c, g in train_tx.groupby('customer_id'): S[cc[c], [codes[a] for a in g.article_id]] -= 0
top = S.topk(12, dim=1).indices; top.shape, top.dtype
# %%
popular = train_tx.article_id.value_counts().index[:12].tolist()
def recs(c): return [dls.classes['article_id'][i] for i in top[cc[c]]] if c in cc else popular
def apk(actual, predicted, k=12):
    score = hits = 0.
    for i, p in enumerate(predicted[:k]):
        if p in actual and p not in predicted[:i]: hits += 1.; score += hits / (i + 1.)
    return score / min(len(actual), k) if actual else 0.
actual = test_tx.groupby('customer_id').article_id.apply(set); m = np.mean([apk(a, recs(c)) for c, a in actual.items()]); mp = np.mean([apk(a, popular) for a in actual]); 0 <= m <= 1, len(recs(actual.index[0])), type(recs(actual.index[0])[0]).__name__
# %%
sub = pd.DataFrame({'customer_id': actual.index, 'prediction': [' '.join(recs(c)) for c in actual.index]}); sub.to_csv('submission.csv', index=False); pd.read_csv('submission.csv').prediction.str.split().str.len().unique()
# %%
hits = torch.tensor([[a in actual[c] for a in recs(c)] for c in actual.index]).float(); dcg = (hits / torch.log2(torch.arange(2, 14).float())).sum(1); mrr = (hits / torch.arange(1, 13)).max(1).values.mean(); hits.shape, dcg.shape, mrr.ndim
# %%
test_dl = dls.test_dl(pd.DataFrame({'customer_id': [custs[0]] * 3 + ['nobody'], 'article_id': list(arts[:3]) + ['0000000000']})); lg.get_preds(dl=test_dl)[0].shape, test_dl.items.iloc[-1].tolist() if hasattr(test_dl, 'items') else 0
# %%
class Sampled(Dataset if 'Dataset' in globals() else torch.utils.data.Dataset):
    "a new negative every time"
    def __init__(self, pos, n): self.x = torch.tensor([[cc[c], codes[a]] for c, a in zip(pos.customer_id, pos.article_id)]); self.n = n; self.g = torch.Generator().manual_seed(0)
    def __len__(self): return 2 * len(self.x)
    def __getitem__(self, i):
        x = self.x[i // 2].clone()
        if i % 2: x[1] = torch.randint(1, self.n, (1,), generator=self.g)
        return x, torch.tensor(float(1 - i % 2))
ds = Sampled(pos, len(codes)); sd = DataLoaders.from_dsets(ds, ds, bs=256, shuffle=False); sl = Learner(sd, EmbeddingDotBias(8, len(cc), len(codes)), loss_func=F.binary_cross_entropy_with_logits); sl.fit(1, 1e-2); sd.one_batch()[0].shape, sd.one_batch()[1].dtype
# %%
class BPR(Module):
    def __init__(self, nu, ni, k=8): self.u, self.i = Embedding(nu, k), Embedding(ni, k)
    def forward(self, u, i, j): u = self.u(u); return (u * (self.i(i) - self.i(j))).sum(-1)
def bpr_loss(d, *_): return -F.logsigmoid(d).mean()
trip = TensorDataset(ds.x[:, 0], ds.x[:, 1], torch.randint(1, len(codes), (len(ds.x),)), torch.zeros(len(ds.x))) if 'TensorDataset' in globals() else torch.utils.data.TensorDataset(ds.x[:, 0], ds.x[:, 1], torch.randint(1, len(codes), (len(ds.x),)), torch.zeros(len(ds.x)))
bd = DataLoaders(DataLoader(trip, bs=128, shuffle=True), DataLoader(trip, bs=128)); bl = Learner(bd, BPR(len(cc), len(codes)), loss_func=bpr_loss); bl.fit(2, 1e-2); bl.recorder.values[-1][0] < 2, bd.n_inp, len(bd.one_batch())
