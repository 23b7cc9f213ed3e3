# %% anime, books, beer: tables as people bring them
table = ratings.merge(movies, left_on='movie', right_on='movie')
table = table.rename(columns={'user': 'user_id', 'title': 'name', 'rating': 'score'})
table['user_id'] = table['user_id'].astype(str)
pd.crosstab(table.user_id, table.name, values=table.score, aggfunc='sum').shape
# %%
set_seed(42, reproducible=True)
dls = CollabDataLoaders.from_df(table, user_name='user_id', item_name='name', rating_name='score', bs=32, valid_pct=0.1, seed=42)
dls.show_batch(max_n=4)
# %%
len(dls.train_ds), len(dls.valid_ds), dls.n, dls.bs
# %%
n_users, n_items = len(dls.classes['user_id']), len(dls.classes['name'])
exact_sizes = [n_users, n_items]
# %%
dls.classes['name'][:3]
# %%
list(dls.classes.keys())
# %%
x, y = dls.one_batch()
x, y
# %%
x, y = first(dls.train)
x.shape, y.shape, x.dtype, y.dtype
# %%
learn = collab_learner(dls, n_factors=12, y_range=(0.5, 5.5), wd=0.1, metrics=[rmse, mae])
learn.model
# %%
found = learn.lr_find(num_it=40)
exact_text = str(found).split('=')[0]
# %%
found.valley > 0
# %%
both = learn.lr_find(suggest_funcs=(valley, slide), num_it=40)
type(both).__name__, both._fields
# %%
learn.lr_find(suggest_funcs=(minimum, steep, valley, slide), num_it=60, show_plot=False)._fields
# %%
learn.fit_one_cycle(3, 5e-3, wd=0.1, cbs=[EarlyStoppingCallback(monitor='valid_loss', patience=2), SaveModelCallback(fname='best')])
# %%
learn.recorder.plot_loss()
plt.close('all')
# %%
learn.recorder.plot_sched()
plt.close('all')
# %%
len(learn.recorder.values), len(learn.recorder.values[0])
# %%
learn.recorder.metric_names
# %%
[round(float(v), 0) >= 0 for v in learn.recorder.values[-1]]
# %%
(learn.path/learn.model_dir).ls(file_exts='.pth')
# %%
learn.load('best')
# %%
learn.fit(1, 1e-3, cbs=CSVLogger())
pd.read_csv(learn.path/'history.csv').columns.tolist()
# %%
learn.fit(1, cbs=[ReduceLROnPlateau(monitor='valid_loss', patience=1, factor=5.), TerminateOnNaNCallback()])
# %%
learn.validate(dl=dls.train)
# %%
with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, 1e-3)
# %% the most and least liked by bias
bias = learn.model.i_bias.weight.squeeze()
idxs = bias.argsort(descending=True)[:5]
[dls.classes['name'][i] for i in idxs][:1]
# %%
idxs = bias.argsort()[:5].tolist()
L(idxs).map(lambda i: dls.classes['name'][i])
# %%
top = table.groupby('name')['score'].count().sort_values(ascending=False).index.values[:10]
learn.model.bias(top, is_item=True).shape
# %%
mean_ratings = table.groupby('name')['score'].mean()
item_ratings = [(b, i, mean_ratings.loc[i]) for i, b in zip(top, learn.model.bias(top, is_item=True))]
sorted(item_ratings, key=itemgetter(0), reverse=True)[0][0]
# %%
learn.model.weight(top, is_item=True).shape
# %%
movie_w = learn.model.weight(top, is_item=True)
movie_pca = movie_w.pca(3)
movie_pca.shape
# %%
fac0, fac1, fac2 = movie_pca.t()
fac0.shape
# %%
plt.figure(figsize=(4, 4))
plt.scatter(fac0.numpy(), fac2.numpy())
for n, a, b in zip(top, fac0, fac2): plt.text(a, b, n, color=np.random.rand(3)*0.7, fontsize=8)
plt.close('all')
# %%
learn.model.u_weight.weight.detach().cpu().numpy().shape
# %%
item_factors = learn.model.i_weight.weight
at = dls.classes['name'].o2i['Film 07 (1957)']
distances = nn.CosineSimilarity(dim=1)(item_factors, item_factors[at][None])
dls.classes['name'][distances.argsort(descending=True)[0]]
# %%
F.normalize(item_factors, dim=1) @ F.normalize(item_factors, dim=1).T
# %%
to_np(item_factors).dtype, to_np(item_factors).shape
# %%
norms = item_factors.norm(dim=1)
norms[1:].mean().item() > 0
# %% what to recommend to one user
user = '7'
seen = set(table.loc[table.user_id == user, 'name'])
unseen = [n for n in dls.classes['name'] if n not in seen and n != '#na#']
frame = pd.DataFrame({'user_id': [user] * len(unseen), 'name': unseen})
dl = learn.dls.test_dl(frame)
preds, _ = learn.get_preds(dl=dl)
preds.shape[0] == len(unseen)
# %%
frame['pred'] = preds.numpy().reshape(-1)
frame.sort_values('pred', ascending=False).head(5).columns.tolist()
# %%
best = preds.squeeze().argsort(descending=True)[:5]
[unseen[i] for i in best.tolist()][:1]
# %%
u = dls.classes['user_id'].o2i[user]
x = torch.stack([torch.full((n_items,), u), torch.arange(n_items)], 1)
scores = learn.model(x.to(dls.device))
scores
# %%
with torch.no_grad(): scores = learn.model.eval()(x).cpu().numpy()
scores
# %%
learn.model.u_bias(torch.tensor([u])), learn.model.i_weight(tensor([1, 2]))
# %%
learn.predict(table.iloc[3])[0]
# %%
row = table[['user_id', 'name']].iloc[0]
float(learn.predict(row)[1])
# %%
test = table.sample(30, random_state=0)
preds, targs = learn.get_preds(dl=learn.dls.test_dl(test, with_labels=True))
preds.shape[0], targs.shape
# %%
from sklearn.metrics import mean_squared_error, mean_absolute_error
math.sqrt(mean_squared_error(targs.squeeze(), preds.squeeze())) > 0
# %%
(preds.squeeze() - targs.squeeze()).abs().mean()
# %%
pd.DataFrame({'true': targs.flatten(), 'pred': preds.flatten()}).describe()
# %% a plain dot product, parameters of one's own
def create_params(size):
    return nn.Parameter(torch.zeros(*size).normal_(0, 0.01))
