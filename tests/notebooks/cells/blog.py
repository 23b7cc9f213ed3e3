# %% a blog post: matrix factorisation from scratch, then with the library
import torch.optim as optim_
users, items = ratings.user.unique(), ratings.movie.unique()
u2i, m2i = {u: n for n, u in enumerate(users)}, {m: n for n, m in enumerate(items)}
t = ratings.assign(u=ratings.user.map(u2i), m=ratings.movie.map(m2i))[['u', 'm', 'rating']]
t.head(3)
# %%
msk = np.random.RandomState(0).rand(len(t)) < 0.8
train, val = t[msk].copy(), t[~msk].copy()
exact_sizes = [len(train), len(val)]
# %%
class MF(nn.Module):
    def __init__(self, nu, ni, k=10):
        super().__init__()
        self.U, self.I = nn.Embedding(nu, k), nn.Embedding(ni, k)
        self.bu, self.bi = nn.Embedding(nu, 1), nn.Embedding(ni, 1)
        self.U.weight.data.uniform_(0, 0.05); self.I.weight.data.uniform_(0, 0.05)
        self.bu.weight.data.uniform_(-0.01, 0.01); self.bi.weight.data.uniform_(-0.01, 0.01)
    def forward(self, u, v):
        return (self.U(u) * self.I(v)).sum(1) + self.bu(u).squeeze() + self.bi(v).squeeze()
model = MF(len(users), len(items)); model
# %%
def train_epocs(model, epochs=3, lr=0.05, wd=1e-5):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=wd)
    model.train()
    for i in range(epochs):
        u, v, r = LongTensor(train.u.values), LongTensor(train.m.values), FloatTensor(train.rating.values)
        loss = F.mse_loss(model(u, v), r)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    return loss
train_epocs(model)
# %%
from torch.utils.data import TensorDataset
tds = TensorDataset(LongTensor(train.u.values), LongTensor(train.m.values), FloatTensor(train.rating.values))
vds = TensorDataset(LongTensor(val.u.values), LongTensor(val.m.values), FloatTensor(val.rating.values))
dls = DataLoaders.from_dsets(tds, vds, bs=128)
dls.n_inp = 2
[o.shape for o in dls.one_batch()]
# %%
learn = Learner(dls, model, loss_func=MSELossFlat(), metrics=[mse, rmse])
learn.fit_one_cycle(2, 1e-2)
# %%
learn.recorder.metric_names, len(learn.recorder.values)
# %%
p, r = learn.get_preds(); p, r
# %%
learn.validate()
# %%
learn.lr_find(num_it=30); learn.fit(2, 1e-3)
# %%
learn.model.eval()(LongTensor([0, 1]), LongTensor([2, 3]))
# %%
plt.plot(L(learn.recorder.values).itemgot(0)); plt.plot(L(learn.recorder.values).itemgot(1)); plt.close('all')
# %%
L(learn.recorder.values).itemgot(1)
# %% then the library
dls = CollabDataLoaders.from_df(ratings, user_name='user', item_name='movie', rating_name='rating', seed=99, valid_pct=0.15, bs=100)
dls.train_ds.items.shape, dls.valid_ds.items.shape
# %%
exact_valid_rows = dls.valid_ds.items.index[:8].tolist()
# %%
learn = collab_learner(dls, n_factors=20, y_range=[0.5, 5.5], metrics=mae, opt_func=Adam, lr=5e-3)
learn.fit_one_cycle(2)
# %%
learn.y_range if hasattr(learn, 'y_range') else None
# %%
emb = {n: to_np(m.weight) for n, m in learn.model.named_children()}
{k: v.shape for k, v in emb.items()}
# %%
[n for n, _ in learn.model.named_parameters()]
# %%
isinstance(learn.model, EmbeddingDotBias), isinstance(learn.model, nn.Module), isinstance(learn.dls, DataLoaders)
# %%
class Rank(Metric):
    "share of pairs in the right order"
    def __init__(self): self.reset()
    def reset(self): self.p, self.t = [], []
    def accumulate(self, learn): self.p.append(learn.to_detach(learn.pred)); self.t.append(learn.to_detach(learn.y))
    @property
    def value(self):
        p, t = torch.cat(self.p).view(-1), torch.cat(self.t).view(-1)
        i, j = torch.triu_indices(len(p), len(p), 1)
        k = t[i] != t[j]
        return ((p[i] > p[j]) == (t[i] > t[j]))[k].float().mean().item()
