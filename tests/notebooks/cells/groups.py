# %% groups of parameters, optimizers of pieces, losses with parts, several targets: the same losses as there
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
# %% groups of parameters, optimizers of pieces, losses with parts, several targets: the same losses as there
# %%
def by_side(m): return [params(m.i_weight) + params(m.i_bias), params(m.u_weight) + params(m.u_bias)]
learn = fresh(splitter=by_side, metrics=[rmse]); learn.fit_one_cycle(3, slice(1e-5, 1e-2), wd=0.1); close_sides = seen(learn)
# %%
close_rates = [float(h['lr']) for h in learn.opt.hypers]; len(learn.opt.hypers)
# %%
learn.fit_one_cycle(2, [1e-2, 1e-4]); close_list = seen(learn) + [[float(learn.model.i_weight.weight.norm()), float(learn.model.u_weight.weight.norm())]]
# %%
learn = fresh(splitter=by_side); learn.freeze(); learn.fit_one_cycle(2, 1e-2); close_frozen = seen(learn) + [[float(learn.model.i_weight.weight.norm()), float(learn.model.u_weight.weight.norm())]]
# %%
learn.unfreeze(); learn.fit_flat_cos(2, slice(1e-4, 1e-2)); close_thawed = seen(learn)
# %%
learn = fresh(splitter=by_side); learn.fine_tune(2, 1e-2, freeze_epochs=1); close_fine = seen(learn)
# %%
learn = fresh(splitter=by_side); learn.fit_sgdr(2, 1, lr_max=slice(1e-4, 1e-2)); close_waves = seen(learn)
# %%
class Looks(Callback):
    def after_step(self): self.rates = [h['lr'] for h in self.opt.hypers]
looks = Looks(); learn = fresh(splitter=by_side, cbs=looks); learn.fit_one_cycle(2, slice(1e-5, 1e-2)); close_looked = seen(learn) + [[float(r) for r in looks.rates]]
# %%
learn = fresh(splitter=lambda m: [params(m.u_weight), params(m.u_bias) + params(m.i_bias)]); learn.fit(2, 1e-2); close_some = seen(learn) + [[float(learn.model.i_weight.weight.norm())]]
# %%
def network(): return filled(EmbeddingNN(get_emb_sz(dls), [16], y_range=(0.5, 5.5), use_bn=False))
def parts(m): return [params(m.embeds), params(m.layers)]
learn = Learner(dls, network(), loss_func=MSELossFlat(), splitter=parts); learn.fit_one_cycle(2, slice(1e-4, 1e-2)); close_parts = seen(learn)
# %% optimizers by their schedules
learn = fresh(opt_func=SGD); learn.fit_one_cycle(2, 0.5); close_sgd_cycle = seen(learn)
# %%
learn = fresh(opt_func=RMSProp); learn.fit_one_cycle(2, 1e-3); close_rms_cycle = seen(learn)
# %%
learn = fresh(opt_func=partial(SGD, decouple_wd=False)); learn.fit_flat_cos(2, 0.5, wd=0.05); close_sgd_l2 = seen(learn)
# %%
learn = fresh(opt_func=partial(Larc, mom=0.)); learn.fit_one_cycle(2, 5e-2); close_larc_cycle = seen(learn)
# %%
learn = fresh(opt_func=partial(Larc, clip=False)); learn.fit(2, 5e-2); close_lars = seen(learn)
# %%
learn = fresh(opt_func=QHAdam); learn.fit_one_cycle(2, 5e-3); close_qh_cycle = seen(learn)
# %%
learn = fresh(opt_func=partial(OptimWrapper, opt=torch.optim.NAdam)); learn.fit_one_cycle(2, 5e-3, wd=0); close_nadam = seen(learn); sorted(learn.opt.hypers[0])[:3]
# %%
def plain(p, lr, **kwargs): p.data.add_(p.grad.data, alpha=-lr)
learn = fresh(opt_func=partial(Optimizer, cbs=[plain])); learn.fit(2, 0.5); close_plain = seen(learn)
# %%
learn = fresh(opt_func=partial(Optimizer, cbs=[weight_decay, average_grad, momentum_step])); learn.fit(2, 0.1, wd=0.1); close_pieces = seen(learn)
# %%
def average(p, mom, grad_avg=None, **kwargs):
    if grad_avg is None: grad_avg = torch.zeros_like(p.grad.data)
    return {'grad_avg': grad_avg*mom + p.grad.data}
