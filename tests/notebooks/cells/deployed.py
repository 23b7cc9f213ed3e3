# %% from a trained model to an application: files, functions, forms, tables of what to show
df = ratings.merge(movies, on='movie'); path = Path('app'); path.mkdir(exist_ok=True)
dls = CollabDataLoaders.from_df(df, item_name='title', bs=64, seed=42, path=path)
learn = collab_learner(dls, n_factors=8, y_range=(0, 5.5), metrics=[rmse]); learn.fit_one_cycle(2, 5e-3, wd=0.1); learn.path, learn.dls.path
# %%
learn.export(); (path/'export.pkl').exists()
# %%
learn.path = Path('app'); learn.export('model_v2.pkl'); sorted(p.name for p in path.ls())
# %%
inf = load_learner(path/'export.pkl'); type(inf.model).__name__, inf.dls.cat_names, inf.dls.y_names
# %%
inf.model.training, [p.requires_grad for p in inf.model.parameters()][:1], inf.loss_func
# %%
len(inf.dls.train_ds), inf.metrics, inf.path
# %%
inf.predict(df.iloc[0])[1:], inf.predict(pd.Series({'user': 3, 'title': 'Film 05 (1955)'}))[2]
# %%
for i in (0, 5, 9): row, pred, raw = inf.predict(df.iloc[i]); float(pred)
row
# %%
def recommend(user_id, n=5):
    "what a web page would ask for"
    watched = df.loc[df.user == user_id, 'title'].unique()
    pool = [t for t in inf.dls.classes['title'].items if t not in watched and t != '#na#']
    tdl = inf.dls.test_dl(pd.DataFrame({'user': [user_id] * len(pool), 'title': pool}))
    with inf.no_bar(): preds = inf.get_preds(dl=tdl)[0]
    order = preds.squeeze().argsort(descending=True)[:n]
    return [{'title': pool[int(i)], 'score': round(float(preds[i]), 2)} for i in order]
found = recommend(5); len(found), sorted(found[0]), json.loads(json.dumps(found))[0]['score'] > 0
# %%
pd.DataFrame(recommend(7)).set_index('title').sort_values('score').shape
# %%
pd.DataFrame(recommend(7)).to_html(index=False)[:6], pd.DataFrame(recommend(7)).to_dict('records')[0].keys()
# %%
import sqlite3
con = sqlite3.connect('recs.db'); pd.DataFrame([{'user': u, **r} for u in (1, 2, 3) for r in recommend(u, 2)]).to_sql('recs', con, index=False); pd.read_sql('select count(*) as n from recs', con).iloc[0, 0]
# %%
con.close(); os.path.getsize('recs.db') > 0
# %%
item_emb = pd.DataFrame(to_np(inf.model.i_weight.weight), index=list(inf.dls.classes['title'])); item_emb.to_csv('items.csv'); pd.read_csv('items.csv', index_col=0).shape
# %%
item_emb.to_pickle('items.pkl'); pd.read_pickle('items.pkl').equals(item_emb)
# %%
np.savez('all.npz', u=to_np(inf.model.u_weight.weight), i=to_np(inf.model.i_weight.weight)); sorted(np.load('all.npz').files)
# %%
user_map = {str(u): i for i, u in enumerate(inf.dls.classes['user'])}; Path('users.json').write_text(json.dumps(user_map)); len(json.loads(Path('users.json').read_text()))
# %%
def by_hand(u, t):
    a, b = inf.dls.classes['user'].o2i[u], inf.dls.classes['title'].o2i[t]; m = inf.model
    z = (m.u_weight.weight[a] * m.i_weight.weight[b]).sum() + m.u_bias.weight[a, 0] + m.i_bias.weight[b, 0]
    return (torch.sigmoid(z) * (m.y_range[1] - m.y_range[0]) + m.y_range[0]).item()
abs(by_hand(3, 'Film 05 (1955)') - float(inf.predict(pd.Series({'user': 3, 'title': 'Film 05 (1955)'}))[2])) < 1e-4
# %%
class Recommender:
    "an object that an application would keep"
    def __init__(self, fname): self.learn = load_learner(fname); self.titles = self.learn.dls.classes['title']; self.w = F.normalize(self.learn.model.i_weight.weight.detach(), dim=1)
    def similar(self, title, n=3): s = self.w @ self.w[self.titles.o2i[title]]; return [self.titles[i] for i in s.argsort(descending=True)[1:n + 1]]
    def __call__(self, user, n=3):
        x = torch.tensor([[self.learn.dls.classes['user'].o2i[user], i] for i in range(1, len(self.titles))])
        with torch.no_grad(): s = self.learn.model(x)
        return [self.titles[i + 1] for i in s.topk(n).indices.view(-1)[:n].tolist()]
