# %% plays, likes and sequences: negative samples, ranking losses, autoencoders, histories
plays = ratings.rename(columns={'user': 'user_id', 'movie': 'artist', 'rating': 'weight'}).assign(weight=lambda d: (d.weight ** 3 + 1).astype(float))
plays['artist'] = plays.artist.map(lambda i: f'artist {i:02d}')
plays['log_weight'] = np.log1p(plays.weight)
plays.groupby('user_id').weight.agg(['sum', 'count']).describe().loc['mean'].shape
# %%
top_artists = plays.groupby('artist').weight.sum().nlargest(5); top_artists.index.tolist() != [], top_artists
# %%
plays['scaled'] = plays.groupby('user_id').weight.transform(lambda s: (s - s.min()) / (s.max() - s.min() + 1e-9) * 5)
dls = CollabDataLoaders.from_df(plays, user_name='user_id', item_name='artist', rating_name='scaled', bs=128, seed=7, valid_pct=0.15); dls.show_batch(max_n=3)
# %%
learn = collab_learner(dls, n_factors=6, y_range=(-0.2, 5.2), metrics=[rmse, mae], wd=0.05); learn.fit_one_cycle(2, 5e-3); learn.recorder.values[-1]
# %%
dls.one_batch()[1].dtype, dls.valid.one_batch()[1]
# %%
user_codes, artists = plays.user_id.astype('category').cat.codes.values, plays.artist.astype('category'); artists.cat.codes.max(), len(artists.cat.categories)
# %%
from scipy.sparse import csr_matrix, coo_matrix
M = csr_matrix((plays.weight, (user_codes, artists.cat.codes)), shape=(user_codes.max() + 1, len(artists.cat.categories))); M.shape, M.nnz > 0
# %%
from scipy.sparse.linalg import svds
U, s, Vt = svds(M.astype(float), k=4); U.shape, s.shape, Vt.shape
# %%
from sklearn.preprocessing import LabelEncoder, MinMaxScaler, StandardScaler
le_u, le_i = LabelEncoder(), LabelEncoder(); plays['u'] = le_u.fit_transform(plays.user_id); plays['i'] = le_i.fit_transform(plays.artist)
n_u, n_i = len(le_u.classes_), len(le_i.classes_); plays[['u', 'i']].max().tolist(), le_i.inverse_transform([0, 3]).tolist()
# %% leave one out, four negatives each
plays['rank'] = plays.groupby('user_id').timestamp.rank(method='first', ascending=False)
train, test = plays[plays['rank'] > 1][['u', 'i']], plays[plays['rank'] == 1][['u', 'i']]; len(train) + len(test) == len(plays)
# %%
rng, seen = np.random.RandomState(0), set(zip(plays.u, plays.i)); users, items, labels = [], [], []
for u, i in zip(train.u, train.i):
    users.append(u); items.append(i); labels.append(1.)
    for _ in range(2):
        j = rng.randint(n_i)
        while (u, j) in seen and rng.rand() < 0.9: j = rng.randint(n_i)
        users.append(u); items.append(j); labels.append(0.)
neg = pd.DataFrame({'user': users, 'item': items, 'label': labels}); neg.label.mean(), neg.shape
# %%
ndls = CollabDataLoaders.from_df(neg, rating_name='label', bs=256, seed=3)
ncf = collab_learner(ndls, use_nn=True, layers=[16, 8], loss_func=BCEWithLogitsLossFlat(), metrics=[accuracy_multi], emb_szs={'user': 8, 'item': 8}); ncf.fit_one_cycle(1, 1e-2); ncf.recorder.metric_names
# %%
p, t = ncf.get_preds(); float(p.min()) >= 0, float(p.max()) <= 1, p, t
# %%
def hit_ratio(model_fn, k=10):
    hits = []
    for u, i in zip(test.u, test.i):
        s = model_fn(u); rank = int((s > s[i]).sum()); hits.append(rank < k)
    return np.mean(hits)
def scores(u):
    frame = pd.DataFrame({'user': u, 'item': range(n_i)})
    with ncf.no_bar(): return ncf.get_preds(dl=ndls.test_dl(frame, bs=512))[0].squeeze(-1).numpy()
