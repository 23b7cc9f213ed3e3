# %% a pipeline of functions and classes: settings, logs, training, scoring all pairs, tables out, retraining
import argparse, tempfile, shutil, uuid, abc, copy, math, warnings, json; from datetime import date, datetime; from typing import Any, Protocol
args = argparse.ArgumentParser().parse_args([]); args.__dict__.update(batch_size=128, lr=5e-3, n_factors=8, out=tempfile.mkdtemp()); vars(args).keys()
# %%
def cartesian_product(*arrays):
    la = len(arrays); dtype = np.result_type(*arrays); arr = np.empty([len(a) for a in arrays] + [la], dtype=dtype)
    for i, a in enumerate(np.ix_(*arrays)): arr[..., i] = a
    return arr.reshape(-1, la)
def score(learner, test_df, user_col, item_col, prediction_col, top_k=None):
    test_df = test_df[[user_col, item_col]].astype({user_col: learner.dls.classes[user_col].items.dtype, item_col: learner.dls.classes[item_col].items.dtype}) if hasattr(learner.dls.classes[user_col].items, 'dtype') else test_df[[user_col, item_col]]
    total_users, total_items = learner.dls.classes.values(); test_df.loc[~test_df[user_col].isin(total_users), user_col] = np.nan; test_df.loc[~test_df[item_col].isin(total_items), item_col] = np.nan
    u = [total_users.o2i.get(x, 0) if isinstance(total_users.o2i, dict) else total_users.o2i[x] for x in test_df[user_col]]; m = [total_items.o2i[x] for x in test_df[item_col]]; x = torch.column_stack((torch.tensor(u), torch.tensor(m))); pred = learner.model.to('cpu').forward(x)
    scores = pd.DataFrame({user_col: test_df[user_col], item_col: test_df[item_col], prediction_col: pred.detach()}).sort_values([user_col, prediction_col], ascending=[True, False]); return scores.groupby(user_col).head(top_k).reset_index(drop=True) if top_k else scores
class Base(abc.ABC):
    def __init__(self, name, **kw): self.name, self.kw = name, kw
    @abc.abstractmethod
    def train(self): ...
class FastAiModel(Base):
    def __init__(self, df, n_factors, epochs, seed=42): super().__init__(f'm_{n_factors}_{epochs}.pkl'); self.n_factors, self.epochs, self.seed = n_factors, epochs, seed; from sklearn.model_selection import train_test_split; self.train_df, self.test_df = train_test_split(df, test_size=.25, random_state=seed); self.test_df = self.test_df[self.test_df.user.isin(self.train_df.user)]
    def _prepare(self): np.random.seed(self.seed); torch.manual_seed(self.seed); torch.cuda.manual_seed_all(self.seed)
    def train(self): self._prepare(); data = CollabDataLoaders.from_df(self.train_df, user_name='user', item_name='movie', rating_name='rating', valid_pct=0); learn = collab_learner(data, n_factors=self.n_factors, y_range=[0, 5.5], wd=1e-1); learn.fit_one_cycle(self.epochs, lr_max=5e-3); learn.export(Path(args.out)/self.name); return learn
    def predict(self):
        learner = load_learner(Path(args.out)/self.name); tu, ti = learner.dls.classes.values(); tu, ti = tu[1:], ti[1:]; tus = np.intersect1d(self.test_df.user.unique(), tu); ui = pd.DataFrame(cartesian_product(np.array(tus), np.array(ti)), columns=['user', 'movie']).astype(int); rem = pd.merge(ui, self.train_df, on=['user', 'movie'], how='left'); rem = rem[rem.rating.isna()][['user', 'movie']]; return score(learner, rem, 'user', 'movie', 'prediction', 3)
fm = FastAiModel(ratings, 8, 1); l = fm.train(); len(l.recorder.values), Path(args.out).ls()
# %%
top = fm.predict(); top.shape[1], top.groupby('user').size().max(), top.prediction.dtype.kind
# %%
hits = top.merge(fm.test_df, on=['user', 'movie']); prec = hits.groupby('user').size().reindex(top.user.unique(), fill_value=0).mean() / 3; 0 <= prec <= 1
# %%
tu, ti = l.dls.classes.values(); type(tu).__name__, len(tu[1:]), np.array(ti[1:]).dtype.kind, tu[0], list(l.dls.classes.items())[0][0], np.array(ti[1:5]).tolist()
# %%
sc = score(l, fm.test_df, 'user', 'movie', 'prediction'); close_cols = len(sc.columns); sc.shape[1], sc.prediction.dtype
# %%
class Stage(enum.Enum): TRAIN = 'train'; VALID = 'valid'
hist = {s: [] for s in Stage}
class Tracker(Callback):
    "what a tracking service wants: parameters at the start, figures each epoch, a file at the end"
    order, name = 61, 'tracker'
    def __init__(self, log): self.figures = log
    def before_fit(self): self.figures['params'] = {'n_epoch': self.n_epoch, 'bs': self.dls.bs, 'lr': getattr(self, 'lr', None), 'opt': getattr(self.opt_func, '__name__', str(self.opt_func)), 'n_train': self.dls.train.n, 'model': type(self.model).__name__, 'loss': str(self.loss_func)}
    def after_epoch(self):
        for n, s in zip(self.recorder.metric_names, self.recorder.log):
            if n not in ['epoch', 'time'] and ':' not in str(s): self.figures.setdefault(n, []).append(float(s))
        for i, h in enumerate(self.opt.hypers): self.figures.setdefault('lr', []).append(h['lr'])
    def after_fit(self): self.learn.save('final'); self.figures['done'] = datetime.now().isoformat()[:4]
