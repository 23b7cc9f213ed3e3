# %% the same weights, the same order of rows: what training leaves must agree in value
dls = CollabDataLoaders.from_df(ratings, seed=42, bs=64, shuffle=False)
sizes = [len(dls.classes[c]) for c in ('user', 'movie')]
def filled(m, scale=0.3):
    "weights that come from no generator"
    with torch.no_grad():
        for i, p in enumerate(m.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() * 0.37 + i).view_as(p) * scale)
    return m
def fresh(**kw):
    learn = collab_learner(dls, n_factors=8, y_range=(0.5, 5.5), **kw); filled(learn.model); return learn
def seen(learn): return [[float(v) for v in row] for row in learn.recorder.values]
learn = fresh(metrics=[rmse, mae]); exact_sizes = [len(dls.train), len(dls.valid), *sizes]
close_before = list(learn.validate())
# %%
learn.fit(2, 1e-2); close_fit = seen(learn)
# %%
close_losses = [float(v) for v in learn.recorder.losses]
# %%
learn = fresh(metrics=mae); learn.fit_one_cycle(3, 5e-3, wd=0.1); close_cycle = seen(learn)
# %%
close_lrs, close_moms = [float(v) for v in learn.recorder.hps['lr']][::5], [float(v) for v in learn.recorder.hps['mom']][::5]
# %%
learn = fresh(); learn.fit_one_cycle(2, 5e-3, wd=0.2, moms=(0.9, 0.8, 0.9), pct_start=0.4, div=10., div_final=1e4); close_moms_given = seen(learn)
# %%
learn = fresh(); learn.fit_flat_cos(2, 5e-3, pct_start=0.5); close_flat = seen(learn)
# %%
learn = fresh(); learn.fit_sgdr(2, 1, lr_max=5e-3, cycle_mult=2); close_sgdr = seen(learn)
# %%
learn = fresh(); learn.fine_tune(2, 5e-3, freeze_epochs=1); close_tuned = seen(learn)
# %%
learn = fresh(opt_func=SGD); learn.fit(2, 0.5, wd=0.01); close_sgd = seen(learn)
# %%
learn = fresh(opt_func=partial(SGD, mom=0.9)); learn.fit_one_cycle(2, 0.1); close_momentum = seen(learn)
# %%
learn = fresh(opt_func=RMSProp); learn.fit(2, 1e-3); close_rms = seen(learn)
# %%
learn = fresh(opt_func=partial(RMSProp, mom=0.9)); learn.fit(1, 1e-3); close_rms_mom = seen(learn)
# %%
learn = fresh(opt_func=partial(Adam, decouple_wd=False)); learn.fit(2, 5e-3, wd=0.1); close_coupled = seen(learn)
# %%
learn = fresh(opt_func=partial(Adam, mom=0.8, sqr_mom=0.9, eps=1e-3)); learn.fit(2, 5e-3); close_adam = seen(learn)
# %%
learn = fresh(opt_func=RAdam); learn.fit(2, 5e-3); close_radam = seen(learn)
# %%
learn = fresh(opt_func=QHAdam); learn.fit(2, 5e-3); close_qhadam = seen(learn)
# %%
learn = fresh(opt_func=Lamb); learn.fit(2, 5e-3); close_lamb = seen(learn)
# %%
learn = fresh(opt_func=Larc); learn.fit(2, 5e-2); close_larc = seen(learn)
# %%
learn = fresh(opt_func=ranger); learn.fit_flat_cos(2, 5e-3); close_ranger = seen(learn)
# %%
learn = fresh(opt_func=lambda p, **kw: Lookahead(SGD(p, lr=0.1, mom=0.9), k=4)); learn.fit(1, 0.1); close_ahead = seen(learn)
# %%
learn = fresh(opt_func=partial(OptimWrapper, opt=torch.optim.AdamW)); learn.fit(2, 5e-3, wd=0.1); close_adamw = seen(learn)
# %%
learn = fresh(opt_func=partial(OptimWrapper, opt=torch.optim.Adagrad)); learn.fit(2, 5e-2); close_adagrad = seen(learn)
# %%
learn = fresh(); learn.fit(1, 1e-2, wd=0); learn.fit(1, 1e-3, wd=0.3); close_twice = seen(learn) + [[float(learn.model.i_weight.weight.norm()), float(learn.model.u_bias.weight.sum())]]
# %%
learn.fit(1, 1e-3, reset_opt=True); close_reset = seen(learn)
# %%
learn = fresh(wd=0.4, lr=2e-3, moms=(0.8, 0.7, 0.8)); learn.fit_one_cycle(1); close_defaults = seen(learn)
# %%
learn = fresh(loss_func=L1LossFlat()); learn.fit(2, 5e-3); close_l1 = seen(learn)
# %%
learn = fresh(loss_func=lambda p, t: F.smooth_l1_loss(p.view(-1), t.view(-1).float())); learn.fit(1, 5e-3); close_smooth = seen(learn)
# %%
learn = fresh(loss_func=lambda p, t: F.huber_loss(p.view(-1), t.view(-1).float(), delta=0.5)); learn.fit(1, 5e-3); close_huber = seen(learn)
# %%
def weighted(p, t, w=2.): return (torch.where(t.view(-1) >= 4, w, 1.) * (p.view(-1) - t.view(-1)) ** 2).mean()
learn = fresh(loss_func=weighted, metrics=[mse]); learn.fit(2, 5e-3); close_weighted = seen(learn)
# %% callbacks
learn = fresh(); learn.fit(2, 1e-2, cbs=GradientClip(0.05)); close_clip = seen(learn)
# %%
learn = fresh(); learn.fit(2, 1e-2, cbs=GradientAccumulation(n_acc=256)); close_accumulated = seen(learn)
# %%
learn = fresh(); learn.fit(5, 1e-3, cbs=ReduceLROnPlateau(patience=0, min_delta=0.05, factor=5.)); close_plateau = seen(learn) + [[learn.opt.hypers[-1]['lr']]]
# %%
learn = fresh(); learn.fit(8, 1e-3, cbs=EarlyStoppingCallback(patience=1, min_delta=0.05)); exact_epochs = len(learn.recorder.values)
# %%
learn = fresh(metrics=rmse); learn.fit(4, 0.1, cbs=SaveModelCallback(fname='best')); close_best = list(learn.validate())
# %%
learn = fresh(); learn.fit(2, cbs=ParamScheduler({'lr': combined_cos(0.3, 1e-4, 1e-2, 1e-5), 'mom': SchedLin(0.95, 0.8)})); close_sched = seen(learn)
# %%
learn = fresh(); learn.fit(1, cbs=ParamScheduler({'lr': SchedExp(1e-4, 1e-2)})); close_exp = seen(learn) + [[float(v) for v in learn.recorder.hps['lr']][::6]]
# %%
class Decay(Callback):
    def after_epoch(self): self.opt.set_hyper('lr', self.opt.hypers[-1]['lr'] * 0.1)