scores(3).shape, 0 <= hit_ratio(lambda u: scores(u) if u < 3 else np.zeros(n_i)) <= 1
# %%
class NCF(nn.Module):
    def __init__(self, nu, ni, k=8):
        super().__init__(); self.user_embedding, self.item_embedding = nn.Embedding(nu, k), nn.Embedding(ni, k); self.fc1, self.fc2, self.output = nn.Linear(2 * k, 16), nn.Linear(16, 8), nn.Linear(8, 1)
    def forward(self, x):
        v = torch.cat([self.user_embedding(x[:, 0]), self.item_embedding(x[:, 1])], dim=-1)
        return nn.Sigmoid()(self.output(nn.ReLU()(self.fc2(nn.ReLU()(self.fc1(v))))))
l = Learner(ndls, NCF(len(ndls.classes['user']), len(ndls.classes['item'])), loss_func=BCELossFlat(), metrics=[accuracy_multi] if False else []); l.fit(1, 1e-3); l.get_preds()[0]
# %%
l = Learner(ndls, NCF(len(ndls.classes['user']), len(ndls.classes['item'])), loss_func=nn.BCELoss()); l.fit(1, 1e-3) if False else l.loss_func
# %% pairs of items: a ranking loss
class Triples(torch.utils.data.Dataset):
    def __init__(self, frame, n_i, seed=0): self.u, self.i, self.rng, self.n_i = frame.u.values, frame.i.values, np.random.RandomState(seed), n_i
    def __len__(self): return len(self.u)
    def __getitem__(self, k): return int(self.u[k]), int(self.i[k]), int(self.rng.randint(self.n_i)), 1.
tdls = DataLoaders.from_dsets(Triples(train, n_i), Triples(test, n_i, 1), bs=64, num_workers=0); [o.shape for o in tdls.one_batch()], [str(o.dtype) for o in tdls.one_batch()]
# %%
class BPR(Module):
    def __init__(self, nu, ni, k=6): self.u, self.i, self.b = Embedding(nu, k), Embedding(ni, k), Embedding(ni, 1)
    def score(self, u, i): return (self.u(u) * self.i(i)).sum(-1) + self.b(i).squeeze(-1)
    def forward(self, u, i, j): return self.score(u, i) - self.score(u, j)
def bpr_loss(diff, y): return -F.logsigmoid(diff).mean()
def auc(diff, y): return (diff > 0).float().mean()
l = Learner(tdls, BPR(n_u, n_i), loss_func=bpr_loss, metrics=[auc], opt_func=partial(Adam, wd=1e-4)); l.fit(2, 1e-2); l.recorder.metric_names
# %%
l.get_preds()[0]
# %%
l.validate()
# %%
l.model.score(tensor([1, 2]), tensor([3, 4]))
# %%
with torch.no_grad(): S = l.model.u.weight @ l.model.i.weight.T + l.model.b.weight.squeeze()
S[torch.arange(n_u)[:, None], S.topk(3, dim=1).indices]
# %%
class Hinge(nn.Module):
    def __init__(self, margin=0.5): super().__init__(); self.margin = margin
    def forward(self, diff, y): return F.relu(self.margin - diff).mean()
l.loss_func = Hinge(); l.fit(1, 1e-3)
# %%
class WARP(Callback):
    "counts how many pairs are in order"
    def before_fit(self): self.right = self.n = 0
    def after_pred(self):
        if not self.training: self.right += int((self.pred > 0).sum()); self.n += len(self.pred)
c = WARP(); l.fit(1, 1e-3, cbs=c); exact_n = c.n; 0 <= c.right <= c.n
# %% rows of a matrix: an autoencoder
R = torch.zeros(n_u, n_i); R[plays.u.values, plays.i.values] = tensor(plays.scaled.values).float(); R
# %%
adls = DataLoaders.from_dsets(list(zip(R[:48], R[:48])), list(zip(R[48:], R[48:])), bs=16); x, y = adls.one_batch(); x, y
# %%
class AutoRec(nn.Module):
    def __init__(self, n, k=10): super().__init__(); self.enc, self.dec = nn.Sequential(nn.Linear(n, k), nn.Sigmoid(), nn.Dropout(0.05)), nn.Linear(k, n)
    def forward(self, x): return self.dec(self.enc(x))