class Dot(Module):
    def __init__(self, n_users, n_items, n_factors, y_range=(0, 5.5)):
        self.users, self.items = create_params([n_users, n_factors]), create_params([n_items, n_factors])
        self.ub, self.ib = create_params([n_users]), create_params([n_items])
        self.y_range = y_range
    def forward(self, x):
        res = (self.users[x[:, 0]] * self.items[x[:, 1]]).sum(dim=1)
        return sigmoid_range(res + self.ub[x[:, 0]] + self.ib[x[:, 1]], *self.y_range)
own = Dot(n_users, n_items, 8)
L(own.parameters()).map(lambda p: tuple(p.shape))
# %%
learn = Learner(dls, own, loss_func=MSELossFlat(), metrics=rmse)
learn.fit_one_cycle(2, 5e-3, wd=0.1)
# %%
learn.model.ib.squeeze().argsort(descending=True)[:3].shape
# %%
learn = Learner(dls, own, loss_func=nn.MSELoss(), opt_func=partial(Adam, decouple_wd=False), lr=1e-3)
learn.fit(1)
# %%
learn = Learner(dls, Dot(n_users, n_items, 4), loss_func=lambda p, t: F.mse_loss(p, t.squeeze().float()), opt_func=SGD)
learn.fit(1, 1e-2)
# %%
class CollabNN(Module):
    def __init__(self, user_sz, item_sz, y_range=(0, 5.5), n_act=20):
        self.user_factors, self.item_factors = Embedding(*user_sz), Embedding(*item_sz)
        self.layers = nn.Sequential(nn.Linear(user_sz[1] + item_sz[1], n_act), nn.ReLU(), nn.Linear(n_act, 1))
        self.y_range = y_range
    def forward(self, x):
        embs = self.user_factors(x[:, 0]), self.item_factors(x[:, 1])
        return sigmoid_range(self.layers(torch.cat(embs, dim=1)), *self.y_range)
embs = get_emb_sz(dls)
embs
# %%
learn = Learner(dls, CollabNN(*embs), loss_func=MSELossFlat(), metrics=[mae])
learn.fit_one_cycle(2, 5e-3, wd=0.01)
# %%
learn.get_preds()[0]
# %% the library's network
learn = collab_learner(dls, use_nn=True, y_range=(0, 5.5), layers=[20, 10], metrics=rmse)
learn.fit_one_cycle(2, 5e-3, wd=0.1)
# %%
learn.model
# %%
[tuple(p.shape) for p in learn.model.parameters()]
# %%
learn.model.embeds[1].weight.shape
# %%
learn.get_preds(with_decoded=True)
# %%
learn.opt_func.__name__ if hasattr(learn.opt_func, '__name__') else 'partial'
# %%
learn.opt.hypers[0].keys() >= {'lr', 'wd', 'mom'}
# %%
learn = collab_learner(dls, use_nn=True, y_range=(0, 5.5), layers=[16], config=tabular_config(ps=[0.1], embed_p=0.05))
learn.fit_one_cycle(1, 5e-3)
# %%
learn.summary()
# %%
learn = collab_learner(dls, use_nn=True, emb_szs={'user_id': 5, 'name': 6}, layers=[8], y_range=(0, 5.5), loss_func=L1LossFlat())
learn.fit(1)
learn.model.embeds[0]
# %% loops over hyper-parameters
results = []
for n in (4, 8):
    for wd in (0.01, 0.1):
        run_ = collab_learner(dls, n_factors=n, y_range=(0, 5.5))
        with run_.no_bar(), run_.no_logging(): run_.fit_one_cycle(1, 5e-3, wd=wd)
        results.append((n, wd, run_.validate()[0]))