learn = fresh(); learn.fit(3, 1e-2, cbs=Decay()); close_decay = seen(learn)
# %%
class Scale(Callback):
    def before_step(self):
        for p in self.model.parameters(): p.grad.mul_(0.5)
learn = fresh(opt_func=SGD); learn.fit(1, 0.5, cbs=Scale()); close_scaled = seen(learn)
# %%
class Label(Callback):
    def before_batch(self):
        if self.training: self.learn.yb = (self.y.float() * 0.9 + 0.3,)
learn = fresh(); learn.fit(1, 1e-2, cbs=Label()); close_label = seen(learn)
# %%
class Skip(Callback):
    def before_batch(self):
        if self.training and self.iter % 3 == 0: raise CancelBatchException
learn = fresh(); learn.fit(2, 1e-2, cbs=Skip()); close_skip = seen(learn)
# %%
class Ema(Callback):
    "an average of weights, taken over at the end"
    def before_fit(self): self.kept = [p.detach().clone() for p in self.model.parameters()]
    def after_batch(self):
        if self.training:
            for k, p in zip(self.kept, self.model.parameters()): k.mul_(0.9).add_(p.detach(), alpha=0.1)
    def after_fit(self):
        for k, p in zip(self.kept, self.model.parameters()): p.data.copy_(k)