def masked_mse(p, t): m = t > 0; return ((p - t)[m] ** 2).mean()
def masked_rmse(p, t): return masked_mse(p, t).sqrt()
l = Learner(adls, AutoRec(n_i), loss_func=masked_mse, metrics=[masked_rmse], wd=1e-4); l.fit_one_cycle(3, 1e-2); l.recorder.metric_names
# %%
p, t = l.get_preds(); p, t
# %%
l.predict(R[0])[0] if False else l.model.eval()(R[:2])
# %%
l.summary() is not None
# %%
class VAE(Module):
    def __init__(self, n, k=4): self.e, self.mu, self.lv, self.d = nn.Linear(n, 12), nn.Linear(12, k), nn.Linear(12, k), nn.Linear(k, n)
    def forward(self, x):
        h = torch.tanh(self.e(F.dropout(F.normalize(x), 0.5, self.training))); mu, lv = self.mu(h), self.lv(h)
        z = mu + torch.randn_like(mu) * (0.5 * lv).exp() if self.training else mu
        return self.d(z), mu, lv
def elbo(out, y, beta=0.2):
    logits, mu, lv = out; return -(F.log_softmax(logits, 1) * (y > 0).float()).sum(1).mean() - beta * 0.5 * (1 + lv - mu.pow(2) - lv.exp()).sum(1).mean()
l = Learner(adls, VAE(n_i), loss_func=elbo); l.fit(2, 1e-2); l.validate()
# %%
out = l.get_preds()[0]; len(out), [o.shape for o in out] if isinstance(out, (tuple, list)) else out
# %%
def recall_at(k, logits, target): best = logits.topk(k).indices; return (target.gather(1, best) > 0).float().sum(1) / target.gt(0).sum(1).clamp(max=k)
with torch.no_grad(): r = recall_at(5, l.model.eval()(R)[0], R)
r
# %% histories: what comes next
hist = plays.sort_values(['u', 'timestamp']).groupby('u').i.agg(list); maxlen = 8
def pad(h, n=maxlen): h = [j + 1 for j in h[-n:]]; return [0] * (n - len(h)) + h
seqs = [(tensor(pad(h[:k])), h[k] + 1) for h in hist for k in range(1, len(h))]; len(seqs), seqs[0][0]
# %%
cut = int(len(seqs) * 0.9); sdls = DataLoaders.from_dsets(seqs[:cut], seqs[cut:], bs=64); x, y = sdls.one_batch(); x, y
# %%
class GRU4Rec(Module):
    def __init__(self, n, k=12): self.e, self.g, self.o = nn.Embedding(n + 1, k, padding_idx=0), nn.GRU(k, k, batch_first=True), nn.Linear(k, n + 1)
    def forward(self, x): return self.o(self.g(self.e(x))[0][:, -1])
l = Learner(sdls, GRU4Rec(n_i), loss_func=CrossEntropyLossFlat(), metrics=[accuracy, partial(top_k_accuracy, k=5)]); l.fit_one_cycle(1, 1e-2); l.recorder.metric_names
# %%
p, t = l.get_preds(); p, t, float(p.sum(1).mean())
# %%
l.get_preds(with_decoded=True)[2]
# %%
class SASRec(Module):
    def __init__(self, n, k=8): self.e, self.p, self.t, self.n = Embedding(n + 1, k), Embedding(maxlen, k), nn.TransformerEncoderLayer(k, 2, 16, batch_first=True), nn.LayerNorm(k)
    def forward(self, x):
        h = self.e(x) + self.p(torch.arange(maxlen, device=x.device)); h = self.n(self.t(h)); return h[:, -1] @ self.e.weight.T
l = Learner(sdls, SASRec(n_i), loss_func=CrossEntropyLossFlat(), metrics=[top_k_accuracy]); l.fit(1, 1e-3); l.validate()
# %%
Perplexity().name, perplexity.name if 'perplexity' in globals() else None
# %%
l.lr_find(num_it=12, show_plot=False)._fields
# %%
import collections
trans = collections.defaultdict(collections.Counter)
for h in hist:
    for a, b in zip(h, h[1:]): trans[a][b] += 1
