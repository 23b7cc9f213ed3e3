# %% homework: every way to train, every place to look
dls = CollabDataLoaders.from_df(ratings, bs=64, seed=3)
n_users, n_movies = len(dls.classes['user']), len(dls.classes['movie'])
lr = collab_learner(dls, y_range=(0, 5.5)).lr_find(show_plot=False).valley
learn = collab_learner(dls, n_factors=9, y_range=(0, 5.5), splitter=lambda m: [params(m.u_weight) + params(m.u_bias), params(m.i_weight) + params(m.i_bias)])
learn.fit_one_cycle(1, slice(lr / 10, lr))
# %%
learn.create_opt(); len(learn.opt.param_lists), len(learn.opt.hypers), learn.opt.param_groups[0].keys() >= {'params'}
# %%
[h['lr'] for h in learn.opt.hypers]
# %%
learn.freeze(); [p.requires_grad for p in learn.model.parameters()]
# %%
learn.fit(1, 1e-3); learn.unfreeze(); [p.requires_grad for p in learn.model.parameters()]
# %%
learn.cbs.attrgot('name'), learn.cbs.map(type).map(lambda o: o.__name__)
# %%
learn.cbs.filter(lambda o: isinstance(o, ProgressCallback))
# %%
for f in (RMSProp, Lamb, Larc, QHAdam, RAdam, partial(Adam, eps=1e-8, wd=0.1), partial(SGD, mom=0.9)):
    with (l := collab_learner(dls, n_factors=3, y_range=(0, 5.5), opt_func=f)).no_bar(), l.no_logging(): l.fit(1, 1e-3)
l.opt.hypers[0].keys() >= {'lr', 'wd', 'mom'}
# %%
learn.smooth_loss.item() > 0 if hasattr(learn.smooth_loss, 'item') else learn.smooth_loss > 0
# %%
learn.recorder.smooth_loss.value, learn.recorder.loss.value
# %%
learn.recorder.metrics, learn.recorder.valid_metrics
# %%
class Where(Callback):
    def before_fit(self): self.n_valid = self.n_train = 0
    def before_batch(self):
        if self.dl is self.dls.valid: self.n_valid += len(self.x)
        else: self.n_train += len(self.x)
    def after_fit(self): self.where = (self.n_train, self.n_valid, self.n_epoch)
w = Where(); learn.fit(2, 1e-4, cbs=w); exact_where = list(w.where)
# %%
class Stop(Callback):
    order = 70
    def after_epoch(self):
        if self.recorder.values[-1][1] < 100: raise CancelFitException()
learn.fit(3, 1e-4, cbs=Stop()); len(learn.recorder.values)
# %%
class Penalty(Callback):
    def after_loss(self):
        if self.training: self.learn.loss_grad = self.loss_grad + 1e-3 * self.model.i_weight.weight.pow(2).mean(); self.learn.loss = self.loss_grad.clone()
learn.fit(1, 1e-3, cbs=Penalty())
# %%
class Freeze(Callback):
    def after_backward(self): self.model.u_weight.weight.grad.zero_()
before = learn.model.u_bias.weight.clone(); learn.fit(1, 1e-2, cbs=Freeze()); (before - learn.model.u_bias.weight).abs().sum() > 0
# %%
[type(c).__name__ for c in learn.ordered_cbs('after_epoch')]
# %%
learn.to_fp32().lr, learn.wd, learn.moms, learn.train_bn, learn.wd_bn_bias
# %%
b = dls.one_batch(); learn.one_batch(0, b) if False else learn._split(b) if False else len(b)
# %% modules of many kinds
class Seq(nn.Module):
    def __init__(self): super().__init__(); self.e = nn.EmbeddingBag(n_users + n_movies, 16); self.f = nn.Sequential(nn.Linear(16, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 1))
    def forward(self, x): return sigmoid_range(self.f(self.e(x + torch.tensor([0, n_users]))), 0, 5.5)
l = Learner(dls, Seq(), loss_func=MSELossFlat(), metrics=[rmse]); l.fit_one_cycle(1, 1e-2); l.get_preds()[0]
# %%
class Attn(nn.Module):
    def __init__(self, k=8): super().__init__(); self.u, self.i = nn.Embedding(n_users, k), nn.Embedding(n_movies, k); self.a = nn.MultiheadAttention(k, 2, batch_first=True); self.o = nn.Linear(2 * k, 1)
    def forward(self, x):
        s = torch.stack([self.u(x[:, 0]), self.i(x[:, 1])], 1)
        return self.o(self.a(s, s, s)[0].flatten(1)).squeeze(-1)
l = Learner(dls, Attn(), loss_func=MSELossFlat()); l.fit(1, 1e-3); l.validate()
# %%
class GRU(nn.Module):
    def __init__(self, k=8): super().__init__(); self.e = nn.Embedding(n_users + n_movies, k); self.r = nn.GRU(k, k, batch_first=True); self.o = nn.Linear(k, 1)
    def forward(self, x): return self.o(self.r(self.e(x + tensor([0, n_users])))[1][0])
l = Learner(dls, GRU(), loss_func=MSELossFlat()); l.fit(1, 1e-3); l.get_preds()[0]
# %%
class FM(Module):
    def __init__(self, n, k): self.w, self.v, self.b = Embedding(n, 1), Embedding(n, k), nn.Parameter(torch.zeros(1))
    def forward(self, x):
        x = x + torch.tensor([0, n_users], device=x.device)
        v = self.v(x); return self.b + self.w(x).sum(1).squeeze(-1) + 0.5 * (v.sum(1).pow(2) - v.pow(2).sum(1)).sum(1)
