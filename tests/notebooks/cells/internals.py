# %% pieces of a learner, taken apart
dls = CollabDataLoaders.from_df(ratings, bs=50, seed=3, item_name='movie')
learn = Learner(dls, EmbeddingDotBias.from_classes(6, dls.classes, y_range=(0, 5.5)), loss_func=MSELossFlat(), metrics=[mae, rmse], opt_func=partial(Adam, eps=1e-6), lr=2e-3, wd=0.01, moms=(0.9, 0.8, 0.9))
learn.lr, learn.wd, learn.moms
# %%
learn.cbs.attrgot('name')
# %%
learn.opt is None, learn.splitter, learn.wd_bn_bias, learn.train_bn
# %%
learn.create_opt()
len(learn.opt.param_groups), len(learn.opt.hypers), sorted(learn.opt.hypers[0])
# %%
learn.opt.hypers[0]['eps']
# %%
b = learn.dls.one_batch()
learn._split(b)
learn.xb[0].shape, learn.yb[0].shape
# %%
learn.pred = learn.model(*learn.xb)
learn.loss = learn.loss_func(learn.pred, *learn.yb)
learn.loss
# %%
learn.loss.backward()
learn.model.u_weight.weight.grad.shape
# %%
learn.opt.step()
learn.opt.zero_grad()
learn.opt.state_dict().keys()
# %%
class Watch(Callback):
    order = 60
    run_valid = False
    def before_fit(self): self.losses, self.norms = [], []
    def after_backward(self): self.norms.append(self.model.u_weight.weight.grad.norm().item())
    def after_batch(self): self.losses.append(self.loss.item())
    def after_fit(self): self.learn.watched = len(self.losses)
learn.fit(1, cbs=Watch())
learn.watched
# %%
learn.add_cb(Watch())
len(learn.watch.losses) if hasattr(learn.watch, 'losses') else 0
# %%
learn.fit_one_cycle(1)
len(learn.watch.norms) == learn.watched
# %%
learn.remove_cb(learn.watch)
hasattr(learn, 'watch')
# %%
with learn.added_cbs([Watch()]): learn.fit(1, 1e-3)
hasattr(learn, 'watch')
# %%
with learn.removed_cbs([learn.progress] if hasattr(learn, 'progress') else []): learn.fit(1, 1e-3)
hasattr(learn, 'recorder')
# %%
[cb.name for cb in learn.ordered_cbs('after_epoch')][-1]
# %%
learn.show_training_loop() if hasattr(learn, 'show_training_loop') else None
# %%
class StopEarly(Callback):
    def after_batch(self):
        if self.train_iter >= 5: raise CancelFitException()
learn.fit(3, cbs=StopEarly())
learn.train_iter
# %%
class SkipSome(Callback):
    def before_batch(self):
        if self.training and self.iter % 2: raise CancelBatchException()
learn.fit(1, cbs=SkipSome())
learn.recorder.values[-1][0] > 0
# %%
class NoValid(Callback):
    def before_validate(self): raise CancelValidException()
learn.fit(1, cbs=NoValid())
# %%
class Noise(Callback):
    def after_pred(self): self.learn.pred = self.pred + 0.01 * torch.randn_like(self.pred)
    def after_loss(self): self.learn.loss_grad = self.loss_grad * 1.0
learn.fit(1, cbs=Noise())
# %%
class Penalty(Callback):
    def after_loss(self):
        if self.learn.training: self.learn.loss_grad = self.loss_grad + 1e-4 * self.model.u_weight.weight.pow(2).sum()