learn.metrics = L([AvgMetric(mae), Rank()])
learn.fit(1, 1e-3)
learn.recorder.metric_names
# %%
from sklearn.metrics import r2_score, roc_auc_score
sk = skm_to_fastai(r2_score, is_class=False)
learn = collab_learner(dls, n_factors=5, y_range=(0.5, 5.5), metrics=[sk])
learn.fit(1, 1e-2); learn.recorder.metric_names
# %%
preds, targs = learn.get_preds()
roc_auc_score((targs.view(-1) >= 4).int(), preds.view(-1)) > 0
# %%
acc = ((preds.view(-1).round() - targs.view(-1)).abs() <= 1).float().mean(); acc
# %%
bins = pd.cut(preds.view(-1).numpy(), [0, 2, 3, 4, 6]).value_counts(); bins.sum() == len(preds)
# %%
fig, ax = plt.subplots(figsize=(3, 3)); ax.scatter(targs, preds, s=2); ax.set_xlabel('true'); plt.close(fig)
# %%
err = (preds.view(-1) - targs.view(-1)).abs()
worst = dls.valid_ds.items.iloc[err.topk(3).indices.tolist()]; worst
# %%
learn.fit_one_cycle(1, 1e-3, cbs=[CSVLogger('h.csv')]); learn.path.ls(file_exts='.csv').map(lambda o: o.name)
# %%
def mean_of(u): return ratings.loc[ratings.user == u, 'rating'].mean()
base = np.array([mean_of(u) for u in ratings.user[:20]]); base
# %%
cold = pd.DataFrame({'user': [10_000, 3], 'movie': [5, 10_000]})
learn.get_preds(dl=dls.test_dl(cold))
# %%
dls.test_dl(cold).one_batch()
# %%
uid = dls.classes['user'].o2i[3]
learn.model.u_weight(torch.tensor(uid)), learn.model.u_weight(torch.tensor([uid]))
# %%
mu = learn.model.u_weight.weight[1:].mean(0, keepdim=True)
scores = (mu @ learn.model.i_weight.weight.T).squeeze() + learn.model.i_bias.weight.squeeze()
scores.topk(3).indices
# %%
[dls.classes['movie'][int(i)] for i in scores.argsort(descending=True)[:3]] != []
# %%
d = torch.cdist(learn.model.i_weight.weight, learn.model.i_weight.weight); d
# %%
torch.save(learn.model, 'whole.pth') and None
# %%
w = torch.load('whole.pth', weights_only=False); w(dls.one_batch()[0])
# %%
learn.save('a', with_opt=True); sd = torch.load('models/a.pth', weights_only=False); sorted(sd)
# %%
m2 = EmbeddingDotBias(5, len(dls.classes['user']), len(dls.classes['movie']), (0.5, 5.5)); m2.load_state_dict(learn.model.state_dict())
# %%
l2 = Learner(dls, m2, loss_func=MSELossFlat(), metrics=[mae]); l2.validate()
# %%
l2.fit(1, 1e-4, cbs=[SaveModelCallback(), ParamScheduler({'lr': combined_cos(0.3, 1e-4, 1e-3, 1e-5)})])
# %%
l2.recorder.plot_sched(); plt.close('all')
# %%
l2.opt.state_dict().keys()
# %%
for h in l2.opt.hypers: h['lr'] = 1e-4
l2.opt.hypers[0]['lr']
# %%
with torch.no_grad():
    for xb, yb in dls.valid: out = l2.model(xb)
out.shape
# %%
batches = [len(b[0]) for b in dls.valid]; sum(batches) == len(dls.valid_ds)
# %%
dls.valid.bs, dls.train.bs, dls.train.n, len(dls.train.dataset)
# %%
learn.dls.train_ds.y.head() if hasattr(learn.dls.train_ds, 'y') else None
# %%
learn.dls.train_ds.ys.describe().shape
# %%
itertools.islice(dls.train, 2).__class__.__name__, len(list(itertools.islice(dls.train, 2)))