dls = CollabDataLoaders.from_df(ratings, bs=args.batch_size, seed=0); run = {}; l = collab_learner(dls, args.n_factors, y_range=(0, 5.5), metrics=[rmse], cbs=[Tracker(run)]); l.fit_one_cycle(2, args.lr); sorted(run), len(run['valid_loss']), run['params']['model'], run['params']['opt']
# %%
l.tracker.figures is run, l.tracker.learn is l, l.tracker.name, [c.name for c in l.cbs]
# %%
class LRLog(Callback):
    def before_fit(self): self.lrs = []
    def after_batch(self):
        if self.training: self.lrs.append((self.train_iter, self.pct_train, self.opt.hypers[-1]['lr'], self.iter, self.n_iter, self.epoch))
lg = LRLog(); l.fit(1, 1e-3, cbs=lg); exact_lr = [list(map(float, o)) for o in (lg.lrs[0], lg.lrs[-1])]; len(lg.lrs)
# %%
rows = L(l.recorder.values); out = pd.DataFrame(list(rows.map(list)), columns=l.recorder.metric_names[1:-1]); out.to_csv(Path(args.out)/'m.csv', index=False); out.astype(float).round(3).shape, rows[0].__class__.__name__
# %%
def export_all(l, out):
    out = Path(out); np.savez(out/'w.npz', **{k: v.cpu().numpy() for k, v in l.model.state_dict().items()}); pd.DataFrame({'movie': list(l.dls.classes['movie']), 'bias': l.model.i_bias.weight.detach().cpu().numpy().ravel()}).to_csv(out/'bias.csv'); (out/'meta.json').write_text(json.dumps({'n': dict(zip(l.dls.classes, map(len, l.dls.classes.values()))), 'y_range': l.model.y_range, 'when': str(date.today())[:2]})); return sorted(p.name for p in out.iterdir())
export_all(l, args.out)
# %%
z = np.load(Path(args.out)/'w.npz'); z.files, all(np.allclose(z[k], v) for k, v in l.model.state_dict().items()); l2 = collab_learner(dls, args.n_factors, y_range=(0, 5.5)); l2.model.load_state_dict({k: torch.from_numpy(z[k]) for k in z.files}); abs(float(l2.validate()[0]) - float(l.validate()[0])) < 1e-4
# %%
def retrain(l, new, epochs=1):
    d = CollabDataLoaders.from_df(pd.concat([ratings, new], ignore_index=True), bs=64, seed=0); n = collab_learner(d, args.n_factors, y_range=(0, 5.5)); old_c, new_c = l.dls.classes, d.classes
    for name, e in {'user': 'u', 'movie': 'i'}.items():
        for part in ('weight', 'bias'):
            src, dst = getattr(l.model, f'{e}_{part}').weight.data, getattr(n.model, f'{e}_{part}').weight.data; ix = [(j, old_c[name].o2i[c]) for j, c in enumerate(new_c[name]) if c in old_c[name].o2i]; a, b = map(list, zip(*ix)); dst[a] = src[b]
    n.fit(epochs, 1e-3); return n
n = retrain(l, pd.DataFrame({'user': [99, 99], 'movie': [3, 4], 'rating': [5, 1]})); len(n.dls.classes['user']), n.model.u_weight.weight.shape
# %%
everything = {u: n.model.u_weight.weight[n.dls.classes['user'].o2i[u]] @ n.model.i_weight.weight.T for u in (1, 99)}; {k: v.shape for k, v in everything.items()}, everything[99].requires_grad
# %%
with warnings.catch_warnings(record=True) as w: warnings.simplefilter('always'); n.get_preds(dl=n.dls.test_dl(pd.DataFrame({'user': [1], 'movie': [1]})))
isinstance(w, list), shutil.rmtree(args.out), uuid.uuid4().version
