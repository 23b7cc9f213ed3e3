# %% a competition's kernel: helper functions, seeds, folds, submissions
import gc, warnings, random, pathlib
from dataclasses import dataclass
from sklearn.model_selection import StratifiedKFold, train_test_split
warnings.filterwarnings('ignore')
@dataclass
class CFG:
    seed: int = 42; n_factors: int = 8; epochs: int = 1; lr: float = 5e-3; wd: float = 0.1; bs: int = 64; folds: int = 2; y_range: tuple = (0.5, 5.5)
cfg = CFG(); pd.set_option('display.max_columns', 50)
def seed_everything(seed):
    random.seed(seed); os.environ['PYTHONHASHSEED'] = str(seed); np.random.seed(seed); torch.manual_seed(seed); torch.cuda.manual_seed(seed); torch.backends.cudnn.deterministic = True
seed_everything(cfg.seed)
# %%
anime = movies.rename(columns={'movie': 'anime_id', 'title': 'name'}).assign(type=lambda d: np.where(d.anime_id % 3, 'TV', 'Movie'), members=lambda d: d.anime_id * 100)
rating = ratings.rename(columns={'movie': 'anime_id', 'user': 'user_id'}).assign(rating=lambda d: d.rating * 2); rating.loc[::11, 'rating'] = -1
rating = rating[rating.rating != -1].reset_index(drop=True); full = rating.merge(anime, on='anime_id', suffixes=('_user', '_anime')); full.columns.tolist()
# %%
full.groupby('name')['rating'].agg(['mean', 'count']).query('count > 10').sort_values('mean', ascending=False).head(3).shape
# %%
n_ratings = rating.user_id.value_counts(); active = n_ratings[n_ratings >= 15].index; rating = rating[rating.user_id.isin(active)].copy(); exact_kept = [len(rating), len(active)]
# %%
rating['anime_id'].nunique(), rating['user_id'].nunique(), round(rating.rating.mean(), 3)
# %%
train_df, test_df = train_test_split(rating, test_size=0.1, random_state=cfg.seed, stratify=rating.rating); exact_test = test_df.index[:5].tolist()
# %%
dls = CollabDataLoaders.from_df(train_df, user_name='user_id', item_name='anime_id', rating_name='rating', bs=cfg.bs, seed=cfg.seed); dls.show_batch(max_n=5)
# %%
x, y = dls.one_batch(); print(f'{x.shape=} {y.shape=}'); x[:2], y[:2]
# %%
learn = collab_learner(dls, n_factors=cfg.n_factors, y_range=(1, 10.5), wd=cfg.wd, metrics=[rmse, mae]); learn.lr_find(suggest_funcs=(minimum, steep, valley, slide), num_it=40)._fields
# %%
learn.fit_one_cycle(cfg.epochs, cfg.lr, cbs=[SaveModelCallback(monitor='valid_loss', fname=f'best_{cfg.n_factors}'), EarlyStoppingCallback(monitor='valid_loss', patience=2), CSVLogger()]); (learn.path/'models'/f'best_{cfg.n_factors}.pth').exists()
# %%
pd.read_csv('history.csv').columns.tolist()
# %%
tdl = dls.test_dl(test_df, with_labels=True); p, t = learn.get_preds(dl=tdl); p, t, ((p.squeeze() - t.squeeze()) ** 2).mean().sqrt()
# %%
learn.validate(dl=tdl), len(tdl), tdl.n
# %%
sub = test_df[['user_id', 'anime_id']].copy(); sub['rating'] = p.numpy(); sub.to_csv('submission.csv', index=False); pd.read_csv('submission.csv').shape[1]
# %%
sub['rating'] = p.clamp(1, 10).numpy().astype(np.float32); sub.dtypes['rating'].kind, sub.rating.between(1, 10).all()
# %%
sub['rounded'] = p.view(-1).round().int().numpy(); sub.rounded.dtype.kind
# %%
def run_fold(fold, tr, va, cfg=cfg):
    d = TabularCollab(rating, [Categorify], ['user_id', 'anime_id'], y_names=['rating'], y_block=TransformBlock(), splits=(list(tr), list(va))).dataloaders(bs=cfg.bs)
    l = collab_learner(d, n_factors=cfg.n_factors, y_range=(1, 10.5), metrics=rmse)
    with l.no_bar(), l.no_logging(): l.fit_one_cycle(cfg.epochs, cfg.lr, wd=cfg.wd)
    return l, l.get_preds()[0].squeeze().numpy(), l.recorder.values[-1][-1]