trans[0].most_common(1)[0][1] >= 1
# %% two towers
class Tower(nn.Module):
    def __init__(self, n, k=8): super().__init__(); self.net = nn.Sequential(nn.Embedding(n, 16), nn.Linear(16, k), nn.ReLU(), nn.Linear(k, k))
    def forward(self, x): return F.normalize(self.net(x), dim=-1)
class TwoTower(nn.Module):
    def __init__(self, nu, ni): super().__init__(); self.user_tower, self.item_tower, self.temp = Tower(nu), Tower(ni), nn.Parameter(torch.tensor(0.1))
    def forward(self, x): return self.user_tower(x[:, 0]) @ self.item_tower(x[:, 1]).T / self.temp
pdls = DataLoaders.from_dsets([(tensor([u, i]), k % 64) for k, (u, i) in enumerate(zip(train.u, train.i))], [(tensor([u, i]), k) for k, (u, i) in enumerate(zip(test.u, test.i))], bs=64)
def in_batch(out, y): return F.cross_entropy(out, torch.arange(len(out), device=out.device))
l = Learner(pdls, TwoTower(n_u, n_i), loss_func=in_batch); l.fit(1, 1e-3); l.model.temp, l.model.item_tower(torch.arange(3))
# %%
from torch.optim.lr_scheduler import StepLR, CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau as TorchPlateau
m = NCF(n_u, n_i); opt = torch.optim.Adam(m.parameters(), 1e-2); sched = CosineAnnealingLR(opt, T_max=3)
history = {'loss': [], 'lr': []}
for epoch in range(3):
    tot = 0.
    for xb, yb in ndls.train: xb = xb.clamp(max=n_i - 1); loss = F.binary_cross_entropy(m(xb).view(-1), yb.view(-1).float()); opt.zero_grad(); loss.backward(); opt.step(); tot += loss.item()
    sched.step(); history['loss'].append(tot / len(ndls.train)); history['lr'].append(sched.get_last_lr()[0])
pd.DataFrame(history).shape, history['loss'][-1] > 0
# %%
pd.DataFrame(history).plot(y='loss', secondary_y='lr' if False else False); plt.close('all')
# %%
best = {'loss': float('inf')}
for xb, yb in ndls.valid:
    with torch.no_grad(): v = F.mse_loss(m(xb.clamp(max=n_i - 1)).view(-1), yb.view(-1).float()).item()
    if v < best['loss']: best = {'loss': v, 'state': {k: v.clone() for k, v in m.state_dict().items()}}
sorted(best)
# %%
m.load_state_dict(best['state']); torch.save({'epoch': 3, 'model_state_dict': m.state_dict(), 'optimizer_state_dict': opt.state_dict()}, 'ckpt.pt'); sorted(torch.load('ckpt.pt', weights_only=False))
# %%
def ndcg_at_k(r, k): r = np.asfarray(r)[:k] if hasattr(np, 'asfarray') else np.asarray(r, float)[:k]; return float((r / np.log2(np.arange(2, r.size + 2))).sum())
def apk(actual, predicted, k=10):
    score, hits = 0., 0.
    for n, p in enumerate(predicted[:k]):
        if p in actual and p not in predicted[:n]: hits += 1.; score += hits / (n + 1.)
    return score / min(len(actual), k) if len(actual) else 0.
exact_apk = round(apk([1, 2, 3], [2, 9, 1], 3), 6); ndcg_at_k([1, 0, 1], 3)
# %%
pops = plays.groupby('i').size(); np.mean([apk([i], pops.nlargest(10).index.tolist()) for i in test.i])
# %%
coverage = len(set(S.topk(5).indices.flatten().tolist())) / n_i; 0 < coverage <= 1
# %%
from sklearn.metrics.pairwise import cosine_similarity
pd.DataFrame(cosine_similarity(M.T), index=artists.cat.categories, columns=artists.cat.categories).loc['artist 03'].nlargest(4).shape
# %%
torch.tensor(M.toarray()).float().svd()[1].shape if hasattr(torch.Tensor, 'svd') else torch.linalg.svd(torch.tensor(M.toarray()).float())[1].shape
