# %% Amazon reviews, json lines: words as ids, time, texts beside, a split by date, search over settings
import gzip, json as js
from datetime import timedelta
rr = ratings.sample(frac=1, random_state=2)
with gzip.open('reviews.json.gz', 'wt') as f:
    for t in rr.itertuples(): f.write(js.dumps({'reviewerID': f'A{t.user:05d}', 'asin': f'B{t.movie:04d}', 'overall': float(t.rating), 'unixReviewTime': int(t.timestamp), 'summary': 'ok', 'helpful': [1, 2]}) + '\n')
# %%
def parse(path):
    g = gzip.open(path, 'rb')
    for l in g: yield json.loads(l)
def get_df(path): return pd.DataFrame.from_dict({i: d for i, d in enumerate(parse(path))}, orient='index')
df = get_df('reviews.json.gz'); df.head(2)
# %%
df2 = pd.read_json('reviews.json.gz', lines=True); len(df2) == len(df), df2.dtypes.astype(str).tolist()
# %%
df = df.drop(['summary', 'helpful'], axis=1).rename(columns={'reviewerID': 'user', 'asin': 'item', 'overall': 'rating', 'unixReviewTime': 'time'})
df['date'] = pd.to_datetime(df.time, unit='s'); df['year'] = df.date.dt.year; df.groupby('year').size()
# %%
df = df.sort_values('time').drop_duplicates(['user', 'item'], keep='last').reset_index(drop=True); exact_n = len(df)
# %%
k = 5
while True:
    before = len(df)
    df = df[df.groupby('user').item.transform('size') >= k]; df = df[df.groupby('item').user.transform('size') >= k]
    if len(df) == before: break
df = df.reset_index(drop=True); exact_core = len(df)
# %%
cut = df.time.quantile(.8); valid_idx = df.index[df.time > cut]; splits = IndexSplitter(valid_idx)(df); len(splits[0]), len(splits[1])
# %%
dls = CollabDataLoaders.from_df(df[['user', 'item', 'rating']], bs=64, valid_pct=.2, seed=1); dls.loaders, dls.n_inp if hasattr(dls, 'n_inp') else None
# %%
tc = TabularCollab(df, procs=[Categorify], cat_names=['user', 'item'], y_names='rating', splits=splits, y_block=RegressionBlock()); tdls = tc.dataloaders(bs=64, val_bs=256); tdls.valid.bs
# %%
unseen = set(df.item[splits[1]]) - set(df.item[splits[0]]); len(unseen), (tdls.valid_ds.items.item == 0).sum()
# %%
set_seed(11); learn = collab_learner(tdls, n_factors=12, y_range=(.5, 5.5), metrics=[rmse]); close_v = [float(x) for x in learn.validate()]; close_w = [round(float(v), 5) for v in learn.model.i_weight.weight[1][:5]]
# %%
learn.fit(1, lr=5e-3, wd=.1); learn.fit(1, 1e-3); learn.opt.hypers[0]
# %%
base = df.rating[splits[0]].mean(); base_rmse = np.sqrt(((df.rating[splits[1]] - base) ** 2).mean()); close_base = float(base_rmse)
# %% loops over settings
from itertools import product
results = []
for nf, wd in product([4, 8], [.01, .1]):
    l = collab_learner(tdls, n_factors=nf, y_range=(.5, 5.5), wd=wd, metrics=[rmse])
    with l.no_logging(), l.no_bar(): l.fit_one_cycle(1, 5e-3)
    results.append({'n_factors': nf, 'wd': wd, 'valid_loss': l.recorder.values[-1][1], 'rmse': l.recorder.values[-1][2]})
pd.DataFrame(results).sort_values('rmse')
# %%
best = min(results, key=lambda r: r['rmse']); sorted(best)
# %%
def objective(trial):
    l = collab_learner(tdls, n_factors=trial['nf'], use_nn=trial['nn'], layers=[16] if trial['nn'] else None, y_range=(.5, 5.5))
    with l.no_bar(): l.fit_one_cycle(1, trial['lr'])
    return l.validate()[0]
trials = [dict(nf=4, nn=False, lr=5e-3), dict(nf=4, nn=True, lr=1e-3)]; [objective(t) for t in trials]
# %%
class Report(Callback):
    "what a tuner's pruning callback does"
    order = 60
    def __init__(self, monitor='valid_loss'): self.monitor, self.seen = monitor, []
    def before_fit(self): self.idx = list(self.recorder.metric_names[1:]).index(self.monitor)
    def after_epoch(self):
        v = self.recorder.final_record[self.idx]; self.seen.append((self.epoch, v))
        if self.epoch == 1: raise CancelFitException()
rep = Report(); l = collab_learner(tdls, n_factors=4, y_range=(.5, 5.5), cbs=rep); l.fit(4, 1e-3); rep.seen
# %%
class WandbLike(Callback):
    order = Recorder.order + 1
    def __init__(self): self.rows = []
    def after_batch(self):
        if self.training: self.rows.append({'epoch': self.learn.train_iter / self.learn.n_iter if False else self.epoch, 'train_loss': to_detach(self.smooth_loss.clone()).item() if hasattr(self, 'smooth_loss') and self.smooth_loss is not None else None, 'raw_loss': to_detach(self.loss.clone()).item(), **{f'{k}_{i}': v for i, h in enumerate(self.opt.hypers) for k, v in h.items()}})
    def after_epoch(self): self.rows.append({n: s for n, s in zip(self.recorder.metric_names, self.recorder.log) if n not in ['train_loss', 'epoch', 'time']})
