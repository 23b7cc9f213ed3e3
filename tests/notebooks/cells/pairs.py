# %% pairwise: BPR with sampled negatives
set_seed(1)
imp = ratings[ratings.rating >= 3][["user", "movie"]].drop_duplicates().reset_index(drop=True)
uid = {u: i for i, u in enumerate(sorted(imp.user.unique()))}; iid = {m: i for i, m in enumerate(sorted(imp.movie.unique()))}
imp["u"], imp["i"] = imp.user.map(uid), imp.movie.map(iid)
n_u, n_i = len(uid), len(iid)
seen = imp.groupby("u").i.apply(set).to_dict(); n_u, n_i, len(imp)
# %%
class PairDataset(torch.utils.data.Dataset):
    def __init__(self, frame): self.u, self.i = frame.u.values, frame.i.values; self.rng = np.random.RandomState(0)
    def __len__(self): return len(self.u)
    def __getitem__(self, k):
        j = self.rng.randint(n_i)
        while j in seen[self.u[k]]: j = self.rng.randint(n_i)
        return torch.tensor(self.u[k]), torch.tensor(self.i[k]), torch.tensor(j), torch.tensor(0.)
cut = int(.8 * len(imp)); imp = imp.sample(frac=1, random_state=0)
train_ds, valid_ds = PairDataset(imp[:cut]), PairDataset(imp[cut:])
dls = DataLoaders.from_dsets(train_ds, valid_ds, bs=64, num_workers=0); dls.n_inp = 3
b = dls.one_batch(); [o.shape for o in b], [o.dtype for o in b]
# %%
class BPR(Module):
    def __init__(self, n_u, n_i, k=8): self.u, self.i, self.b = Embedding(n_u, k), Embedding(n_i, k), Embedding(n_i, 1)
    def score(self, u, i): return (self.u(u) * self.i(i)).sum(-1) + self.b(i).squeeze(-1)
    def forward(self, u, i, j): return self.score(u, i) - self.score(u, j)
def bpr_loss(diff, *_): return -F.logsigmoid(diff).mean()
def auc(diff, *_): return (diff > 0).float().mean()
learn = Learner(dls, BPR(n_u, n_i), loss_func=bpr_loss, metrics=[auc], opt_func=Adam)
learn.fit_one_cycle(3, 1e-2, wd=0.01); learn.recorder.metric_names
# %%
learn.recorder.values[-1][2] > 0.4
# %%
learn.validate()
# %%
preds, targs = learn.get_preds(); preds, targs
# %%
with torch.no_grad(): scores = learn.model.u.weight @ learn.model.i.weight.T + learn.model.b.weight.squeeze()
for u, s in seen.items(): scores[u, list(s)] = -torch.inf
scores.topk(5).indices.shape, scores.topk(5)
# %%
def hit_rate(scores, test, k=10):
    top = scores.topk(k, 1).indices.numpy(); return np.mean([i in top[u] for u, i in test[["u", "i"]].values])
0 <= hit_rate(scores, imp[cut:]) <= 1
# %% two-tensor x version: (pos, neg) columns in one x
class Triples(torch.utils.data.Dataset):
    def __init__(self, frame, n_neg=1): self.x = np.c_[frame.u, frame.i, np.random.RandomState(0).randint(0, n_i, len(frame))]
    def __len__(self): return len(self.x)
    def __getitem__(self, k): return torch.from_numpy(self.x[k]), torch.tensor(1.)
class BPR2(nn.Module):
    def __init__(self, k=8): super().__init__(); self.u, self.i = nn.Embedding(n_u, k), nn.Embedding(n_i, k); nn.init.normal_(self.u.weight, 0, .01); nn.init.normal_(self.i.weight, 0, .01)
    def forward(self, x):
        u, p, n = self.u(x[:, 0]), self.i(x[:, 1]), self.i(x[:, 2])
        return torch.stack([(u * p).sum(1), (u * n).sum(1)], 1)