learn = fresh(); learn.fit(1, 1e-2, cbs=Ema()); close_ema = list(learn.validate())
# %%
learn = fresh(); learn.fit(1, 1e-2, cbs=ShortEpochCallback(pct=0.5)); close_short = [float(v) for v in learn.recorder.losses]
# %%
learn = fresh(); r = learn.lr_find(start_lr=1e-5, end_lr=1., num_it=18, stop_div=False, show_plot=False); close_found = [float(v) for v in learn.recorder.losses]
# %%
close_found_lrs = [float(v) for v in learn.recorder.lrs]
# %%
close_after_find = list(learn.validate())
# %% groups of parameters
def two(m): return [params(m.u_weight) + params(m.u_bias), params(m.i_weight) + params(m.i_bias)]
learn = fresh(splitter=two); learn.fit_one_cycle(1, slice(1e-4, 1e-2)); close_slice = seen(learn)
# %%
learn = fresh(splitter=two); learn.freeze(); before = learn.model.u_weight.weight.clone(); learn.fit(1, 1e-2); close_frozen = seen(learn); exact_frozen = bool(torch.equal(before, learn.model.u_weight.weight))
# %%
learn.unfreeze(); learn.fit(1, slice(1e-3)); close_slice_one = seen(learn) + [[h['lr'] for h in learn.opt.hypers]]
# %%
learn = fresh(); learn.model.u_bias.weight.requires_grad_(False); learn.fit(1, 1e-2); close_no_bias = seen(learn); exact_kept = bool(learn.model.u_bias.weight.requires_grad)
# %% networks
def net(**kw):
    learn = collab_learner(dls, use_nn=True, layers=[12, 6], emb_szs={'user': 5, 'movie': 4}, y_range=(0.5, 5.5), **kw); filled(learn.model, 0.4); return learn
learn = net(); learn.fit(2, 5e-3); close_net = seen(learn)
# %%
learn = net(config=tabular_config(use_bn=False)); learn.fit_one_cycle(2, 5e-3, wd=0.2); close_no_bn = seen(learn)
# %%
learn = net(config=tabular_config(bn_final=True, lin_first=False)); learn.fit(1, 5e-3); close_bn_final = seen(learn)
# %%
learn = net(wd_bn_bias=True, wd=0.5); learn.fit(1, 5e-3); close_bn_wd = seen(learn)
# %%
learn = net(train_bn=False); learn.fit(1, 5e-3); close_train_bn = seen(learn)
# %%
learn = net(); learn.fit(1, 5e-3, cbs=BnFreeze()); close_bn_freeze = seen(learn)
# %%
learn = net(opt_func=SGD); learn.fit(1, 1e-2); close_net_sgd = [[float(v) for v in learn.model.layers[0][0].weight.flatten()[:3]]] if isinstance(learn.model.layers[0][0], nn.Linear) else seen(learn)
# %%
close_running = [float(v) for m in learn.model.modules() if isinstance(m, nn.BatchNorm1d) for v in (m.running_mean.sum(), m.running_var.sum())]
# %%
class Deep(Module):
    def __init__(self, act=nn.ReLU): self.u, self.i, self.l = Embedding(sizes[0], 6), Embedding(sizes[1], 6), nn.Sequential(nn.Linear(12, 8), act(), nn.Linear(8, 1))
    def forward(self, x): return self.l(torch.cat([self.u(x[:, 0]), self.i(x[:, 1])], 1)).squeeze(1)
def own(m, **kw): return Learner(dls, filled(m), loss_func=MSELossFlat(), metrics=mae, **kw)
for n, act in enumerate((nn.ReLU, nn.GELU, nn.ELU, nn.Softplus, nn.Hardtanh, Mish, nn.Tanh, nn.SELU)):
    learn = own(Deep(act)); learn.fit(1, 1e-2); globals()[f'close_act{n}'] = seen(learn)
# %%
class Frozen(Module):
    def __init__(self): self.u, self.i, self.mu = Embedding(sizes[0], 4), Embedding(sizes[1], 4), nn.Parameter(tensor(3.0), requires_grad=False)
    def forward(self, x): return self.mu + (self.u(x[:, 0]) * self.i(x[:, 1])).sum(1)
