# %% folds, ensembles, splits by time, tables of results
from sklearn.model_selection import KFold, StratifiedKFold, GroupKFold, train_test_split, ParameterGrid, TimeSeriesSplit
import itertools, gc, time, json
set_seed(6); df = ratings.merge(movies).sort_values(['user', 'timestamp']).reset_index(drop=True)
def filled(l, s=.2):
    with torch.no_grad():
        for i, p in enumerate(l.model.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() * .51 + i).view_as(p) * s)
    return l
oof = np.zeros(len(df)); scores = []
for fold, (tr, va) in enumerate(KFold(3, shuffle=True, random_state=0).split(df)):
    dls = TabularDataLoaders.from_df(df, procs=[Categorify], cat_names=['user', 'title'], y_names='rating', y_block=RegressionBlock(), valid_idx=va.tolist(), bs=128, shuffle=False)
    n = [len(dls.classes[c]) for c in ('user', 'title')]
    class Flat(Module):
        def __init__(self, m): self.m = m
        def forward(self, cat, cont=None): return self.m(cat)
    l = filled(Learner(dls, Flat(EmbeddingDotBias(4, *n, y_range=(0, 5.5))), loss_func=MSELossFlat(), metrics=rmse))
    with l.no_bar(), l.no_logging(): l.fit_one_cycle(2, 2e-2)
    oof[va] = l.get_preds()[0].numpy().ravel(); scores.append(float(l.validate()[1])); del l; gc.collect()
close_scores = scores; close_oof = float(np.sqrt(((oof - df.rating) ** 2).mean()))
# %%
splits = IndexSplitter(list(df.groupby('user').tail(2).index))(df); len(splits), len(splits[1]), type(splits).__name__
# %%
to = TabularPandas(df, procs=[Categorify], cat_names=['user', 'title'], y_names='rating', y_block=RegressionBlock(), splits=splits); d = to.dataloaders(bs=64, shuffle=False); len(to.train), len(to.valid), to.train.xs.shape, to.valid.y.shape
# %%
to.y_names, to.cat_names, to.xs.dtypes.astype(str).tolist(), to.ys.shape, to.cats.shape, to.n_subsets
# %%
cd = CollabDataLoaders(d.train, d.valid); cl = filled(Learner(cd, Flat(EmbeddingDotBias(3, *[len(d.classes[c]) for c in ('user', 'title')], y_range=(0, 5.5))), loss_func=MSELossFlat(), metrics=[rmse])); cl.fit_one_cycle(2, 1e-2); close_cd = [float(v) for v in cl.recorder.values[-1]]
# %%
c = TabularCollab(df, [Categorify], cat_names=['user', 'title'], y_names=['rating'], y_block=TransformBlock(), splits=splits); c.with_cont, len(c.train), c.y_names
# %%
dd = c.dataloaders(bs=64, shuffle=False); l = filled(collab_learner(dd, n_factors=3, y_range=(0, 5.5))); l.fit(1, 1e-2); close_tc = [float(v) for v in l.recorder.values[-1]]
# %%
x, y = dd.one_batch(); x.shape, y.shape, y.dtype
# %%
grid = {'n_factors': [2, 4], 'lr': [1e-2], 'wd': [0., .1]}; out = []
for p in ParameterGrid(grid):
    t0 = time.time(); l = filled(collab_learner(dd, n_factors=p['n_factors'], y_range=(0, 5.5), wd=p['wd'], metrics=[rmse, mae]))
    with l.no_logging(): l.fit_one_cycle(1, p['lr'])
    tl, vl, r, m = l.recorder.values[-1]; out.append({**p, 'train': tl, 'valid': vl, 'rmse': r, 'mae': m, 'secs': time.time() - t0})
res = pd.DataFrame(out).sort_values('rmse'); res.drop(columns='secs')
# %%
close_grid = sorted(float(v) for v in res.rmse); res.iloc[0].n_factors in (2, 4), res.pivot_table(index='n_factors', columns='wd', values='rmse').shape
# %%
json.loads(json.dumps([float(v) for v in cl.recorder.values[-1]])).__len__(), [round(v, 1) >= 0 for v in cl.recorder.values[-1]]
# %%
cut = df.timestamp.quantile(.8); tr, va = df.index[df.timestamp <= cut], df.index[df.timestamp > cut]; t = TabularCollab(df, [Categorify], ['user', 'title'], y_names='rating', y_block=TransformBlock(), splits=(list(tr), list(va))); exact_sizes = [len(t.train), len(t.valid)]
# %%
ens = []
for seed in range(3):
    set_seed(seed, reproducible=True); e = collab_learner(dd, n_factors=3 + seed, y_range=(0, 5.5)); filled(e, .1 * (seed + 1))
    with e.no_bar(): e.fit(1, 2e-2)
    ens.append(e)
P = torch.stack([e.get_preds()[0] for e in ens]); y = ens[0].get_preds()[1].squeeze(); P.shape; close_ens = [float(rmse(P.mean(0), y)), float(P.std(0).mean())]
# %%
w = torch.linalg.lstsq(P.T, y.float()[:, None]).solution; close_w = float(rmse((P.T @ w).squeeze(), y)); w.shape, P.T.shape, P.mean(0).shape
# %%
from sklearn.linear_model import LinearRegression; X = P.T.numpy(); LinearRegression().fit(X, y).predict(X).shape
# %%
tss = list(TimeSeriesSplit(3).split(df)); [len(a) for a, _ in tss], TrainTestSplitter(test_size=.1, random_state=0, stratify=df.rating)(df)[1].__len__()
# %%
rs = RandomSplitter(valid_pct=.25, seed=7)(range_of(df)); exact_rs = [len(rs[0]), rs[1][:6]]; type(rs[0]).__name__, type(rs[1]).__name__
# %%
df['is_valid'] = df.user % 5 == 0; cs = ColSplitter()(df); exact_cs = [len(cs[0]), len(cs[1])]; FuncSplitter(lambda o: o > 1490)(L(range(1500)))[1], EndSplitter(.1)(df)[1][:2]
# %%
test = df.sample(50, random_state=1); d.test_dl(test).n, d.test_dl(test.drop(columns='rating')).n
# %%
sub = pd.DataFrame({'id': test.index, 'rating': cl.get_preds(dl=d.test_dl(test))[0].squeeze().tolist()}); sub.to_csv('submission.csv', index=False); pd.read_csv('submission.csv').shape
# %%
boot = [float(rmse(P.mean(0)[i], y[i])) for i in (torch.randint(0, len(y), (len(y),)) for _ in range(20))]; np.percentile(boot, [2.5, 97.5]).shape
# %%
learners = {f'k{k}': filled(collab_learner(dd, n_factors=k, y_range=(0, 5.5))) for k in (2, 5)}; {k: float(v.validate()[0]) > 0 for k, v in learners.items()}
# %%
lc = []
for frac in (.3, 1.):
    part = df.sample(frac=frac, random_state=3); dp = CollabDataLoaders.from_df(part, item_name='title', bs=64, seed=0, shuffle=False); l = filled(collab_learner(dp, n_factors=4, y_range=(0, 5.5)));
    with l.no_logging(), l.no_bar(): l.fit(1, 1e-2)
    lc.append((len(part), *map(float, l.recorder.values[-1])))
close_lc = lc
# %%
def objective(k, lr): l = filled(collab_learner(dd, n_factors=k)); l.fit(1, lr); return l.recorder.final_record[-1]
close_obj = float(objective(3, 1e-2))
