# %% the optimizer chapter on ratings: optimizers of pieces, cycles of one's own, callbacks that change training
from fastai.collab import *
from fastai.tabular.all import *
dls = CollabDataLoaders.from_df(ratings, bs=64, seed=42, shuffle=False); n = [len(o) for o in dls.classes.values()]
def filled(m, s=.3):
    for k, q in enumerate(m.parameters()): q.data = (torch.sin(torch.arange(q.numel()) * .37 + k) * s).view_as(q)
    return m
def get_learner(**kwargs): return Learner(dls, filled(EmbeddingDotBias(6, *n, y_range=(.5, 5.5))), loss_func=MSELossFlat(), metrics=mae, **kwargs)
def vals(l): return [[float(v) for v in r] for r in l.recorder.values]
learn = get_learner(); learn.fit_one_cycle(2, 0.003); close_base = vals(learn)
# %%
learn = get_learner(opt_func=SGD); learn.lr_find(num_it=30)
# %%
learn.fit_one_cycle(2, 0.3, moms=(0, 0, 0)); close_sgd = vals(learn)
# %%
def sgd_cb(p, lr, **kwargs): p.data.add_(p.grad.data, alpha=-lr)
opt_func = partial(Optimizer, cbs=[sgd_cb]); learn = get_learner(opt_func=opt_func); learn.fit(2, 0.3); close_own = vals(learn)
# %%
x = np.linspace(-4, 4, 100); y = 1 - (x / 3) ** 2; x1 = x + np.random.randn(100) * 0.1; y1 = y + np.random.randn(100) * 0.1; plt.scatter(x1, y1); idx = x1.argsort(); beta, avg, res = 0.7, 0, []
for i in idx: avg = beta * avg + (1 - beta) * y1[i]; res.append(avg / (1 - beta ** (i + 1)))
plt.plot(x1[idx], np.array(res), color='red'); plt.close()
# %%
def average_grad(p, mom, grad_avg=None, **kwargs):
    if grad_avg is None: grad_avg = torch.zeros_like(p.grad.data)
    return {'grad_avg': grad_avg * mom + p.grad.data}
def momentum_step(p, lr, grad_avg, **kwargs): p.data.add_(grad_avg, alpha=-lr)
opt_func = partial(Optimizer, cbs=[average_grad, momentum_step], mom=0.9); learn = get_learner(opt_func=opt_func); learn.fit_one_cycle(3, 0.03); close_mom = vals(learn)
# %%
learn.recorder.plot_sched(); plt.close('all')
# %%
def average_sqr_grad(p, sqr_mom, sqr_avg=None, **kwargs):
    if sqr_avg is None: sqr_avg = torch.zeros_like(p.grad.data)
    return {'sqr_avg': sqr_mom * sqr_avg + (1 - sqr_mom) * p.grad.data ** 2}
def rms_prop_step(p, lr, sqr_avg, eps, grad_avg=None, **kwargs): denom = sqr_avg.sqrt().add_(eps); p.data.addcdiv_(p.grad, denom, value=-lr)
opt_func = partial(Optimizer, cbs=[average_sqr_grad, rms_prop_step], sqr_mom=0.99, eps=1e-7); learn = get_learner(opt_func=opt_func); learn.fit_one_cycle(3, 0.003); close_rms = vals(learn)
# %%
def step_stat(p, step=0, **kwargs): return {'step': step + 1}
def debias(mom, damp, step): return damp * (1 - mom ** step) / (1 - mom)
def adam_step(p, lr, mom, step, sqr_mom, grad_avg, sqr_avg, eps, **kwargs):
    d1, d2 = debias(mom, 1 - mom, step), debias(sqr_mom, 1 - sqr_mom, step); p.data.addcdiv_(grad_avg * (1 - mom), (sqr_avg / d2).sqrt() + eps, value=-lr / d1); return p
opt_func = partial(Optimizer, cbs=[average_grad, average_sqr_grad, step_stat, adam_step], mom=.9, sqr_mom=.99, eps=1e-5); learn = get_learner(opt_func=opt_func); learn.fit(2, 0.003); close_adam = vals(learn)
# %%
def weight_decay_(p, lr, wd, do_wd=True, **kwargs):
    if do_wd and wd != 0: p.data.mul_(1 - lr * wd)
