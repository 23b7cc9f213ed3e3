# %% session models and several inputs
df = ratings.sort_values(["user", "timestamp"]).reset_index(drop=True); n_items = int(df.movie.max()) + 1; ML = 8
hist = df.groupby("user").movie.apply(list)
rows = [([0] * max(0, ML - t) + h[max(0, t - ML):t], h[t]) for h in hist for t in range(1, len(h))]
X, Y = torch.tensor([r[0] for r in rows]), torch.tensor([r[1] for r in rows]); X.shape, Y.shape
# %%
ds = L(zip(X, Y)); splits = RandomSplitter(.2, seed=1)(ds); tr, va = [ds[s] for s in splits]; len(tr), len(va)
# %%
dls = DataLoaders.from_dsets(tr, va, bs=128, shuffle=True, device=torch.device("cpu")); x, y = dls.one_batch(); x, y
# %%
class GRU4Rec(nn.Module):
    def __init__(self, n, k=16, h=16, p=.1):
        super().__init__(); self.emb = nn.Embedding(n, k, padding_idx=0); self.drop = nn.Dropout(p); self.gru = nn.GRU(k, h, batch_first=True); self.out = nn.Linear(h, n)
    def forward(self, x): o, _ = self.gru(self.drop(self.emb(x))); return self.out(o[:, -1])
learn = Learner(dls, GRU4Rec(n_items), loss_func=CrossEntropyLossFlat(), metrics=[accuracy, top_k_accuracy, Perplexity()])
learn.fit_one_cycle(2, 1e-2); learn.recorder.metric_names
# %%
learn.get_preds()
# %%
learn.get_preds(with_decoded=True)[2]
# %%
def hr10(p, t): return (p.topk(10, dim=-1).indices == t[:, None]).any(-1).float().mean()
def mrr(p, t): r = (p > p.gather(1, t[:, None])).sum(1) + 1; return (1 / r.float()).mean()
learn.metrics = [hr10, mrr]; learn.validate()
# %%
class SASRec(Module):
    def __init__(self, n, k=16, ml=ML, heads=2):
        self.item, self.pos = nn.Embedding(n, k, padding_idx=0), nn.Embedding(ml, k); self.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(k, heads, 32, .1, batch_first=True), 1)
    def forward(self, x):
        h = self.item(x) + self.pos(torch.arange(x.shape[1], device=x.device)); mask = torch.triu(torch.ones(x.shape[1], x.shape[1], dtype=torch.bool), 1)
        return self.enc(h, mask=mask)[:, -1] @ self.item.weight.T
l = Learner(dls, SASRec(n_items), loss_func=nn.CrossEntropyLoss(ignore_index=0), metrics=[hr10], cbs=[GradientClip(1.)]); l.fit_one_cycle(1, 1e-3); l.recorder.values[-1]
# %%
l.summary()
# %%
with torch.no_grad(): logits = l.model.eval()(X[:3])
logits.softmax(-1).topk(3)
# %%
p = l.predict(X[0]) if False else None
# %%
class Multi(torch.utils.data.Dataset):
    def __init__(self, f): self.u, self.i, self.h, self.y = [torch.tensor(f[c].values) for c in ("user", "movie", "hour", "rating")]
    def __len__(self): return len(self.y)
    def __getitem__(self, k): return self.u[k], self.i[k], self.h[k].float(), self.y[k].float()
