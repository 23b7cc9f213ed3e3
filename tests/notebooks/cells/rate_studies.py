# %% learning rates, schedules, decay
set_seed(1); dls = CollabDataLoaders.from_df(ratings, bs=32, seed=8, shuffle=False)
def made(**kw):
    l = collab_learner(dls, n_factors=5, y_range=(0, 5.5), **kw)
    with torch.no_grad():
        for i, p in enumerate(l.model.parameters()): p.copy_(torch.cos(torch.arange(p.numel()).float() * .3 + i).view_as(p) * .2)
    return l
def rows(l): return [[float(v) for v in r] for r in l.recorder.values]
l = made(); r = l.lr_find(suggest_funcs=(minimum, steep, valley, slide)); r._fields, len(r), all(isinstance(v, float) for v in r)
# %%
lr = l.lr_find().valley; type(lr).__name__, 1e-7 < lr < 10
# %%
lr_min, lr_steep = l.lr_find(suggest_funcs=[minimum, steep]); lr_min > 0, lr_steep > 0; print(f"Minimum/10: {lr_min:.2e}, steepest point: {lr_steep:.2e}")
# %%
l.lr_find(start_lr=1e-5, end_lr=1e-1, num_it=30, stop_div=False, show_plot=False); len(l.recorder.lrs), len(l.recorder.losses), len(l.recorder.iters)
# %%
close_lrs = [float(v) for v in l.recorder.lrs[::10]]; l.recorder.plot_lr_find(skip_end=2); plt.close('all'); plt.semilogx(l.recorder.lrs, [float(x) for x in l.recorder.losses]); plt.close()
# %%
res = {}
for lr in (1e-3, 1e-2, 1e-1):
    l = made(); l.fit_one_cycle(2, lr_max=lr); res[lr] = rows(l)
close_res = list(res.values()); min(res, key=lambda k: res[k][-1][1]) in res
# %%
for wd in (0., .01, .1, 1.):
    l = made(wd=wd)
    with l.no_bar(), l.no_logging(): l.fit_one_cycle(1, 1e-2)
    res[f'wd{wd}'] = rows(l)
close_wd = [res[f'wd{w}'] for w in (0., .01, .1, 1.)]
# %%
l = made(); l.fit_one_cycle(1, 1e-2, pct_start=.5, div=10., div_final=100., moms=(.9, .8, .9)); close_oc = [l.recorder.hps['lr'][::9], l.recorder.hps['mom'][::9]]; len(l.recorder.hps['lr'])
# %%
l.recorder.plot_sched(); plt.close('all'); list(l.recorder.hps)
# %%
l = made(); l.fit_flat_cos(2, 1e-2, pct_start=.3, div_final=1e3); close_flat = rows(l); close_flat_lr = l.recorder.hps['lr'][::12]
# %%
l = made(); l.fit_sgdr(2, 1, lr_max=1e-2); close_sgdr = rows(l); len(l.recorder.values)
# %%
l = made(); l.fine_tune(1, 1e-2, freeze_epochs=2); close_ft = rows(l); len(l.recorder.values)
# %%
f = combine_scheds([.2, .8], [SchedLin(.1, 1), SchedCos(1, .1)]); close_sched = [float(f(x)) for x in (0., .1, .2, .6, .99)]; [float(SchedExp(1, .01)(.5)), float(SchedPoly(1, 0, 2)(.5)), float(SchedNo(3, 9)(.7))]
# %%
x = torch.linspace(0, 1, 50); plt.plot(x, [combined_cos(.25, 1e-4, 1e-2, 1e-6)(o) for o in x]); plt.close(); close_cc = [float(combined_cos(.25, 1e-4, 1e-2, 1e-6)(o)) for o in x[::10]]
# %%
l = made(); l.fit(2, 1e-2, cbs=ParamScheduler({'lr': combine_scheds([.5, .5], [SchedLin(1e-3, 1e-2), SchedExp(1e-2, 1e-4)])})); close_own = rows(l)
# %%
l = made(); l.fit(2, 1e-2, cbs=ParamScheduler({'wd': SchedLin(0., .3)})); close_wds = rows(l); l.opt.hypers[-1]['wd']
# %%
l = made(opt_func=partial(Adam, mom=.8, sqr_mom=.9, eps=1e-4, decouple_wd=False)); l.fit(1, 1e-2, wd=.1); close_adam = rows(l)
# %%
for o in (SGD, RMSProp, RAdam, QHAdam, Larc, Lamb, ranger, partial(SGD, mom=.9), Adam):
    l = made(opt_func=o); l.fit(1, 1e-2); res[str(o)] = rows(l)