skf = StratifiedKFold(cfg.folds, shuffle=True, random_state=cfg.seed); oof, scores = np.zeros(len(rating)), []
for fold, (tr, va) in enumerate(skf.split(rating, rating.rating)):
    l, oof[va], s = run_fold(fold, tr, va); scores.append(s); l.save(f'fold_{fold}'); del l; gc.collect()
len(scores), (oof > 0).all()
# %%
np.sqrt(((oof - rating.rating) ** 2).mean()) > 0, float(np.mean(scores)) > 0, sorted(p.name for p in Path('models').glob('fold_*'))
# %%
for f in range(cfg.folds): learn.load(f'fold_{f}'); learn.get_preds(dl=dls.test_dl(test_df))[0].mean().item()
# %% tables of names and neighbours
id2name = dict(zip(anime.anime_id, anime.name)); name2id = {v: k for k, v in id2name.items()}
emb = learn.model.i_weight.weight.detach().cpu().numpy(); bias = learn.model.i_bias.weight.detach().cpu().numpy().flatten(); emb.shape, bias.shape
# %%
table = pd.DataFrame({'id': list(dls.classes['anime_id'])[1:], 'bias': bias[1:]}); table['name'] = table.id.map(id2name); table.sort_values('bias').tail(3).name.notna().all()
# %%
def neighbours(name, k=3, metric='cosine'):
    i = dls.classes['anime_id'].o2i[name2id[name]]; w = emb / (np.linalg.norm(emb, axis=1, keepdims=True) + 1e-9)
    s = w @ w[i] if metric == 'cosine' else -np.linalg.norm(emb - emb[i], axis=1)
    best = np.argsort(-s)[:k + 1]; return [(id2name.get(dls.classes['anime_id'][j], '#na#'), float(s[j])) for j in best if j != i]
len(neighbours('Film 05 (1955)')), len(neighbours('Film 05 (1955)', metric='l2'))
# %%
def predict_user(uid):
    items = [i for i in dls.classes['anime_id'] if i != '#na#']; seen = set(train_df.loc[train_df.user_id == uid, 'anime_id']); items = [i for i in items if i not in seen]
    d = pd.DataFrame({'user_id': uid, 'anime_id': items}); d['rating'] = 0
    return d.assign(pred=learn.get_preds(dl=dls.test_dl(d))[0].squeeze()).nlargest(5, 'pred')