rec = Recommender(path/'model_v2.pkl'); len(rec.similar('Film 07 (1957)')), len(rec(4))
# %%
try: rec(10 ** 9)
except KeyError as e: print('no such user', e)
# %%
inf.dls.classes['user'].o2i.get(10 ** 9, 0) if hasattr(inf.dls.classes['user'].o2i, 'get') else 0
# %%
new = pd.DataFrame({'user': [10 ** 9, 3], 'title': ['Film 05 (1955)', 'nothing of that name']}); cold = inf.get_preds(dl=inf.dls.test_dl(new))[0]; cold
# %%
inf.dls.test_dl(new).items.values.tolist()
# %%
tst = inf.dls.test_dl(df.sample(20, random_state=0)); len(tst.dataset), tst.one_batch()[0].shape, inf.dls.test_dl(df[:3], bs=2).bs
# %%
inf.dls.test_dl(df[['title', 'user']].iloc[:4]).one_batch()[0]
# %%
inf.dls.test_dl(df[['user', 'title', 'timestamp']].iloc[:4].assign(extra=1)).items.columns.tolist()[:2]
# %%
batch_preds, _ = inf.get_preds(dl=inf.dls.test_dl(df, bs=500)); one = [float(inf.predict(df.iloc[i])[2]) for i in range(3)]; np.allclose(batch_preds.view(-1)[:3], one, atol=1e-4)
# %%
df['pred'] = batch_preds.numpy().ravel(); df.groupby('rating').pred.mean().is_monotonic_increasing, df.pred.between(0, 5.5).all()
# %%
df[['rating', 'pred']].corr().iloc[0, 1] > 0
# %% more training on what was saved
learn.save('stage-1', with_opt=True); learn2 = collab_learner(dls, n_factors=8, y_range=(0, 5.5), metrics=[rmse]); learn2 = learn2.load('stage-1'); learn2.fit_one_cycle(1, 1e-3); len(learn2.recorder.values)
# %%
learn2.load('stage-1', with_opt=False).validate()
# %%
(path/'models').ls().map(lambda p: p.name), (learn.path/learn.model_dir/'stage-1.pth').exists()
# %%
state = torch.load(path/'models'/'stage-1.pth', weights_only=False, map_location='cpu'); sorted(state), sorted(state['model'])
# %%
learn2.model.load_state_dict(state['model']); learn2.model.load_state_dict(state['model'], strict=False)
# %%
m = EmbeddingDotBias.from_classes(8, dls.classes, user='user', item='title', y_range=(0, 5.5)); m.load_state_dict(state['model']); m.eval()(dls.valid.one_batch()[0])
# %%
inf.dls = dls; inf.fit(1, 1e-4); len(inf.recorder.values)
# %%
inf.validate(), inf.metrics
# %%
ens = sum(l.get_preds(dl=dls.valid)[0] for l in (learn, learn2, inf)) / 3; ens
# %% a network to an application
net = collab_learner(dls, use_nn=True, layers=[20, 10], y_range=(0, 5.5), metrics=rmse); net.fit(1, 5e-3); net.export('net.pkl'); back = load_learner(path/'net.pkl', cpu=True); back.model
# %%
a, b = net.get_preds(dl=dls.test_dl(df[:9]))[0], back.get_preds(dl=back.dls.test_dl(df[:9]))[0]; torch.allclose(a, b, atol=1e-5)
# %%
back.predict(df.iloc[4])[2].shape, back.model.embeds[0].weight.shape, back.model.training
# %% blocks to an application
block = DataBlock(blocks=(CategoryBlock, CategoryBlock, RegressionBlock), n_inp=2, getters=[ColReader('user'), ColReader('title'), ColReader('rating')], splitter=RandomSplitter(0.2, seed=42))
bdls = block.dataloaders(df, bs=64, path=path)
class Dot2(Module):
    def __init__(self, nu, ni, k=5): self.u, self.i, self.b = Embedding(nu, k), Embedding(ni, k), Embedding(ni, 1)
    def forward(self, u, i): return sigmoid_range((self.u(u) * self.i(i)).sum(1, keepdim=True) + self.b(i), 0, 5.5)
