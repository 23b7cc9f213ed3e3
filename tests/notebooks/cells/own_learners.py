# %% learners of one's own: subclasses, patches, steps by hand
dls = CollabDataLoaders.from_df(ratings, bs=64, seed=5, valid_pct=0.2)
sizes = [len(dls.classes[c]) for c in ('user', 'movie')]
class Counting(Learner):
    def one_batch(self, i, b):
        self.seen = getattr(self, 'seen', 0) + 1
        super().one_batch(i, b)
learn = Counting(dls, EmbeddingDotBias(4, *sizes, y_range=(0, 5.5)), loss_func=MSELossFlat())
learn.fit(1, 1e-2)
exact_seen = learn.seen
# %%
class Doubled(Learner):
    def _do_one_batch(self):
        super()._do_one_batch()
        self.calls = getattr(self, 'calls', 0) + 1
learn = Doubled(dls, EmbeddingDotBias(4, *sizes, y_range=(0, 5.5)), loss_func=MSELossFlat())
learn.fit(1, 1e-2)
exact_calls = learn.calls
# %%
class Epochs(Learner):
    def _do_epoch_train(self):
        self.epochs_done = getattr(self, 'epochs_done', 0) + 1
        super()._do_epoch_train()
learn = Epochs(dls, EmbeddingDotBias(4, *sizes, y_range=(0, 5.5)), loss_func=MSELossFlat())
learn.fit(2, 1e-2)
exact_epochs = learn.epochs_done
# %%
@patch
def rmse_of(self: Learner, dl=None):
    preds, targs = self.get_preds(dl=dl)
    return ((preds.squeeze() - targs.squeeze())**2).mean().sqrt()
learn.rmse_of(), learn.rmse_of(dls.train)
# %%
@patch
def n_params(self: nn.Module): return sum(p.numel() for p in self.parameters())
learn.model.n_params()
# %%
@patch(as_prop=True)
def table_sizes(self: Learner): return [m.weight.shape[0] for m in self.model.children()]
learn.table_sizes
# %%
@delegates(collab_learner)
def my_learner(dls, n=5, **kwargs): return collab_learner(dls, n_factors=n, y_range=(0, 5.5), **kwargs)
my_learner(dls, wd=0.2, metrics=mae).wd
# %%
def fit_and_report(learn, n, **kw):
    learn.fit_one_cycle(n, **kw)
    return dict(zip(learn.recorder.metric_names[1:-1], learn.recorder.values[-1]))
fit_and_report(my_learner(dls, metrics=[rmse]), 1, lr_max=1e-2)
# %% a module that looks like many
class Concat(nn.Module):
    def __init__(self, sizes, k=8, hidden=(16, 8), p=0.1):
        super().__init__()
        self.emb = nn.ModuleList([nn.Embedding(n, k) for n in sizes])
        layers, last = [], k * len(sizes)
        for h in hidden:
            layers += [nn.Linear(last, h), nn.BatchNorm1d(h), nn.ReLU(inplace=True), nn.Dropout(p)]
            last = h
        self.layers = nn.Sequential(*layers, nn.Linear(last, 1))
    def forward(self, x):
        x = torch.cat([e(x[:, i]) for i, e in enumerate(self.emb)], 1)
        return sigmoid_range(self.layers(x), 0, 5.5)