predict_user(active[0]).columns.tolist()
# %%
preds = {u: predict_user(u).anime_id.tolist() for u in active[:3]}; pd.DataFrame(preds).shape
# %%
hits = [len(set(preds[u]) & set(test_df[test_df.user_id == u].anime_id)) for u in preds]; len(hits)
# %%
uid = torch.tensor([dls.classes['user_id'].o2i[u] for u in active[:4]]); with_torch = learn.model.u_weight(uid) @ learn.model.i_weight.weight.t(); with_torch
# %%
torch.sort(with_torch, descending=True)[1][:, :3], torch.topk(with_torch, 3).values.shape
# %%
(learn.model.u_bias.weight.squeeze()[uid][:, None] + learn.model.i_bias.weight.squeeze()[None] + with_torch).sigmoid().mul(9.5).add(1)
# %%
from sklearn.decomposition import PCA, NMF
from sklearn.cluster import KMeans, AgglomerativeClustering
lab = KMeans(3, n_init=1, random_state=0).fit(emb[1:]).labels_; pd.Series(lab).value_counts().sum(), AgglomerativeClustering(3).fit_predict(emb).shape
# %%
pc = PCA(2).fit(emb); xy = pc.transform(emb); fig, ax = plt.subplots(figsize=(4, 4)); ax.scatter(xy[:, 0], xy[:, 1], c=np.r_[0, lab]); ax.set_title(f'{pc.explained_variance_ratio_.sum():.2f}'); plt.close(fig)
# %%
learn.model.i_weight.weight.pca(2).shape, torch.pca_lowrank(learn.model.i_weight.weight.detach(), 2)[0].shape
# %% comparing models
def build(kind):
    if kind == 'dot': return collab_learner(dls, n_factors=6, y_range=(1, 10.5), metrics=rmse)
    if kind == 'nn': return collab_learner(dls, use_nn=True, layers=[16, 8], y_range=(1, 10.5), metrics=rmse)
    return Learner(dls, Own(*[len(dls.classes[c]) for c in dls.classes]), loss_func=MSELossFlat(), metrics=rmse)
class Own(Module):
    def __init__(self, n_u, n_i, k=6, p=0.1):
        self.u, self.i, self.ub, self.ib = Embedding(n_u, k), Embedding(n_i, k), Embedding(n_u, 1), Embedding(n_i, 1)
        self.mlp = nn.Sequential(nn.Linear(2 * k, 16), nn.GELU(), nn.LayerNorm(16), nn.Dropout(p), nn.Linear(16, 1)); self.w = nn.Parameter(torch.tensor(0.5))
    def forward(self, x):
        u, i = self.u(x[:, 0]), self.i(x[:, 1]); a = torch.sigmoid(self.w)
        out = a * (u * i).sum(1, keepdim=True) + (1 - a) * self.mlp(torch.cat([u, i], dim=1)) + self.ub(x[:, 0]) + self.ib(x[:, 1])
        return sigmoid_range(out, 1, 10.5)
res = {}
for kind in ('dot', 'nn', 'own'):
    l = build(kind); l.fit_one_cycle(2, 5e-3, wd=0.05); res[kind] = dict(zip(l.recorder.metric_names[1:-1], l.recorder.values[-1]))
pd.DataFrame(res).T.round(3).shape, list(res['own'])
# %%
l.model.w, float(l.model.w) != 0.5
# %%
l.get_preds()[0], l.model.mlp[2].weight
# %%
pd.DataFrame(res).T['valid_loss'].plot(kind='barh', title='loss'); plt.close('all')
# %%
lrs, losses = zip(*[(lr, collab_learner(dls, n_factors=3, y_range=(1, 10.5)).validate()[0]) for lr in (1e-3, 1e-2)]); len(losses)
# %%
l.recorder.plot_loss(); ax = plt.gca(); [t.get_text() for t in ax.get_legend().get_texts()], ax.lines.__len__(); plt.close('all')
# %%
vals = pd.DataFrame(l.recorder.values, columns=l.recorder.metric_names[1:len(l.recorder.values[0]) + 1]); vals.plot(y=['train_loss', 'valid_loss']); plt.close('all'); vals.shape
# %%
learn.fit(2, 1e-3); [len(v) for v in learn.recorder.values], learn.recorder.log[0], len(learn.recorder.log)
# %%
str(learn.recorder.log[-1]).count(':') == 1, learn.recorder.values[-1].__class__.__name__
# %%
class LossHistory(Callback):
    def __init__(self): self.train, self.valid = [], []
    def after_batch(self): (self.train if self.training else self.valid).append(self.loss.item())
    def after_epoch(self): self.learn.note = f'{np.mean(self.train):.2f}'
h = LossHistory(); learn.fit(1, 1e-3, cbs=h); exact_counts = [len(h.train), len(h.valid)]; learn.note != ''
# %%
class LRPrinter(Callback):
    run_train = True
    def before_epoch(self): print(f'epoch {self.epoch} of {self.n_epoch}: {self.opt.hypers[0]["lr"]:.1e}')