bl = Learner(bdls, Dot2(*map(len, bdls.vocab)), loss_func=MSELossFlat(), metrics=rmse); bl.fit_one_cycle(1, 1e-2); bl.validate()
# %%
bl.export('block.pkl') and None
# %%
bi = load_learner(path/'block.pkl'); type(bi.model).__name__, len(bi.dls.vocab), len(bi.dls.vocab[0]), len(bi.dls.vocab[1])
# %%
bi.dls.vocab[1][:2], bi.dls.vocab[0].o2i[5]
# %%
bp = bi.get_preds(dl=bi.dls.test_dl(df.iloc[:7]))[0]; bp, torch.allclose(bp, bl.get_preds(dl=bl.dls.test_dl(df.iloc[:7]))[0], atol=1e-5)
# %%
bi.predict(df.iloc[0])[1:]
# %%
bi.predict(df.iloc[0], with_input=True)[0][1] if False else len(bi.predict(df.iloc[0], with_input=True))
# %%
bi.dls.test_dl(df.iloc[:3], with_labels=True).one_batch()[-1].shape
# %%
bl.save('bl'); bl.load('bl'); torch.save(bl.model.state_dict(), 'bl.pt'); bi.model.load_state_dict(torch.load('bl.pt'))
# %%
cblock = DataBlock(blocks=(TransformBlock, CategoryBlock), get_x=lambda r: tensor([r.user, int(r.title[5:7])]), get_y=ColReader('rating'), splitter=RandomSplitter(seed=2))
cl = Learner(cblock.dataloaders(df, bs=64), nn.Sequential(Lambda(lambda x: x.float()) if False else nn.Identity(), nn.Embedding(61, 4), nn.Flatten(), nn.Linear(8, 5)), loss_func=CrossEntropyLossFlat(), metrics=accuracy); cl.fit(1, 1e-2); cl.dls.vocab
# %%
str(cl.predict(df.iloc[1])[0]), cl.predict(df.iloc[1])[2].shape
# %% tables to an application
to = TabularPandas(df.assign(age=df.user % 50 + 10., hour=df.timestamp % 24), [Categorify, FillMissing, Normalize], ['user', 'title', 'hour'], ['age'], 'rating', splits=RandomSplitter(seed=3)(df), y_block=RegressionBlock())
tl = tabular_learner(to.dataloaders(64, path=path), [16], y_range=(0, 5.5), metrics=rmse); tl.fit(1, 1e-2); tl.export('tab.pkl'); ti = load_learner(path/'tab.pkl'); ti.dls.cont_names, ti.dls.cat_names
# %%
new = df.assign(age=df.user % 50 + 10., hour=df.timestamp % 24).iloc[:5]; torch.allclose(ti.get_preds(dl=ti.dls.test_dl(new))[0], tl.get_preds(dl=tl.dls.test_dl(new))[0], atol=1e-4)
# %%
new.loc[new.index[0], 'age'] = np.nan; ti.get_preds(dl=ti.dls.test_dl(new))[0].isnan().any() if False else ti.dls.test_dl(new.fillna({'age': 20.})).conts.shape
# %%
ti.predict(new.iloc[1])[0]
# %%
ti.dls.procs if hasattr(ti.dls, 'procs') else None
# %%
torch.onnx is not None, torch.jit.trace(learn.model.eval().cpu(), dls.one_batch()[0])(dls.one_batch()[0]).shape
# %%
scripted = torch.jit.trace(net.model.eval(), (dls.one_batch()[0],), check_trace=False); scripted.save('net.pt'); torch.jit.load('net.pt')(dls.one_batch()[0])
# %%
q = torch.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 2)), {nn.Linear}, dtype=torch.qint8) if False else None; q
# %%
import zipfile, shutil
shutil.make_archive('bundle', 'zip', 'app'); zipfile.is_zipfile('bundle.zip')
# %%
st = Path('app/export.pkl').stat().st_size > 500; st
# %%
learn.dls.train_ds.items.user.nunique(), learn.dls.train_ds.items.title.map(type).iloc[0].__name__
# %%
learn.dls.train_ds.decode().items.title.iloc[0][:4], learn.dls.valid_ds.items.index.isin(df.index).all()
# %%
t0 = time.time(); recommend(3); (time.time() - t0) < 60
# %%
inf.model.cpu().eval(); del inf; gc.collect() if 'gc' in globals() else None