learn = Learner(dls, Concat(sizes), loss_func=MSELossFlat(), metrics=rmse)
learn.fit_one_cycle(2, 1e-2)
learn.model
# %%
learn.get_preds()[0].shape
# %%
learn.model.layers[1].num_batches_tracked.item()
# %%
learn.model.layers[0].weight.grad is None, learn.model.layers[0].weight.requires_grad
# %%
learn.save('concat'); learn.load('concat')
learn.validate()
# %%
learn.summary()
None
# %%
learn.lr_find(num_it=30)._fields
# %%
sorted(learn.model.state_dict().keys())[:4]
# %%
class NeuMF(Module):
    def __init__(self, nu, ni, k=4, layers=[16, 8, 4]):
        self.mf_u, self.mf_i = Embedding(nu, k), Embedding(ni, k)
        self.mlp_u, self.mlp_i = Embedding(nu, layers[0]//2), Embedding(ni, layers[0]//2)
        self.mlp = nn.Sequential(*[nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in zip(layers, layers[1:])])
        self.out = nn.Linear(k + layers[-1], 1)
    def forward(self, x):
        u, i = x[:, 0], x[:, 1]
        mf = self.mf_u(u) * self.mf_i(i)
        mlp = self.mlp(torch.cat([self.mlp_u(u), self.mlp_i(i)], dim=-1))
        return torch.sigmoid(self.out(torch.cat([mf, mlp], dim=-1))).squeeze(-1) * 5.5
learn = Learner(dls, NeuMF(*sizes), loss_func=nn.MSELoss(), metrics=[mae])
learn.fit(2, 5e-3)
preds, targs = learn.get_preds()
preds.shape, targs.shape
# %%
class Watch(Callback):
    def before_fit(self): self.norms = []
    def after_epoch(self): self.norms.append(self.learn.model.out.weight.norm().item())
w = Watch()
learn.fit(3, 5e-3, cbs=w)
len(w.norms), len(set(w.norms))
# %%
before = learn.model.mlp_u.weight.clone()
learn.fit(1, 5e-3)
(learn.model.mlp_u.weight - before).abs().max().item() > 0
# %%
learn.opt.state_dict()['state'][0].keys()
# %%
learn.freeze(); learn.unfreeze()
learn.fit_one_cycle(1)
# %%
def split_model(m): return [params(m.mf_u) + params(m.mf_i), params(m.mlp_u) + params(m.mlp_i) + params(m.mlp) + params(m.out)]
learn = Learner(dls, NeuMF(*sizes), loss_func=MSELossFlat(), splitter=split_model)
learn.freeze()
learn.fit(1, 1e-3)
[p.requires_grad for p in learn.model.parameters()][:2]
# %%
learn.unfreeze()
learn.fit_one_cycle(1, slice(1e-4, 1e-2))
len(learn.opt.hypers)
# %%
class Hooked(Module):
    def __init__(self): self.u, self.i, self.l = Embedding(sizes[0], 4), Embedding(sizes[1], 4), nn.Linear(8, 1)
    def forward(self, x): return self.l(torch.cat((self.u(x[:, 0]), self.i(x[:, 1])), 1))
model, acts = Hooked(), []
handle = model.l.register_forward_hook(lambda m, i, o: acts.append(o.detach().mean().item()))
learn = Learner(dls, model, loss_func=MSELossFlat())
learn.fit(1, 1e-2)
exact_acts = len(acts) > 18
handle.remove()
# %%
with hook_output(model.l) as hook:
    model.eval()(dls.one_batch()[0])
    stored = hook.stored
stored.shape
# %%
stats = ActivationStats(with_hist=True)
learn.fit(1, 1e-2, cbs=stats)
len(stats.stats), sorted(stats.stats[0][0]), len(stats.layer_stats(0)), stats.hist(0).shape
# %%
stats.plot_layer_stats(0); stats.color_dim(0); plt.close('all')
# %%
model.forward = lambda x: Hooked.forward(model, x) * 2
learn.fit(1, 1e-3)
del model.forward
# %%
class Twice(Module):
    def __init__(self, inner): self.inner, self.scale = inner, nn.Parameter(torch.ones(1))
    def forward(self, x): return self.inner(x) * self.scale
learn = Learner(dls, Twice(Hooked()), loss_func=MSELossFlat())
learn.fit(1, 1e-2)
learn.model.scale
# %%
class Gate(Module):
    def __init__(self):
        self.u, self.i, self.ub = Embedding(sizes[0], 6), Embedding(sizes[1], 6), Embedding(sizes[0], 1)
        self.att = nn.Linear(12, 6)
    def forward(self, x):
        u, i = self.u(x[:, 0]), self.i(x[:, 1])
        g = torch.softmax(self.att(torch.cat([u, i], 1)), dim=1)
        return (g * u * i).sum(1, keepdim=True) + self.ub(x[:, 0])
learn = Learner(dls, Gate(), loss_func=MSELossFlat())
learn.fit(1, 1e-2)
learn.get_preds()[0].shape
# %% losses of other shapes with layers
class Classes(Module):
    def __init__(self, n): self.u, self.i, self.l = Embedding(sizes[0], 4), Embedding(sizes[1], 4), nn.Linear(8, n)
    def forward(self, x): return self.l(torch.cat((self.u(x[:, 0]), self.i(x[:, 1])), 1))
to = TabularCollab(ratings, [Categorify], ['user', 'movie'], y_names='rating', y_block=CategoryBlock(), splits=RandomSplitter(seed=1)(ratings))
cdls = to.dataloaders(bs=64)
cdls.c, cdls.vocab
# %%
learn = Learner(cdls, Classes(cdls.c), loss_func=CrossEntropyLossFlat(), metrics=[accuracy, F1Score(average='macro')])
learn.fit_one_cycle(1, 1e-2)
learn.recorder.metric_names
# %%
preds, targs = learn.get_preds()
preds.shape, targs.dtype, preds.sum(1).mean().round()
# %%
probs, _, dec = learn.get_preds(with_decoded=True)
dec.shape, cdls.vocab[dec[0].item()] in [1, 2, 3, 4, 5]
# %%
interp = ClassificationInterpretation.from_learner(learn)
interp.confusion_matrix().shape
# %%
(probs * tensor([1., 2, 3, 4, 5])).sum(1).shape
# %%
def weighted_mse(inp, targ, w=2.0): return ((inp.view(-1) - targ.view(-1))**2 * torch.where(targ.view(-1) > 3, w, 1.0)).mean()
learn = collab_learner(dls, n_factors=4, loss_func=weighted_mse, y_range=(0, 5.5))
learn.fit(1, 1e-2)
learn.recorder.values[-1][0] > 0
# %%
learn = Learner(dls, Concat(sizes), loss_func=partial(weighted_mse, w=1.0), opt_func=ranger, metrics=[R2Score(), PearsonCorrCoef(), SpearmanCorrCoef()])
learn.fit_flat_cos(1, 1e-3)
len(learn.recorder.values[-1])
# %%
learn = Learner(dls, Concat(sizes), loss_func=L1LossFlat(), opt_func=SGD, metrics=mse)
learn.fit(1, 1e-2)
learn.opt.hypers[0]['mom']
# %%
learn = Learner(dls, Concat(sizes), loss_func=MSELossFlat(), opt_func=partial(OptimWrapper, opt=torch.optim.AdamW))
learn.fit(1, 1e-2)
learn.opt.hypers[0].keys()
# %% loops of one's own over the loaders
model = Hooked(); opt = torch.optim.Adam(model.parameters(), 1e-2)
for epoch in range(2):
    model.train()
    for xb, yb in dls.train:
        loss = F.mse_loss(model(xb).squeeze(), yb.squeeze())
        loss.backward(); opt.step(); opt.zero_grad()
    model.eval()
    with torch.no_grad(): val = torch.cat([(model(xb).squeeze() - yb.squeeze())**2 for xb, yb in dls.valid]).mean()
val.item() > 0
# %%
xs = torch.cat([b[0] for b in dls.valid]); ys = torch.cat([b[1] for b in dls.valid])
xs.shape, ys.shape
# %%
dls.valid_ds.xs.values.shape, dls.valid_ds.ys.values.shape, dls.valid.xs.columns.tolist()
# %%
dls.train.new(bs=16, shuffle=False).one_batch()[0].shape
# %%
dls.valid.new(bs=10).n
# %%
[len(dl.dataset) for dl in dls.loaders], dls[0] is dls.train, dls[1] is dls.valid
# %%
dls.train.drop_last, dls.valid.drop_last, dls.train.shuffle, dls.valid.shuffle
# %%
dls.train_ds.items.head(2).shape
# %%
dls.train_ds.procs.categorify['user'][:3], dls.procs.categorify.classes.keys()
# %%
dls.cat_names, dls.cont_names, dls.y_names
# %%
type(dls.train_ds).__name__
# %%
td = dls.test_dl(ratings.iloc[:5], with_labels=True)
td.one_batch()[1].shape if len(td.one_batch()) > 1 else None
# %%
td = dls.test_dl(ratings[['user', 'movie']].iloc[:7])
len(td.one_batch()), td.n, td.dataset.items.columns.tolist()
# %% pieces of the loop as people replace them
class EverySecond(Learner):
    def _do_epoch(self):
        self._do_epoch_train()
        if self.epoch % 2: self._do_epoch_validate()
learn = EverySecond(dls, Hooked(), loss_func=MSELossFlat())
learn.fit(2, 1e-2)
exact_validated = len(learn.recorder.losses)
# %%
class Whole(Learner):
    def all_batches(self):
        self.n_iter = len(self.dl)
        for o in enumerate(self.dl): self.one_batch(*o)
    def one_batch(self, i, b):
        self.iter = i
        b = self._set_device(b)
        self._split(b)
        self._with_events(self._do_one_batch, 'batch', CancelBatchException)
    def _do_one_batch(self):
        self.pred = self.model(*self.xb)
        self('after_pred')
        if len(self.yb):
            self.loss_grad = self.loss_func(self.pred, *self.yb)
            self.loss = self.loss_grad.clone()
        self('after_loss')
        if not self.training or not len(self.yb): return
        self._do_grad_opt()
        self.steps_done = getattr(self, 'steps_done', 0) + 1
learn = Whole(dls, Hooked(), loss_func=MSELossFlat(), metrics=mae)
learn.fit_one_cycle(2, 1e-2)
exact_steps = [learn.steps_done, len(learn.recorder.lrs), len(learn.recorder.losses)]
# %%
float(learn.recorder.lrs[0]) < float(learn.recorder.lrs[10])
# %%
class Clipped(Learner):
    def _backward(self):
        super()._backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 0.1)
        self.clipped = getattr(self, 'clipped', 0) + 1
learn = Clipped(dls, Hooked(), loss_func=MSELossFlat())
learn.fit(1, 1e-2)
exact_clipped = learn.clipped
# %%
class Halved(Learner):
    def _do_one_batch(self):
        super()._do_one_batch()
        self.pred = self.pred * 0
learn = Halved(dls, Hooked(), loss_func=MSELossFlat())
learn.fit(1, 1e-2)
exact_preds = float(learn.get_preds()[0].abs().max())
# %%
class Shift(Callback):
    def after_pred(self):
        if not self.learn.training: self.learn.pred = torch.full_like(self.learn.pred, 2.5)
learn = Learner(dls, Hooked(), loss_func=MSELossFlat(), cbs=Shift())
exact_shifted = float(learn.get_preds()[0].mean())
# %%
exact_once = float(Learner(dls, Hooked(), loss_func=MSELossFlat()).get_preds(cbs=Shift())[0].mean())