learn.fit(1, 1e-3, cbs=[Penalty()])
learn.smooth_loss > 0
# %%
learn.fit_one_cycle(1, cbs=[GradientClip(0.5), GradientAccumulation(100)])
# %%
learn.fit_one_cycle(1, cbs=MixedPrecision()) if torch.cuda.is_available() else None
# %%
def clamp_weights(self): self.model.u_bias.weight.data.clamp_(-0.5, 0.5)
learn.fit(1, cbs=Callback(after_batch=partial(clamp_weights, learn)))
learn.model.u_bias.weight.abs().max() < 5
# %%
sched = {'lr': combined_cos(0.3, 1e-4, 1e-2, 1e-5), 'mom': combined_cos(0.3, 0.95, 0.85, 0.95)}
learn.fit(2, cbs=ParamScheduler(sched))
learn.recorder.hps.keys()
# %%
len(learn.recorder.hps['lr']), len(learn.recorder.lrs)
# %%
learn.fit(1, cbs=ParamScheduler({'lr': SchedExp(1e-4, 1e-2)}))
learn.fit(1, cbs=ParamScheduler({'lr': combine_scheds([0.5, 0.5], [SchedLin(1e-4, 1e-2), SchedNo(1e-2, 1e-2)])}))
learn.recorder.hps['lr'][-1]
# %%
learn.fit(1, cbs=ParamScheduler({'wd': SchedCos(0.0, 0.1)}))
# %%
[round(f(0.5), 4) for f in (SchedCos(0, 1), SchedLin(0, 1), SchedExp(1, 4), SchedPoly(0, 1, 2))]
# %%
exact_sched = [round(float(combined_cos(0.25, 0.1, 1.0, 0.0)(x)), 5) for x in (0, 0.1, 0.25, 0.6, 1)]
# %%
learn.fit_sgdr(2, 1, lr_max=1e-2)
len(learn.recorder.values)
# %%
learn.fit_flat_cos(2, 1e-3, pct_start=0.5, div_final=1e4)
# %%
learn.fit_one_cycle(1, slice(1e-4, 1e-2), pct_start=0.3, div=10, div_final=1e3, moms=(0.9, 0.8, 0.9))
# %%
learn.fit_one_cycle(4, 1e-3, start_epoch=2)
len(learn.recorder.values)
# %%
learn.fit(1, lr=1e-3, wd=0.2, reset_opt=True)
learn.opt.hypers[0]['wd']
# %%
L(learn.recorder.values).itemgot(1)
# %%
learn.recorder.log
# %%
learn.recorder.metrics.attrgot('name')
# %%
learn.recorder.smooth_loss.value if hasattr(learn.recorder.smooth_loss, 'value') else learn.recorder.smooth_loss
# %%
learn.recorder.train_metrics, learn.recorder.add_time
# %%
learn.recorder.train_metrics = True
learn.fit(1)
learn.recorder.metric_names
# %%
learn.recorder.train_metrics = False
learn.recorder.plot_loss(skip_start=0, with_valid=False)
ax = plt.gca(); ax.set_ylim(0, 5); ax.set_title('loss')
plt.close('all')
# %%
learn.recorder.losses[-1], learn.recorder.iters
# %%
preds, targs, decoded, losses = learn.get_preds(with_decoded=True, with_loss=True)
preds.shape, targs.shape, losses.shape
# %%
inp, preds, targs = learn.get_preds(with_input=True)
inp.shape if isinstance(inp, Tensor) else inp[0].shape
# %%
(preds.squeeze() - targs.squeeze()).abs().topk(3).indices.shape
# %%
preds, targs = learn.get_preds(ds_idx=0, reorder=True)
len(preds) == len(dls.train_ds)
# %%
learn.get_preds(dl=dls.valid, inner=False, act=lambda x: x * 2)[0].max() > 5.5
# %%
learn.loss_func.activation(torch.tensor([1.0])), learn.loss_func.decodes(torch.tensor([1.0]))
# %%
interp = Interpretation.from_learner(learn)
interp.top_losses(4)
# %%
vals, idxs = interp.top_losses(5, largest=False)
dls.valid_ds.items.iloc[idxs.tolist()].shape
# %%
learn.show_results(max_n=3)
# %%
dl = learn.dls.test_dl(ratings.iloc[:3])
learn.get_preds(dl=dl)[0].shape, learn.get_preds(dl=dl)[1] is None
# %%
learn.dls.valid.show_batch(max_n=2, unique=False)
# %%
from copy import deepcopy
deepcopy(learn.model).u_bias.weight.equal(learn.model.u_bias.weight)
# %%
learn.model.train()
learn.model.training, learn.training
# %%
learn.model.eval()
with torch.no_grad(): out = learn.model(dls.valid.one_batch()[0])
out.shape, out.requires_grad
# %%
for p in learn.model.u_weight.parameters(): p.requires_grad_(False)
learn.fit(1, 1e-3)
sum(p.requires_grad for p in learn.model.parameters())
# %%
requires_grad(learn.model.u_weight, True) if False else learn.model.requires_grad_(True)
learn.unfreeze()
# %%
total_params(learn.model)
# %%
[p.shape for p in trainable_params(learn.model)]
# %%
len(list(flatten_model(learn.model))), len(list(learn.model.children())), has_params(learn.model)
# %%
params(learn.model)[0].shape
# %%
apply_init(nn.Linear(3, 2), nn.init.kaiming_normal_)
# %%
norm_bias_params(TabularModel([(3, 2)], 0, 1, [4]), with_bias=True)[0].shape
# %%
learn.summary()
None
# %%
learn.to_detach(learn.pred) if hasattr(learn, 'to_detach') else to_detach(learn.pred)
None
# %%
learn.to(torch.device('cpu')) if hasattr(nn.Module, 'to') else None
None
