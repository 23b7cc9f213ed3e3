# %%
dls = CollabDataLoaders.from_df(ratings, seed=42, bs=64)
learn = collab_learner(dls, n_factors=10, y_range=(0.5,5.5), metrics=rmse, cbs=[EarlyStoppingCallback(monitor='valid_loss', patience=2)])
learn.fit_one_cycle(3, 5e-3)
# %%
learn = collab_learner(dls, n_factors=10, y_range=(0.5,5.5), metrics=rmse)
learn.fit_one_cycle(3, 5e-3, cbs=[SaveModelCallback(monitor='_rmse', fname='best'), EarlyStoppingCallback(monitor='_rmse', min_delta=0.001, patience=3)])
# %%
learn.recorder.metric_names
# %%
learn.fit_one_cycle(2, 5e-3, cbs=SaveModelCallback(every_epoch=True, fname='ep'))
# %%
learn.fit(2, 1e-2, cbs=ReduceLROnPlateau(monitor='valid_loss', patience=1, factor=10))
# %%
learn.fit(1, cbs=CSVLogger(fname='hist.csv'))
pd.read_csv(learn.path/'hist.csv').columns.tolist()
# %%
learn.fit(1, cbs=TerminateOnNaNCallback())
# %%
class Log(Callback):
    def __init__(self): self.seen = []
    def before_fit(self): self.seen.append('before_fit')
    def before_epoch(self): self.seen.append('before_epoch')
    def before_train(self): self.seen.append('before_train')
    def after_train(self): self.seen.append('after_train')
    def before_validate(self): self.seen.append('before_validate')
    def after_validate(self): self.seen.append('after_validate')
    def after_epoch(self): self.seen.append('after_epoch')
    def after_fit(self): self.seen.append('after_fit')
log = Log()
learn.fit(2, cbs=log)
exact_order = log.seen
exact_order
# %%
class Batch(Callback):
    order = 5
    def before_fit(self): self.rows = []
    def before_batch(self): self.rows.append(('bb', self.xb[0].shape, self.yb[0].shape, self.training))
    def after_pred(self): self.rows.append(('ap', self.pred.shape))
    def after_loss(self): self.rows.append(('al', self.loss.shape, self.loss_grad.requires_grad if self.training else None))
    def before_backward(self): self.rows.append('b4b')
    def after_backward(self): self.rows.append('ab')
    def before_step(self): self.rows.append('bs')
    def after_step(self): self.rows.append('as')
    def after_batch(self): self.rows.append(('b', self.iter, self.train_iter, self.n_iter))
cb = Batch()
learn.fit(1, cbs=cb)
exact_rows = cb.rows[:8] + cb.rows[-4:]
exact_rows
# %%
exact_n = len(cb.rows)
exact_n
# %%
class Stop(Callback):
    def after_batch(self):
        if self.train_iter >= 3 and self.training: raise CancelFitException()
learn.fit(5, cbs=Stop())
# %%
class SkipValid(Callback):
    def before_validate(self): raise CancelValidException()
learn.fit(1, cbs=SkipValid())
# %%
class Half(Callback):
    def before_batch(self):
        if self.training and self.iter % 2: raise CancelBatchException()
learn.fit(1, cbs=Half())
# %%
class Noise(Callback):
    def before_batch(self):
        if self.training: self.learn.yb = (self.yb[0].float() + 0.01,)
learn.fit(1, cbs=Noise())
# %%
class Grad(Callback):
    def before_step(self): self.norms = [p.grad.norm().item() for p in self.model.parameters()]
g = Grad()
learn.fit(1, cbs=g)
len(g.norms)
# %%
learn.fit(1, cbs=GradientClip(1.0))
# %%
learn.fit(1, cbs=GradientAccumulation(n_acc=128))
# %%
learn.fit(1, cbs=ShortEpochCallback(pct=0.3))
# %%
class PrintLR(Callback):
    def after_epoch(self): self.lr_seen = self.opt.hypers[-1]['lr']
p = PrintLR()
learn.fit_one_cycle(2, 1e-3, cbs=p)
p.lr_seen
# %%
learn.fit(1, cbs=ParamScheduler({'lr': SchedCos(1e-3, 1e-4)}))
# %%
learn.recorder.hps['lr'][:2]
# %%
sched = combine_scheds([0.3, 0.7], [SchedCos(0.1, 1), SchedLin(1, 0.2)])
[round(float(sched(p)), 4) for p in (0., 0.1, 0.5, 0.9)]
# %%
f = combined_cos(0.25, 0.1, 1.0, 0.01)
round(float(f(0.5)), 5)
# %%
def myval(): return 3.0
learn.metrics = [mae, AccumMetric(lambda p, t: ((p-t)**2).mean().sqrt(), flatten=True)]
# %%
class Cov(Metric):
    def reset(self): self.n = 0
    def accumulate(self, learn): self.n += len(learn.pred)
    @property
    def value(self): return self.n
    @property
    def name(self): return 'cov'
learn = collab_learner(dls, n_factors=10, y_range=(0.5,5.5), metrics=[Cov(), R2Score(), PearsonCorrCoef(), SpearmanCorrCoef(), ExplainedVariance()])
learn.fit(1)
learn.recorder.metric_names
# %%
exact_cov = int(learn.final_record[2])
exact_cov
# %%
def within(p, t): return ((p.squeeze() - t.squeeze()).abs() < 0.5).float().mean()
learn = collab_learner(dls, n_factors=10, y_range=(0.5,5.5), metrics=[within, partial(within)])
learn.fit(1)
learn.final_record
# %%
class Inp(Metric):
    def reset(self): self.s = []
    def accumulate(self, learn): self.s.append((learn.x.shape, learn.y.shape, learn.pred.shape))
    @property
    def value(self): return len(self.s)
m = Inp()
learn = collab_learner(dls, n_factors=10, y_range=(0.5,5.5), metrics=m)
learn.fit(1)
m.s[0]
# %%
rec = Recorder(train_metrics=True)
learn = collab_learner(dls, n_factors=10, y_range=(0.5,5.5), metrics=mae)
learn.recorder.train_metrics = True
learn.fit(1)
learn.recorder.metric_names
# %%
learn.fit(1, start_epoch=0, reset_opt=True)
# %%
class Store(Callback):
    def after_create(self): self.created = True
    def after_validate(self): self.vals = self.recorder.log
s = Store()
learn.fit(1, cbs=s)
len(s.vals)
# %%
before = FetchPredsCallback()
learn.fit(1, cbs=before)
before.preds[0].shape