learn.fit(2, 1e-3, cbs=[LRPrinter(), ProgressCallback()] if False else LRPrinter())
# %%
class Sampler(Callback):
    "weights rows by how rare their rating is"
    order = 2
    def before_fit(self): c = rating.rating.value_counts(normalize=True); self.w = {k: 1 / v for k, v in c.items()}
    def after_pred(self):
        if self.training: self.learn.w = tensor([self.w[int(v)] for v in self.y.view(-1)])
def weighted(p, t): w = getattr(learn, 'w', None); e = (p.view(-1) - t.view(-1)) ** 2; return (e * w).mean() / w.mean() if w is not None and len(w) == len(e) else e.mean()
keep = learn.loss_func; learn.loss_func = weighted; learn.fit(1, 1e-3, cbs=Sampler()); learn.loss_func = keep; hasattr(learn, 'w')
# %%
learn.to_fp16().fit(1, 1e-3) if False else learn.to_fp32().fit(1, 1e-3)
# %%
ls = [collab_learner(dls, n_factors=4, y_range=(1, 10.5)) for _ in range(2)]
for m in ls: m.fit_one_cycle(1, 5e-3)
torch.stack([m.get_preds(dl=tdl)[0] for m in ls]).mean(0).shape, torch.stack([m.get_preds(dl=tdl)[0] for m in ls]).std(0)
# %%
avg = copy_model = deepcopy(ls[0].model)
for pa, pb in zip(avg.parameters(), ls[1].model.parameters()): pa.data = (pa.data + pb.data) / 2
ls[0].model = avg; ls[0].validate()
# %%
ls[0].model.load_state_dict({k: v * 0 for k, v in avg.state_dict().items()}); close_zero = list(ls[0].validate())
# %%
learn.dls.valid_ds.items.head(3).shape, learn.dls.train_ds.items.memory_usage(deep=True).sum() > 0
# %%
y_all = np.concatenate([y.numpy().ravel() for _, y in dls.valid]); y_all.shape, y_all.dtype.kind
# %%
pred_mean = np.full_like(t.numpy(), train_df.rating.mean(), dtype=float); np.sqrt(((pred_mean - t.numpy()) ** 2).mean()) > 0
# %%
pd.concat([test_df.reset_index(drop=True), pd.DataFrame(p.numpy(), columns=['pred']) if p.ndim > 1 else pd.Series(p.numpy(), name='pred')], axis=1).shape
# %%
err = (p.view(-1) - t.view(-1)).numpy(); plt.hist(err, bins=20); plt.axvline(err.mean()); plt.close('all'); stats = scipy.stats.describe(err) if hasattr(scipy, 'stats') else None; len(err)
# %%
dls.vocab if hasattr(dls, 'vocab') else dls.classes['anime_id'].__class__.__name__
# %%
Learner(dls, learn.model, loss_func=nn.MSELoss()).validate() is not None, Learner(dls, learn.model, loss_func=F.l1_loss).loss_func.__name__
# %%
l = collab_learner(dls, n_factors=4, y_range=(1, 10.5), cbs=[EarlyStoppingCallback(patience=1), SaveModelCallback()]); l.fit_one_cycle(2, 1e-2); Path('models/model.pth').exists()
# %%
l.cbs.map(lambda c: c.name), l.early_stopping.patience, l.save_model.fname
# %%
l.fit_one_cycle(1, lr_max=slice(1e-4, 1e-2), pct_start=0.3), bool(l.opt.hypers[-1]['lr'] < 1e-2)
# %%
learn.export('final.pkl'); new = load_learner('final.pkl'); pd.Series(new.get_preds(dl=new.dls.test_dl(test_df))[0].view(-1).numpy()).describe().shape, torch.equal(new.model.i_bias.weight, learn.model.i_bias.weight)