pd.DataFrame(results, columns=['factors', 'wd', 'loss']).sort_values('loss').shape
# %%
learn = collab_learner(dls, n_factors=6, y_range=(0, 5.5), cbs=[ShowGraphCallback()] if False else None, opt_func=ranger)
learn.fit_flat_cos(1, 1e-3)
# %%
learn = collab_learner(dls, n_factors=6, y_range=(0, 5.5), opt_func=partial(Adam, sqr_mom=0.999), moms=(0.9, 0.8, 0.9))
learn.fit_one_cycle(1, slice(1e-3))
# %%
learn.fine_tune(1, 1e-3)
# %%
learn.freeze(); learn.unfreeze()
# %% files and applications
learn.export('collab.pkl')
again = load_learner('collab.pkl')
again.predict(table.iloc[0])[1]
# %%
again.dls.classes['name'].items[:2]
# %%
p, _ = again.get_preds(dl=again.dls.test_dl(frame[['user_id', 'name']]))
p.shape[0] == len(frame)
# %%
again.dls = dls
again.get_preds()[0]
# %%
learn.save('stage-1')
# %%
other = collab_learner(dls, n_factors=6, y_range=(0, 5.5)).load('stage-1')
torch.equal(other.model.i_weight.weight, learn.model.i_weight.weight)
# %%
torch.save(learn.model.state_dict(), 'weights.pth')
learn.model.load_state_dict(torch.load('weights.pth'))
# %%
sum(p.numel() for p in learn.model.parameters() if p.requires_grad)
# %%
next(learn.model.parameters()).device.type, learn.dls.device
# %%
learn.model.to('cpu'); learn.dls.to('cpu')
learn.dls.device
# %% csv, other splits, two loaders
table[['user_id', 'name', 'score']].to_csv('t.csv', index=False)
dls2 = CollabDataLoaders.from_csv('t.csv', item_name='name', bs=16)
len(dls2.train) > 0
# %%
a = CollabDataLoaders.from_df(table, valid_pct=0.0, user_name='user_id', item_name='name', rating_name='score', bs=32)
b = CollabDataLoaders.from_df(table[:300], valid_pct=0.0, user_name='user_id', item_name='name', rating_name='score', bs=32, shuffle=False)
both = DataLoaders(a.train, b.train)
both.one_batch()[0].shape
# %%
splits = RandomSplitter(valid_pct=0.3, seed=1)(range_of(table))
to = TabularCollab(table, [Categorify], ['user_id', 'name'], y_names=['score'], y_block=TransformBlock(), splits=splits)
dls3 = to.dataloaders(path='.', bs=64)
to.train.xs.shape, to.valid.ys.shape
# %%
learn = collab_learner(dls3, n_factors=5, y_range=(0, 5.5), metrics=[rmse, R2Score(), PearsonCorrCoef(), ExplainedVariance()])
learn.fit_one_cycle(1, 5e-3)
# %%
learn.show_results(max_n=5)
# %%
dls3.train_ds.items.columns.tolist()
# %%
dls3.valid_ds.items.head(2).shape
# %%
interp = Interpretation.from_learner(learn)
losses, idxs = interp.top_losses(4)
losses.shape, idxs.shape
# %%
class Count(Callback):
    "counts batches"
    def before_fit(self): self.seen = 0
    def after_batch(self):
        if self.training: self.seen += 1
    def after_epoch(self): self.kept = float(self.smooth_loss)
learn.fit(1, cbs=Count())
# %%
learn = collab_learner(dls3, n_factors=5, y_range=(0, 5.5), cbs=[Count(), GradientClip(1.0)])
learn.fit(1)
learn.count.seen == len(dls3.train), learn.count.kept > 0
# %%
learn.remove_cb(Count)
len(learn.cbs) > 0
# %%
learn.final_record
# %%
learn.recorder.losses[-1], learn.recorder.lrs[-1] > 0
# %%
seen_pairs = L(zip(table.user_id, table.name)).unique()
len(seen_pairs) <= len(table)
# %%
store = {o: learn.dls.classes['name'].o2i[o] for o in unseen[:3]}
len(store)
# %%
test_eq(len(dls3.train_ds) + len(dls3.valid_ds), len(table)); test_close(1.0, 1.0 + 1e-7)
# %%
random.seed(0); np.random.seed(0); torch.manual_seed(0)
type(torch.initial_seed()).__name__
# %%
from collections import defaultdict, Counter
c = Counter(table.name); c.most_common(1)[0][1] > 1
# %%
ndcg = defaultdict(list)
for uu, ii, ss in zip(table.user_id, table.name, table.score): ndcg[uu].append((ss, ii))
len(ndcg)
# %%
sparsity = 1 - len(table) / (table.user_id.nunique() * table.name.nunique())
table.pivot_table(index='user_id', columns='name', values='score').fillna(0).shape
# %%
emb = nn.Embedding(10, 4); emb(torch.LongTensor([1, 2])).shape
# %%
one_hot(3, 5).float() @ torch.ones(5, 2)
# %%
learn.model.eval(); learn.model.training
# %%
Path('.').ls().filter(lambda o: o.suffix == '.pkl').map(str)
# %%
import pickle
back = pickle.loads(pickle.dumps(learn.model.state_dict()))
list(back)