close_opts = [v for k, v in res.items() if str(k).startswith(('<', 'functools'))]
# %%
def look(params, lr=1e-3, **kw): return Lookahead(Adam(params, lr=lr, **kw), k=4, alpha=.4)
l = made(opt_func=look); l.fit(1, 1e-2); close_look = rows(l)
# %%
for o in (torch.optim.Adagrad, torch.optim.RMSprop, torch.optim.NAdam, torch.optim.AdamW, torch.optim.Adamax):
    l = made(opt_func=partial(OptimWrapper, opt=o)); l.fit(1, 1e-2, wd=0.); res[o.__name__] = rows(l)
close_topts = [res[k] for k in ('Adagrad', 'RMSprop', 'NAdam', 'AdamW', 'Adamax')]
# %%
l = made(lr=5e-3); l.fit(1); close_default = rows(l); l.lr, l.opt.hypers[0]['lr']
# %%
l = made(moms=(.85, .8, .85)); l.fit_one_cycle(1); close_moms = rows(l); l.moms, l.wd
# %%
l = made(); l.fit(1, 1e-2); l.fit(1, 1e-3); l.fit_one_cycle(1, 1e-3); close_three = rows(l); len(l.recorder.lrs)
# %%
l = made(); l.create_opt(); l.opt.set_hypers(lr=1e-2, wd=.2); l.opt.hypers, l.opt
# %%
l.fit(1, 0); close_zero = rows(l); l.fit(1, 0., wd=0.); close_zero2 = rows(l)
# %%
l = made(); l.fit_one_cycle(1, 0.); close_zero_oc = rows(l)
# %%
l = made(cbs=ReduceLROnPlateau(patience=0, factor=10., min_lr=1e-4)); l.fit(4, 1e-1); close_plateau = rows(l); l.opt.hypers[-1]['lr']
# %%
l = made(splitter=lambda m: L(list(m.u_weight.parameters()) + list(m.u_bias.parameters()), list(m.i_weight.parameters()) + list(m.i_bias.parameters()))); l.fit_one_cycle(1, slice(1e-4, 1e-2)); close_disc = rows(l); [h['lr'] for h in l.opt.hypers].__len__()
# %%
l.freeze(); l.fit(1, 1e-2); close_frozen = rows(l); l.unfreeze(); l.fit(1, [1e-3, 1e-2]); close_unf = rows(l)
# %%
cosine = [{'lr': float(a), 'loss': float(b)} for a, b in zip(l.recorder.lrs, l.recorder.losses)]; pd.DataFrame(cosine).shape, float(l.smooth_loss) > 0
# %%
annealer(lambda a, b, pos: a + (b - a) * pos ** 2)(0, 4)(.5)
# %%
sched_lin = SchedLin(0, 1); sched_lin, sched_lin(.25)
# %%
l = made(); l.fit_one_cycle(3, 1e-2, cbs=EarlyStoppingCallback(patience=1, min_delta=10.)); exact_ep = len(l.recorder.values)
# %%
l = made(); l.fit_one_cycle(3, 1e-2, start_epoch=1); [len(l.recorder.values), len(l.recorder.lrs)]; close_start = rows(l)