average.defaults = dict(mom=0.9)
def step_(p, lr, grad_avg, **kwargs): p.data.add_(grad_avg, alpha=-lr)
learn = fresh(opt_func=partial(Optimizer, cbs=[average, step_])); learn.fit_one_cycle(2, 0.1); close_own_pieces = seen(learn)
# %%
learn = fresh(opt_func=partial(Optimizer, cbs=[l2_reg, average_sqr_grad, rms_prop_step])); learn.fit(2, 1e-3, wd=0.1); close_rms_l2 = seen(learn)
# %%
learn = fresh(opt_func=partial(Optimizer, cbs=[weight_decay, partial(average_grad, dampening=True), average_sqr_grad, step_stat, adam_step], mom=.9, sqr_mom=.99, eps=1e-5)); learn.fit_one_cycle(2, 5e-3, wd=0.1); close_adam_pieces = seen(learn)
# %% a loss with parts, and a metric that reads them
class Parts(nn.Module):
    def forward(self, p, y, reduction='mean'):
        y = y.squeeze(-1).float(); self.mse = F.mse_loss(p, y, reduction=reduction); self.mae = F.l1_loss(p, y, reduction=reduction)
        return self.mse + 0.5*self.mae
learn = fresh(loss_func=Parts(), metrics=LossMetrics('mse,mae')); learn.fit(2, 1e-2); close_loss_parts = seen(learn); learn.recorder.metric_names
# %%
learn.validate(); learn.loss, learn.pred, learn.xb, learn.n_iter
# %%
learn.fit(1, 1e-3); learn.n_iter, learn.epoch, learn.n_epoch, learn.train_iter
# %% several targets
tab = ratings.assign(age=(ratings.user % 7)*1.5); to = TabularPandas(tab, [Categorify], ['user', 'movie'], y_names=['rating', 'age'], y_block=RegressionBlock(2), splits=IndexSplitter(range(1200, 1500))(range_of(tab))); td = to.dataloaders(bs=64, shuffle=False); td.one_batch()[-1]
# %%
def two(): return filled(TabularModel(get_emb_sz(to), 0, 2, [16], use_bn=False))
learn = Learner(td, two(), loss_func=MSELossFlat(), metrics=mae); learn.fit(2, 1e-2); close_two = seen(learn); learn.get_preds()
# %%
learn = Learner(td, two(), loss_func=lambda p, t: ((p - t)**2).mean(), opt_func=partial(SGD, mom=.9)); learn.fit_one_cycle(2, 1e-2); close_two_own = seen(learn)
# %%
learn.model.embeds[0].weight.shape, td.n_inp, td.train.n_inp, dls.n_inp, dls.train.n_inp
# %% the rest of the pieces
learn = fresh(); learn.model.bias([3]), learn.model.bias([3, 4]), learn.model.weight([3])
# %%
class Vocab(Transform):
    def setups(self, items): self.vocab = CategoryMap(items)
    def encodes(self, o): return self.vocab.o2i[o]
    def decodes(self, o): return self.vocab[o]
v = Vocab(); tl = TfmdLists(movies.title.tolist(), v); tl[0], tl.decode(tl[0]), len(v.vocab), list(CategoryMap(L(3, 1, 2)))
# %%
dl = TfmdDL(TfmdLists(list(range(20)), lambda o: tensor([o, o + 1])), bs=8, shuffle=False); dl.one_batch(), len(dl)
# %%
type(DataLoaders.from_dsets(list(range(9)), list(range(3)), bs=2).train).__name__
# %%
dls.after_batch, len(dls.train.after_item.fs), len(dls.train.before_batch.fs)
# %%
save_pickle('to.pkl', to); again = load_pickle('to.pkl'); again.cat_names, len(again.train), list(again.classes['user'])[:2]
# %%
norm = TabularPandas(tab, [Categorify, Normalize], ['user'], ['age', 'timestamp'], y_names='rating'); norm.xs.dtypes.astype(str).tolist(), norm.conts.mean().abs() < 1e-5