m = Frozen(); learn = own(m); m.mu.data.fill_(3.); learn.fit(2, 1e-2); close_mu = seen(learn) + [[float(m.mu)]]
# %%
class Shared(Module):
    "one table for both"
    def __init__(self): self.e, self.b = Embedding(sum(sizes), 5), Embedding(sum(sizes), 1)
    def forward(self, x):
        x = x + tensor([0, sizes[0]]); v = self.e(x); return v.prod(1).sum(1, keepdim=True) + self.b(x).sum(1)
learn = own(Shared()); learn.fit(2, 1e-2); close_shared = seen(learn)
# %%
class Twins(Module):
    def __init__(self): self.e = Embedding(max(sizes), 4)
    def forward(self, x): return (self.e(x[:, 0]) - self.e(x[:, 1])).pow(2).sum(1).neg() + 4
learn = own(Twins()); learn.fit(2, 1e-2); close_twins = seen(learn)
# %%
class Padded(nn.Module):
    def __init__(self): super().__init__(); self.u, self.i = nn.Embedding(sizes[0], 4, padding_idx=0), nn.Embedding(sizes[1], 4, max_norm=1.)
    def forward(self, x): return (self.u(x[:, 0]) * self.i(x[:, 1])).sum(1) + 3
learn = own(Padded()); learn.fit(1, 1e-2); close_padded = seen(learn)
# %%
class Noisy(Module):
    "a weight decay of one's own in the loss"
    def __init__(self): self.u, self.i = Embedding(sizes[0], 4), Embedding(sizes[1], 4)
    def forward(self, x): self.kept = self.u(x[:, 0]); return (self.kept * self.i(x[:, 1])).sum(1)
m = filled(Noisy()); learn = Learner(dls, m, loss_func=lambda p, t: F.mse_loss(p, t.squeeze(1).float()) + 0.1 * m.kept.pow(2).mean()); learn.fit(1, 1e-2); close_noisy = seen(learn)
# %% what is asked afterwards
learn = fresh(metrics=[R2Score(), PearsonCorrCoef(), SpearmanCorrCoef(), ExplainedVariance(), exp_rmspe, msle, mse, rmse, mae]); learn.fit(1, 1e-2); close_metrics = seen(learn)
# %%
p, t = learn.get_preds(); close_p = p.view(-1)[:6].tolist(); close_by_hand = [float(rmse(p, t)), float(mae(p, t)), float(msle(p, t)), float(((p.view(-1) - t.view(-1)) ** 2).mean())]
# %%
p, t, l = learn.get_preds(with_loss=True); close_l = l[:6].tolist(); exact_l = list(l.shape)
# %%
p, t, d = learn.get_preds(ds_idx=0, act=lambda o: o * 2, with_decoded=True); close_d = [float(p.sum()), float(d.sum()), float(t.sum())]
# %%
interp = Interpretation.from_learner(learn); tl = interp.top_losses(5); close_top = tl[0].tolist(); exact_top = [int(i) for i in tl[1]]
# %%
dl = dls.test_dl(ratings.iloc[:50], with_labels=True); close_test = list(learn.validate(dl=dl)); exact_len = [len(dl), dl.n]
# %%
close_train = list(learn.validate(ds_idx=0))
# %%
learn = fresh(); learn.recorder.train_metrics = True; learn.metrics = L(AvgMetric(mae)); learn.fit(2, 1e-2); close_train_metrics = seen(learn); exact_names = list(learn.recorder.metric_names)
# %%
learn = fresh(); learn.fit(1, 1e-2); close_smooth_loss = [float(learn.smooth_loss), float(learn.recorder.losses[-1])]
# %% steps by hand, through the library's own pieces
learn = fresh(); learn.create_opt(); learn.model.train(); opt = learn.opt
for xb, yb in dls.train: loss = learn.loss_func(learn.model(xb), yb); loss.backward(); opt.step(); opt.zero_grad()
close_by_steps = [float(loss), float(learn.model.u_weight.weight.norm())]
# %%
learn = fresh(); opt = SGD(learn.model.parameters(), lr=0.1, mom=0.9, wd=0.01)
for xb, yb in dls.train: loss = F.mse_loss(learn.model(xb).view(-1), yb.view(-1).float()); loss.backward(); opt.step(); opt.zero_grad()
close_sgd_steps = [float(loss), float(learn.model.u_weight.weight.norm())]; close_hypers = [opt.hypers[0][k] for k in ('lr', 'mom', 'wd')]
# %%
x, y = dls.train.one_batch(); exact_batch = [x[:3].tolist(), y[:3].view(-1).tolist()]
# %%
exact_epoch = [int(x[:, 0].sum()) for x, y in dls.train]
# %%
close_pca = filled(nn.Embedding(30, 5)).weight.detach().pca(2).abs()[:3].flatten().tolist()
# %%
set_seed(5, True); exact_inits = [round(float(v), 5) for v in collab_learner(dls, n_factors=3).model.u_weight.weight[2]]
# %%
set_seed(6); m = collab_learner(dls, use_nn=True, layers=[4]).model; exact_net_inits = [round(float(v), 5) for p in m.parameters() for v in p.flatten()[:2]]
# %%
exact_next = [round(float(v), 5) for v in (torch.rand(1), collab_learner(dls, n_factors=2).model.u_bias.weight[1])]
# %%
set_seed(9); other = CollabDataLoaders.from_df(ratings); exact_unseeded = other.valid_ds.items.index[:6].tolist()
# %%
np.random.seed(3); torch.manual_seed(3); exact_split = [list(map(int, s[:4])) for s in RandomSplitter()(ratings)]
# %%
set_seed(4); exact_tabular = [round(float(p.flatten()[0]), 5) for p in tabular_learner(TabularPandas(ratings, [Categorify, Normalize], ['user', 'movie'], ['timestamp'], 'rating', splits=RandomSplitter(seed=1)(ratings), y_block=RegressionBlock()).dataloaders(64), [6]).model.parameters()]
# %%
torch.manual_seed(0); exact_embedding = [round(float(v), 5) for v in Embedding(4, 2).weight.flatten()]
# %%
cdls = TabularCollab(ratings, [Categorify], ['user', 'movie'], y_names='rating', y_block=CategoryBlock(), splits=RandomSplitter(seed=1)(ratings)).dataloaders(bs=64, shuffle=False)
class Grades(Module):
    def __init__(self): self.u, self.i, self.l = Embedding(sizes[0], 4), Embedding(sizes[1], 4), nn.Linear(8, 5)
    def forward(self, x): return self.l(torch.cat([self.u(x[:, 0]), self.i(x[:, 1])], 1))