l = Learner(dls, FM(n_users + n_movies, 6), loss_func=MSELossFlat(), metrics=mae); l.fit_one_cycle(1, 1e-2); l.get_preds()[0]
# %%
l.model.b, l.model.w.weight
# %%
class Means(Module):
    def __init__(self, mu): self.mu, self.u, self.i = mu, Embedding(n_users, 1), Embedding(n_movies, 1)
    def forward(self, x): return self.mu + self.u(x[:, 0]) + self.i(x[:, 1])
l = Learner(dls, Means(ratings.rating.mean()), loss_func=MSELossFlat(), metrics=rmse); l.fit(2, 1e-2); l.model.u.weight
# %%
class Two(Module):
    "a module in modules, a list and a dict of them"
    def __init__(self): self.e = nn.ModuleDict({'u': Embedding(n_users, 4), 'i': Embedding(n_movies, 4)}); self.l = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 1)])
    def forward(self, x):
        h = torch.cat([self.e['u'](x[:, 0]), self.e['i'](x[:, 1])], 1)
        for i, m in enumerate(self.l): h = m(F.leaky_relu(h) if i else h)
        return SigmoidRange(0, 5.5)(h)
l = Learner(dls, Two(), loss_func=MSELossFlat()); l.fit(1, 1e-3); [n for n, _ in l.model.named_parameters()]
# %%
l = Learner(dls, nn.Sequential(Lambda(lambda x: x.float()), nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)), loss_func=MSELossFlat()); l.fit(1, 1e-4); l.model[1]
# %%
l.summary()
# %%
from torch.nn.utils import parameters_to_vector, clip_grad_norm_
parameters_to_vector(l.model.parameters())
# %%
hook = l.model[1].register_forward_hook(lambda m, i, o: None); l.fit(1, 1e-4); hook.remove()
# %%
with hook_output(l.model[1]) as h: l.model(dls.one_batch()[0]); out = h.stored
out
# %%
class Softmax(Module):
    def __init__(self, c): self.u, self.i, self.o = Embedding(n_users, 6), Embedding(n_movies, 6), nn.Linear(12, c)
    def forward(self, x): return self.o(torch.cat([self.u(x[:, 0]), self.i(x[:, 1])], 1))
cdls = TabularCollab(ratings, [Categorify], ['user', 'movie'], y_names='rating', y_block=CategoryBlock(), splits=RandomSplitter(seed=1)(ratings)).dataloaders(bs=64)
l = Learner(cdls, Softmax(5), loss_func=CrossEntropyLossFlat(), metrics=[accuracy, error_rate]); l.fit_one_cycle(1, 1e-2); l.recorder.metric_names
# %%
p, t = l.get_preds(); p, t, p.sum(1).mean()
# %%
cdls.vocab, cdls.c
# %%
preds, targs, dec = l.get_preds(with_decoded=True); (dec == targs.squeeze()).float().mean()
# %%
ci = ClassificationInterpretation.from_learner(l); ci.confusion_matrix().shape
# %% tables again
to = TabularPandas(ratings, procs=[Categorify], cat_names=['user', 'movie'], y_names='rating', splits=RandomSplitter(seed=1)(ratings))
to.items.head(2)
# %%
to.train.xs.values.shape, to.valid.ys.values.ravel().shape
# %%
def embed_features(model, xs):
    xs = xs.copy()
    for i, feature in enumerate(['user', 'movie']):
        emb = model.embeds[i]
        new = pd.DataFrame(to_np(emb(tensor(xs[feature].values).long())), index=xs.index, columns=[f'{feature}_{j}' for j in range(emb.embedding_dim)])
        xs = xs.drop(feature, axis=1).join(new)
    return xs
nn_learn = collab_learner(dls, use_nn=True, y_range=(0, 5.5), layers=[10], emb_szs={'user': 3, 'movie': 4}); nn_learn.fit(1, 1e-2)
embed_features(nn_learn.model, to.train.xs)
# %%
from sklearn.ensemble import RandomForestRegressor
rf = RandomForestRegressor(5, random_state=0).fit(embed_features(nn_learn.model, to.train.xs), to.train.ys.values.ravel()); rf.predict(embed_features(nn_learn.model, to.valid.xs)).shape
# %%
a, b_ = learn.get_preds()[0], nn_learn.get_preds()[0]; ens = (a.view(-1) + b_.view(-1)) / 2; ens
# %%
torch.corrcoef(torch.stack([a.view(-1), b_.view(-1)]))
# %%
dls.train.bs, dls.n_inp, dls.cat_names, dls.y_names
# %%
d2 = dls.new(shuffle=False) if False else dls.train.new(shuffle=False, bs=10); first(d2)[0].shape
# %%
cont_cat_split(ratings.assign(age=1.5), max_card=20, dep_var='rating')
# %%
df_shrink(ratings).dtypes.astype(str).tolist()
# %%
set_seed(1); torch.rand(1); set_seed(1, reproducible=True)
# %%
Path.BASE_PATH = Path('.').resolve(); p = Path('x'); p.mkdir(exist_ok=True); (p/'a.txt').write_text('hi'); p.ls()
# %%
L(range(10)).filter(lambda o: o % 2).map(str).sorted(reverse=True), L(3, 1, 2).argwhere(lambda o: o > 1), L(range(4)).shuffle()
# %%
listify('a'), tuplify([1, 2]), first([3, 4]), last([3, 4]), ifnone(None, 3)
