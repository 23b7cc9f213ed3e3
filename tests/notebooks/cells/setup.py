# %% set-up cells, devices, workers, copies and pickles of everything, loaders changed by hand, options of Learner
from fastai.collab import *
from fastai.tabular.all import *
from fastai.callback.fp16 import *
from fastai.callback.tracker import SaveModelCallback, EarlyStoppingCallback
from fastai.metrics import rmse, mae
import warnings, os, sys, pickle, copy; warnings.simplefilter('ignore'); os.environ['CUDA_LAUNCH_BLOCKING'] = '1'
device = torch.device('cuda:0' if torch.cuda.is_available() else 'cpu'); print(torch.__version__, device); torch.set_num_threads(1); defaults.device = device; torch.manual_seed(0); device
# %%
pd.set_option('display.max_columns', 50); pd.options.display.float_format = '{:.3f}'.format; np.set_printoptions(precision=3, suppress=True); torch.set_printoptions(precision=3); ratings.describe(include='all').shape
# %%
dls = CollabDataLoaders.from_df(ratings, bs=64, val_bs=128, seed=42, shuffle=False, device=device); dls.train.bs, dls.valid.bs, dls.device == device or str(dls.device)
# %%
def filled(m, s=.3):
    for k, q in enumerate(m.parameters()): q.data = (torch.sin(torch.arange(q.numel()) * .37 + k) * s).view_as(q)
    return m