weight_decay_.defaults = dict(wd=0.)
opt_func = partial(Optimizer, cbs=[weight_decay_, sgd_cb]); learn = get_learner(opt_func=opt_func); learn.fit(2, 0.3, wd=.1); close_wd = vals(learn); learn.opt.hypers
# %%
def sign_step(p, lr, grad_avg, **kwargs): p.data.add_(grad_avg.sign(), alpha=-lr)
learn = get_learner(opt_func=partial(Optimizer, cbs=[average_grad, sign_step], mom=.9)); learn.fit(2, 1e-3); close_sign = vals(learn)
# %%
def centralise(p, **kwargs):
    if p.grad.ndim > 1 and p.grad.shape[1] > 1: p.grad.data.add_(-p.grad.data.mean(1, keepdim=True))
learn = get_learner(opt_func=partial(Optimizer, cbs=[centralise, sgd_cb])); learn.fit(1, .3); close_central = vals(learn)
# %% callbacks
class ModelResetter2(Callback):
    def before_train(self): self.calls = getattr(self, 'calls', 0) + 1
    def before_validate(self): self.calls += 100
cb = ModelResetter2(); learn = get_learner(cbs=cb); learn.fit(2, 1e-3); cb.calls, learn.model_resetter2.calls
# %%
class GradPenalty(Callback):
    def __init__(self, beta): self.beta = beta
    def after_loss(self): self.learn.loss_grad = self.loss_grad + self.beta * self.pred.pow(2).mean(); self.learn.loss = self.loss_grad.clone()
learn = get_learner(cbs=GradPenalty(.05)); learn.fit(2, 1e-2); close_pen = vals(learn)
# %%
class TerminateOnNaNCallback2(Callback):
    run_before = Recorder
    def after_batch(self):
        if torch.isinf(self.loss) or torch.isnan(self.loss): raise CancelFitException
learn = get_learner(cbs=TerminateOnNaNCallback2()); learn.fit(1, 1e-2); close_nan = vals(learn)
# %%
class Clip(Callback):
    order = 60
    def __init__(self, mx): store_attr()
    def after_backward(self): nn.utils.clip_grad_norm_(self.model.parameters(), self.mx)
learn = get_learner(cbs=Clip(.05)); learn.fit(1, 1e-2); close_clip = vals(learn)
# %%
class Cosine(Callback):
    "restarts of one's own"
    def before_batch(self):
        if self.training: self.opt.set_hyper('lr', 1e-2 * (1 + math.cos(math.pi * (self.train_iter % 10) / 10)) / 2)
learn = get_learner(cbs=Cosine()); learn.fit(2, 1e-2); close_cos = vals(learn)
# %%
class Skipper(Callback):
    def before_validate(self):
        if self.epoch % 2 == 0: raise CancelValidException
    def after_cancel_validate(self): self.n = getattr(self, 'n', 0) + 1
sk = Skipper(); learn = get_learner(cbs=sk); learn.fit(3, 1e-2); sk.n, len(learn.recorder.values)
# %%
[len(v) for v in learn.recorder.values]
# %%
class Stop(Callback):
    def after_batch(self):
        if self.training and self.train_iter >= 30: raise CancelTrainException
    def after_cancel_train(self): self.stopped = self.train_iter
st = Stop(); learn = get_learner(cbs=st); learn.fit(2, 1e-2); close_stop = vals(learn); st.stopped
# %%
class Log(Callback):
    def __init__(self): self.rows = []
    def after_epoch(self): self.rows.append(dict(epoch=self.epoch, loss=float(self.smooth_loss), pct=self.pct_train, it=self.train_iter, n=self.n_epoch))
lg = Log(); learn = get_learner(cbs=[lg]); learn.fit(2, 1e-2); pd.DataFrame(lg.rows)
# %%
close_log = [[r['loss'], r['pct'], r['it'], r['n']] for r in lg.rows]
# %%
learn.cbs, learn.progress if hasattr(learn, 'progress') else None, learn.recorder.__class__.__name__
# %%
learn.opt.state_dict().keys(), len(learn.opt.state_dict()['state'])
# %%
L(learn.opt.all_params()).map(lambda o: len(o)), learn.opt.hypers
# %%
learn.show_training_loop()
# %%
event.__dict__.keys() >= {'before_fit', 'after_loss'}, [e for e in dir(event) if not e.startswith('_')][:4]
# %%
sched = combined_cos(.25, 1e-3, 1e-2, 1e-5); close_sched = [float(sched(p)) for p in np.linspace(0, 1, 9)]
# %%
learn = get_learner(); learn.fit(2, cbs=ParamScheduler({'lr': combine_scheds([.3, .7], [SchedCos(1e-4, 1e-2), SchedPoly(1e-2, 1e-4, 2)])})); close_cs = vals(learn)
# %%
plt.plot(learn.recorder.hps['lr']); plt.close(); learn.recorder.hps.keys()