for n, loss in enumerate((CrossEntropyLossFlat(), LabelSmoothingCrossEntropyFlat(), FocalLossFlat(gamma=1.), CrossEntropyLossFlat(weight=tensor([1., 1, 2, 1, 1])))):
    learn = Learner(cdls, filled(Grades()), loss_func=loss, metrics=[accuracy, error_rate, F1Score(average='macro'), Precision(average='micro'), CohenKappa(weights='quadratic'), MatthewsCorrCoef(), BalancedAccuracy(), top_k_accuracy if False else accuracy]); learn.fit(1, 1e-2); globals()[f'close_class{n}'] = seen(learn)
# %%
p, t, d = learn.get_preds(with_decoded=True); close_probs = p[:2].flatten().tolist(); exact_dec = d[:8].tolist()
# %%
exact_confusion = ClassificationInterpretation.from_learner(learn).confusion_matrix().tolist()
# %%
bdls = CollabDataLoaders.from_df(ratings.assign(rating=(ratings.rating > 3).astype(float)), seed=42, bs=64, shuffle=False)
for n, (loss, span) in enumerate(((BCEWithLogitsLossFlat(), None), (BCELossFlat(), (0, 1)), (nn.BCEWithLogitsLoss(), None), (MSELossFlat(), (0, 1)))):
    learn = collab_learner(bdls, n_factors=4, y_range=span, loss_func=(lambda p, t: nn.BCEWithLogitsLoss()(p.view(-1), t.view(-1))) if n == 2 else loss, metrics=[accuracy_multi, RocAucBinary(), APScoreBinary(), BrierScore()] if False else [mae]); filled(learn.model); learn.fit(1, 1e-2); globals()[f'close_binary{n}'] = seen(learn)
# %%
learn = collab_learner(bdls, n_factors=4, loss_func=BCEWithLogitsLossFlat()); filled(learn.model); learn.fit(1, 1e-2); p, t, d = learn.get_preds(with_decoded=True); close_logit = p.view(-1)[:4].tolist(); exact_logit = d.view(-1)[:8].int().tolist()