class BPRLoss(nn.Module):
    def __init__(self, gamma=1e-10): super().__init__(); self.gamma = gamma
    def forward(self, out, y): return -torch.log(self.gamma + torch.sigmoid(out[:, 0] - out[:, 1])).mean()
dls2 = DataLoaders.from_dsets(Triples(imp[:cut]), Triples(imp[cut:]), bs=128)
def acc(out, y): return (out[:, 0] > out[:, 1]).float().mean()
learn2 = Learner(dls2, BPR2(), loss_func=BPRLoss(), metrics=[acc, AccumMetric(lambda p, t: (p[:, 0] - p[:, 1]).mean(), flatten=False)])
learn2.fit(2, 5e-3); learn2.get_preds()
# %%
learn2.loss_func
# %%
hinge = lambda out, y: F.margin_ranking_loss(out[:, 0], out[:, 1], y, margin=1.)
learn2 = Learner(dls2, BPR2(), loss_func=hinge); learn2.fit_one_cycle(1); learn2.recorder.metric_names
# %%
learn2.loss_func = lambda out, y: nn.TripletMarginLoss()(out[:, :1], out[:, 1:], -out[:, 1:]); learn2.fit(1)
# %% implicit, negatives through df
neg = pd.DataFrame([(u, np.random.RandomState(u + k).choice(sorted(set(range(n_i)) - seen[u]))) for u in seen for k in range(10)], columns=["u", "i"]).assign(label=0.)
data = pd.concat([imp[["u", "i"]].assign(label=1.), neg]).reset_index(drop=True)
dls = CollabDataLoaders.from_df(data, user_name="u", item_name="i", rating_name="label", bs=64, seed=3); dls.show_batch(max_n=3)
# %%
learn = collab_learner(dls, n_factors=8, loss_func=BCEWithLogitsLossFlat(), metrics=[accuracy_multi, RocAucBinary()] [:1]); learn.fit_one_cycle(2, 1e-2); learn.get_preds()
# %%
learn = collab_learner(dls, n_factors=8, y_range=(0, 1), loss_func=nn.BCELoss(), metrics=partial(accuracy_multi, sigmoid=False)); learn.fit(1, 1e-2)
# %%
p, t = learn.get_preds(); p.min() >= 0, t.unique()
# %%
from sklearn.metrics import roc_auc_score, average_precision_score, log_loss
roc_auc_score(t.squeeze(), p.squeeze()) > 0.3, log_loss(t.squeeze().numpy(), p.squeeze().numpy()) > 0
# %%
learn = collab_learner(dls, n_factors=8, y_range=(0, 1), loss_func=F.binary_cross_entropy); learn.fit(1, 1e-2)
# %%
class NegSample(Callback):
    "other negatives in each batch"
    def before_batch(self):
        if not self.training: return
        x, = self.xb; y, = self.yb
        neg = x.clone(); neg[:, 1] = torch.randint(1, n_i, (len(x),))
        self.learn.xb, self.learn.yb = (torch.cat([x, neg]),), (torch.cat([y, torch.zeros_like(y)]),)
learn = collab_learner(dls, n_factors=8, y_range=(0, 1), loss_func=BCELossFlat(), cbs=NegSample()); learn.fit(1, 1e-2); learn.recorder.losses[-1].shape
# %%
class InBatch(nn.Module):
    "softmax over the items of the batch"
    def __init__(self, k=8): super().__init__(); self.u, self.i = nn.Embedding(n_u + 1, k), nn.Embedding(n_i + 1, k)
    def forward(self, x): return F.normalize(self.u(x[:, 0]), dim=1) @ F.normalize(self.i(x[:, 1]), dim=1).T / 0.1
def in_batch_loss(logits, y): return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
l = Learner(dls, InBatch(), loss_func=in_batch_loss); l.fit(1, 1e-2); l.validate()
# %%
l.loss_func(l.model(dls.one_batch()[0]), None)