def vals(l): return [[float(v) for v in r] for r in l.recorder.values]
learn = collab_learner(dls, n_factors=8, y_range=(.5, 5.5), opt_func=partial(Adam, mom=.9, sqr_mom=.99, eps=1e-5, wd=.01, decouple_wd=True), lr=5e-3, metrics=[rmse, mae], cbs=None, path='.', model_dir=Path('models'), wd=.05, wd_bn_bias=False, train_bn=True, moms=(.95, .85, .95)); filled(learn.model); learn.fit_one_cycle(2); close_fit = vals(learn)
# %%
learn.lr, learn.wd, learn.moms, learn.wd_bn_bias, learn.train_bn, learn.model_dir, learn.path
# %%
learn.model = learn.model.to(device); xb, yb = dls.one_batch(); xb, yb = xb.to(device), yb.to(device); out = learn.model(xb).cpu(); out.device.type, xb.is_cuda
# %%
c = copy.deepcopy(learn.model); c2 = pickle.loads(pickle.dumps(learn.model)); torch.equal(c(xb), c2(xb)), type(c2).__name__
# %%
st = pickle.dumps(dls.classes); cl = pickle.loads(st); cl['user'].o2i[5] == dls.classes['user'].o2i[5], len(cl['movie'])
# %%
d2 = copy.copy(dls); d2.train is dls.train, None
# %%
torch.save(learn.model, 'whole.pth'); w = torch.load('whole.pth', weights_only=False); torch.equal(w(xb), learn.model(xb))
# %%
sd = learn.model.state_dict(); {k: tuple(v.shape) for k, v in sd.items()}, type(sd).__name__
# %%
learn.save('a'); learn.save('b', with_opt=False); learn.load('a', device='cpu'); learn.load('b', with_opt=False); learn.load(Path('a')); sorted(p.name for p in Path('models').iterdir())
# %%
save_model('c.pth', learn.model, learn.opt); load_model('c.pth', learn.model, learn.opt, with_opt=True); Path('c.pth').exists()
# %%
learn.to_fp16() if hasattr(learn, 'to_fp16') else None; learn.to_fp32(); learn.fit(1, 1e-3); len(learn.recorder.values)
# %%
f = collab_learner(dls, n_factors=8, y_range=(.5, 5.5), opt_func=SGD); filled(f.model); f.fit(1, .3); f.opt.hypers[0], f.opt.__class__.__name__
# %%
dls.train.shuffle, dls.valid.shuffle, dls.train.drop_last, dls.train.num_workers if hasattr(dls.train, 'num_workers') else dls.num_workers, dls.train.indexed
# %%
t2 = dls.train.new(shuffle=False, bs=10); len(t2), t2.one_batch()[1].shape, t2.drop_last
# %%
xs, ys = zip(*[(x, y) for x, y in dls.valid]); torch.cat(xs).shape, torch.cat(ys).shape
# %%
exact_valid = torch.cat(xs)[:3].tolist(); dls.valid.n, len(dls.valid), dls.valid.get_idxs()[:3]
# %%
it = iter(dls.train); a = next(it); b = next(it); torch.equal(a[0], b[0]), a.__class__.__name__
# %%
dls.train_ds.items.head(2), dls.train_ds.xs.dtypes.astype(str).str[:3].unique().tolist(), dls.train_ds.ys.shape, dls.train.dataset is dls.train_ds
# %%
dls.train_ds.cat_names, dls.train_ds.y_names, dls.cat_names, dls.train_ds.procs
# %%
sub = dls.train_ds.iloc[:20]; type(sub).__name__, len(sub), sub.xs.shape
# %%
sdl = TabDataLoader(sub, bs=5, shuffle=True); len(sdl), sdl.one_batch()[0].shape
# %%
small = DataLoaders(TabDataLoader(dls.train_ds.iloc[:200], bs=50, shuffle=False), TabDataLoader(dls.valid_ds.iloc[:50], bs=50)); s = Learner(small, filled(EmbeddingDotBias(4, len(dls.classes['user']), len(dls.classes['movie']), y_range=(.5, 5.5))), loss_func=MSELossFlat()); s.fit(2, 1e-2); close_small = vals(s)
# %%
big = ratings.sample(3000, replace=True, random_state=0); bd = CollabDataLoaders.from_df(big, bs=1024, seed=0, shuffle=False); bl = collab_learner(bd, n_factors=4, y_range=(.5, 5.5)); filled(bl.model); bl.fit(2, 1e-2); close_big = vals(bl); len(bd.train), bd.train.n
# %%
learn.model.requires_grad_(False); n0 = sum(p.requires_grad for p in learn.model.parameters()); learn.model.requires_grad_(True); n0, sum(p.requires_grad for p in learn.model.parameters())
# %%
learn.zero_grad() if hasattr(learn, 'zero_grad') else learn.model.zero_grad(); learn.model.train(); learn.model.training, learn.model.eval().training
# %%
cbs = [SaveModelCallback(monitor='valid_loss', fname='m', min_delta=0.01), EarlyStoppingCallback(monitor='valid_loss', min_delta=0.1, patience=1), GradientClip, GradientAccumulation(128)]; g = collab_learner(dls, n_factors=8, y_range=(.5, 5.5), cbs=cbs); filled(g.model); g.fit(3, 5e-3); close_g = vals(g)
# %%
g.cbs.map(lambda c: type(c).__name__), g.save_model.best if hasattr(g, 'save_model') else 0, g.early_stopping.wait
# %%
g.save_model.fname, g.save_model.monitor, float(g.save_model.best) > 0
# %%
class Acc(Callback):
    "moments in the order in which they come"
    run_valid = False
    def __init__(self): self.seen = []
    def __call__(self, event_name): self.seen.append(event_name); return super().__call__(event_name)
ac = Acc(); g2 = collab_learner(dls, n_factors=4, cbs=ac); filled(g2.model); g2.fit(1, 1e-3); ac.seen[:6], len(set(ac.seen))
# %%
exact_order = [e for i, e in enumerate(ac.seen) if e not in ac.seen[:i]]
# %%
class Only(Callback):
    run_train = False
    def before_batch(self): self.n = getattr(self, 'n', 0) + 1
o = Only(); g2.fit(1, 1e-3, cbs=o); o.n == len(dls.valid), o.run, o.name, Only().order
# %%
g2.add_cb(Only()); g2.add_cbs([TerminateOnNaNCallback()]); g2.remove_cb(Only); g2.cbs.map(lambda c: c.name)
# %%
hasattr(g2, 'only'), g2.recorder.order, g2.train_eval.name
# %%
try: g2.load('not there')
except FileNotFoundError as e: r = type(e).__name__
r
# %%
try: collab_learner(dls, n_factor=3)
except TypeError as e: r = 'unexpected keyword' in str(e)
r
# %%
del learn, g, g2; import gc; gc.collect() >= 0