df["hour"] = (df.timestamp // 3600) % 24; m = np.random.RandomState(0).rand(len(df)) < .8
dls = DataLoaders(DataLoader(Multi(df[m]), bs=64, shuffle=True, n_inp=3), DataLoader(Multi(df[~m]), bs=64, n_inp=3)); len(dls.loaders)
# %%
class Three(Module):
    def __init__(self): self.u, self.i, self.l = Embedding(61, 6), Embedding(41, 6), nn.Linear(13, 1)
    def forward(self, u, i, h): return sigmoid_range(self.l(torch.cat([self.u(u), self.i(i), h[:, None] / 24], 1)).squeeze(1), .5, 5.5)
l = Learner(dls, Three(), loss_func=MSELossFlat(), metrics=[rmse, mae]); l.fit_one_cycle(2, 1e-2); l.get_preds()
# %%
l.get_preds(with_input=True)[0]
# %%
l.lr_find(num_it=30, show_plot=False)
# %%
xb = dls.one_batch(); len(xb), [b.dtype for b in xb]
# %%
dl = torch.utils.data.DataLoader(Multi(df[~m]), batch_size=32); tp = [l.model(*b[:3]) for b in dl]; torch.cat(tp).shape
# %%
tdls = DataLoaders(torch.utils.data.DataLoader(Multi(df[m]), batch_size=64, shuffle=True), torch.utils.data.DataLoader(Multi(df[~m]), batch_size=64)); tdls.train.batch_size
# %%
class Two(Module):
    def __init__(self): self.u, self.i = Embedding(61, 6), Embedding(41, 6)
    def forward(self, x): return (self.u(x[:, 0]) * self.i(x[:, 1])).sum(1)
tds = torch.utils.data.TensorDataset(torch.tensor(df[["user", "movie"]].values), torch.tensor(df.rating.values, dtype=torch.float32)); a, b = torch.utils.data.random_split(tds, [.8, .2], torch.Generator().manual_seed(0))
tl = DataLoaders(torch.utils.data.DataLoader(a, batch_size=64, shuffle=True), torch.utils.data.DataLoader(b, batch_size=64)); l = Learner(tl, Two(), loss_func=F.mse_loss, metrics=mae, opt_func=partial(Adam, wd=.01)); l.fit(2, 1e-2)
# %%
l.validate(), l.recorder.losses[-1]
# %%
l.lr_find(show_plot=False)
# %%
l.get_preds()
# %% autoencoder on rows of the rating matrix
M = torch.zeros(61, 41); M[df.user.values, df.movie.values] = torch.tensor(df.rating.values, dtype=torch.float32); M = M[1:, 1:]; mask = M > 0; M.shape, mask.sum()
# %%
class AE(Module):
    def __init__(self, n, h=16): self.enc, self.dec = nn.Sequential(nn.Dropout(.3), nn.Linear(n, h), nn.SELU()), nn.Linear(h, n)
    def forward(self, x): return self.dec(self.enc(x))
def masked_mse(p, t): k = t > 0; return ((p - t)[k] ** 2).mean()
adl = DataLoaders.from_dsets(L(zip(M[:50], M[:50])), L(zip(M[50:], M[50:])), bs=10); l = Learner(adl, AE(40), loss_func=masked_mse, metrics=lambda p, t: masked_mse(p, t).sqrt()); l.fit_one_cycle(3, 1e-2); l.recorder.metric_names
# %%
rec, t = l.get_preds(); rec, t
# %%
class VAE(Module):
    def __init__(self, n, h=8): self.mu, self.lv, self.dec = nn.Linear(n, h), nn.Linear(n, h), nn.Linear(h, n)
    def forward(self, x):
        mu, lv = self.mu(F.normalize(x)), self.lv(F.normalize(x)); z = mu + torch.randn_like(mu) * (lv / 2).exp() if self.training else mu
        return self.dec(z), mu, lv
def elbo(out, t, beta=.2): logits, mu, lv = out; return -(F.log_softmax(logits, 1) * (t > 0).float()).sum(1).mean() - beta * .5 * (1 + lv - mu ** 2 - lv.exp()).sum(1).mean()
l = Learner(adl, VAE(40), loss_func=elbo, cbs=[TerminateOnNaNCallback()]); l.fit(2, 1e-3); l.validate()
# %%
o = l.get_preds(); type(o[0]).__name__, [x.shape for x in o[0]]
# %%
class Anneal(Callback):
    def __init__(self, top=.2, steps=20): store_attr()
    def before_batch(self): self.learn.loss_func = partial(elbo, beta=min(self.top, self.train_iter / self.steps))
l = Learner(adl, VAE(40), loss_func=elbo, cbs=Anneal()); l.fit(1, 1e-3); l.loss_func.keywords
