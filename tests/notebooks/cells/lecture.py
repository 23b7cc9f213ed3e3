# %% a lecture's notebook run from a spreadsheet's point of view, then the library, then tricks the teacher shows
from types import SimpleNamespace as NS; plt.rc('image', cmap='Greys'); pd.options.display.max_rows = 10; torch.set_printoptions(linewidth=140, sci_mode=False, edgeitems=7); np.set_printoptions(linewidth=140); set_seed(42)
path = Path('.'); (path/'sub').mkdir(exist_ok=True); Path.BASE_PATH = path; path.ls().__len__() > 0
# %%
mat = ratings.drop_duplicates(['user', 'movie']).pivot(index='user', columns='movie', values='rating').iloc[:15, :15]; mask = tensor(mat.notna().values); t = tensor(mat.fillna(0.).values).float(); mask.sum(), t.shape, t.dtype
# %%
coeffs_u, coeffs_i = torch.rand(15, 5) - .5, torch.rand(5, 15) - .5; coeffs_u.requires_grad_(); coeffs_i.requires_grad_()
def calc_preds(u, i): return u @ i
def calc_loss(u, i): return (((calc_preds(u, i) - t) ** 2) * mask).sum() / mask.sum()
def update(*ps, lr):
    for p in ps: p.sub_(p.grad * lr); p.grad.zero_()
def one_epoch(lr):
    loss = calc_loss(coeffs_u, coeffs_i); loss.backward()
    with torch.no_grad(): update(coeffs_u, coeffs_i, lr=lr)
    print(f'{loss:.3f}', end='; '); return loss.item()
ls = [one_epoch(.5) for _ in range(20)]; ls[0] > ls[-1]
# %%
df = ratings.merge(movies); dls = CollabDataLoaders.from_df(df, item_name='title', bs=64); dls.show_batch(max_n=4)
# %%
b = dls.one_batch(); len(b), b[0][:2].shape, dls.valid.one_batch()[1].shape
# %%
class DotProduct(Module):
    def __init__(self, n_users, n_movies, n_factors, y_range=(0, 5.5)): self.user_factors, self.movie_factors, self.y_range = Embedding(n_users, n_factors), Embedding(n_movies, n_factors), y_range
    def forward(self, x): return sigmoid_range((self.user_factors(x[:, 0]) * self.movie_factors(x[:, 1])).sum(dim=1), *self.y_range)
model = DotProduct(len(dls.classes['user']), len(dls.classes['title']), 20); learn = Learner(dls, model, loss_func=MSELossFlat()); learn.fit_one_cycle(2, 5e-3); learn.model(b[0]).shape
# %%
x = np.linspace(-2, 2, 100); fig, ax = plt.subplots(); [ax.plot(x, a * x ** 2, label=f'a={a}') for a in [1, 2, 5, 10, 50]]; ax.set_ylim([0, 5]); ax.legend(); plt.close(fig)
# %%
learn.fit_one_cycle(1, 5e-3, wd=.1); learn.recorder.plot_sched(); plt.close('all'); learn.recorder.hps.keys()
# %%
learn = collab_learner(dls, n_factors=20, y_range=(0, 5.5), loss_func=MSELossFlat(), metrics=[rmse]); learn.fine_tune(2, 5e-3, wd=.1) ; len(learn.recorder.values)
# %%
def report(l): *_, r = l.recorder.values[-1]; return f'{type(l.model).__name__}: rmse {r:.2f}'
report(learn).split(':')[0]
# %%
b_ = learn.model.i_bias.weight.squeeze(); lo, hi = b_.argsort()[:3], b_.argsort(descending=True)[:3]; dict(zip(dls.classes['title'][lo], b_[lo].tolist())).__len__(), dls.classes['title'][hi]
# %%
learn.export(path/'sub'/'collab.pkl'); (path/'sub').ls(), load_learner(path/'sub'/'collab.pkl').predict(df.iloc[3])[1] > 0
# %%
preds, targs = learn.get_preds(); ((preds.squeeze() - targs.squeeze()) ** 2).mean().sqrt() < 3
# %%
learns = []
for k in (5, 10):
    l = collab_learner(dls, n_factors=k, y_range=(0, 5.5)); l.fit_one_cycle(1, 5e-3); learns.append(l)
ens = torch.stack([l.get_preds()[0] for l in learns]).mean(0); rmse(ens, targs) if ens.shape == targs.shape else rmse(ens[:, None], targs)
# %%
def train(arch, epochs=1, accum=1, **kw):
    cbs = GradientAccumulation(64) if accum > 1 else []; l = arch(dls, cbs=cbs, y_range=(0, 5.5), **kw); l.fit_one_cycle(epochs, 5e-3); return l
train(collab_learner, accum=2).cbs, train(partial(collab_learner, use_nn=True, layers=[10])).model.n_cont
# %%
gpu = torch.cuda.is_available(); torch.cuda.max_memory_allocated() if gpu else 0; import gc; gc.collect(); torch.cuda.empty_cache(); gpu
# %%
learn.to_fp16(); learn.fit(1, 1e-3); learn.to_fp32(); learn.fit(1, 1e-3); learn.model.u_weight.weight.dtype
# %%
emb = learn.model.u_weight; emb.weight.shape, emb(tensor(3)).shape, emb.num_embeddings, emb.embedding_dim, emb.padding_idx, emb
# %%
ps = L(learn.model.parameters()); ps.map(lambda p: p.shape), ps.itemgot(0).__len__(), ps.attrgot('requires_grad'), len(L(learn.model.children()))