w = WandbLike(); l.fit_one_cycle(1, 1e-3, cbs=w); len(w.rows), sorted(w.rows[0]), sorted(w.rows[-1])
# %%
def gather_args(self):
    cb_args = {f'{cb}': getattr(cb, '__stored_args__', True) for cb in self.cbs}
    args = {'Learner': self, **cb_args}
    try: args['model params'] = total_params(self.model)[0]
    except Exception: pass
    return args
sorted(map(str, gather_args(l)))[:4]
# %%
l.dls.train.bs, l.dls.train_ds.__len__(), l.opt_func.__name__ if hasattr(l.opt_func, '__name__') else 'partial'
# %%
es = EarlyStoppingCallback(monitor='rmse', comp=np.less, min_delta=.01, patience=1); sm = SaveModelCallback(monitor='valid_loss', fname='amazon', with_opt=True); ro = ReduceLROnPlateau(monitor='valid_loss', patience=1, factor=2., min_lr=1e-5)
l = collab_learner(tdls, n_factors=4, y_range=(.5, 5.5), metrics=rmse); l.fit(3, 1e-2, cbs=[es, sm, ro]); (l.path/l.model_dir/'amazon.pth').exists()
# %%
l.fit_one_cycle(2, 1e-3, cbs=CSVLogger(fname='log.csv', append=False)); pd.read_csv(l.path/'log.csv').columns.tolist()
# %%
l.fit_one_cycle(1, 1e-3, cbs=CSVLogger('log.csv', append=True)); len(pd.read_csv('log.csv'))
# %%
l.fit(1, 1e-3, cbs=[GradientAccumulation(n_acc=128), GradientClip(1.)]); l.recorder.losses[-1].ndim
# %%
l.fit_one_cycle(1, slice(1e-4, 1e-2)); l.recorder.lrs[:1]
# %%
l.lr_find(num_it=30, stop_div=True, show_plot=True); plt.close('all')
# %% time of day, lists for everybody, sparse matrices
from scipy.sparse import coo_matrix, csr_matrix
ui = csr_matrix((df.rating, (df.user.map(tdls.classes['user'].o2i), df.item.map(tdls.classes['item'].o2i))), shape=(len(tdls.classes['user']), len(tdls.classes['item']))); ui.nnz == len(df)
# %%
with torch.no_grad():
    m = l.model.eval(); S = torch.stack([m(torch.stack([torch.full((len(tdls.classes['item']),), u), torch.arange(len(tdls.classes['item']))], 1)) for u in range(len(tdls.classes['user']))])
S.shape
# %%
S = S.numpy().copy(); S[ui.nonzero()] = -np.inf; S[:, 0] = -np.inf; rec_idx = np.argpartition(-S, 5, axis=1)[:, :5]; rec_idx.shape, (rec_idx != 0).all()
# %%
recs = pd.DataFrame(rec_idx[1:], index=tdls.classes['user'][1:]).stack().map(lambda i: tdls.classes['item'][i]).rename('item').reset_index(level=1, drop=True); recs.shape, recs.index.nunique() == len(tdls.classes['user']) - 1
# %%
def hit_rate(recs, truth): return np.mean([len(set(recs.loc[u]) & t) > 0 for u, t in truth.items() if u in recs.index])
truth = df.loc[splits[1]].groupby('user').item.agg(set); 0 <= hit_rate(recs, truth) <= 1
# %%
items = list(tdls.classes['item']); 'B0003' in items, items.index('B0003') == tdls.classes['item'].o2i['B0003'], tdls.classes['item'].map_ids([1, 2]) if hasattr(tdls.classes['item'], 'map_ids') else None
# %%
tdls.categorize.classes.keys() if hasattr(tdls, 'categorize') else None, tdls.procs
# %%
tdls.categorify['item'].o2i['B0003'] > 0, tdls.train_ds.procs.categorify.classes['item'][1]
# %%
l.predict(df.iloc[2])[2].item() > .5
# %%
a = df.iloc[:1].copy(); a['item'] = 'B9999'; p1 = l.get_preds(dl=tdls.test_dl(a))[0]; a['item'] = np.nan; p2 = l.get_preds(dl=tdls.test_dl(a))[0]; torch.allclose(p1, p2)
# %%
item_stats = df.groupby('item').agg(n=('rating', 'size'), mean=('rating', 'mean'), std=('rating', 'std')); m_ = item_stats.n.quantile(.5); item_stats['weighted'] = (item_stats.n * item_stats['mean'] + m_ * df.rating.mean()) / (item_stats.n + m_); item_stats['bias'] = pd.Series(l.model.bias(list(item_stats.index), is_item=True).numpy(), index=item_stats.index); item_stats.corr().shape
# %%
fig, ax = plt.subplots(); ax.scatter(item_stats['mean'], item_stats.bias, s=item_stats.n); ax.set(xlabel='mean', ylabel='bias'); fig.savefig('bias.png', dpi=50); plt.close(fig); Path('bias.png').stat().st_size > 0
# %%
l.model.bias(['B0003', 'B0001'], True), l.model.weight(['B0003'], is_item=True), l.model.bias(['A00001'], is_item=False).shape
# %%
l.model.weight(['B0002', 'B0001']).shape
# %%
drift = df.assign(month=df.date.dt.to_period('D')).groupby('month').rating.mean(); drift.index.dtype.name, len(drift) > 1
# %%
del l; gc.collect() if 'gc' in globals() else None; torch.cuda.empty_cache()
