# %% prediction in every way: test_dl, predict, get_preds and its options, files, another process
import subprocess, sys as _sys, textwrap
df = ratings.merge(movies); dls = CollabDataLoaders.from_df(df, item_name='title', bs=64, seed=42, shuffle=False)
def filled(m, scale=0.3):
    with torch.no_grad():
        for i, p in enumerate(m.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() * 0.37 + i).view_as(p) * scale)
    return m
learn = collab_learner(dls, n_factors=8, y_range=(.5, 5.5), metrics=[rmse, mae]); filled(learn.model); learn.fit(2, 5e-3); close_fit = [[float(v) for v in r] for r in learn.recorder.values]
# %%
preds, targs = learn.get_preds(); close_preds = preds[:4].tolist(); exact_targs = targs[:4].tolist()
# %%
preds, targs, decoded = learn.get_preds(with_decoded=True); decoded.shape, torch.equal(preds, decoded)
# %%
preds, targs, losses = learn.get_preds(with_loss=True); close_losses = losses[:4].tolist(); losses.shape
# %%
inps, preds, targs, dec, losses = learn.get_preds(with_input=True, with_decoded=True, with_loss=True); exact_inps = inps[:3].tolist()
# %%
tr_preds, tr_targs = learn.get_preds(ds_idx=0); tr_preds.shape, len(dls.train_ds)
# %%
tr2, _ = learn.get_preds(ds_idx=0, reorder=False); close_tr = tr_preds[:3].tolist()
# %%
a, _ = learn.get_preds(act=noop); b, _ = learn.get_preds(act=torch.round); close_round = b[:5].tolist(); exact_round = sorted(set(b.flatten().int().tolist()))
# %%
learn.get_preds(inner=True)[0].shape, learn.get_preds(n_workers=0)[0].shape if False else None
# %%
test = df.iloc[10:20][['user', 'title']]; tdl = dls.test_dl(test); tp, tt = learn.get_preds(dl=tdl); close_tp = tp.tolist(); tt is None
# %%
tdl.items.columns.tolist() if hasattr(tdl, 'items') else None, len(tdl), tdl.n, tdl.bs
# %%
tdl2 = dls.test_dl(df.iloc[10:20], bs=4); len(tdl2), [len(x[0]) for x in tdl2]
# %%
lp, lt = learn.get_preds(dl=dls.test_dl(df.iloc[10:20], with_labels=True)); None if lt is None else lt.flatten().tolist()
# %%
ldl = learn.dls.test_dl(df.iloc[:30]); val = learn.validate(dl=ldl); close_val = [float(v) for v in val]
# %%
row, pred, prob = learn.predict(df.iloc[5]); close_pred = [float(pred), float(prob)]; row.columns.tolist() if hasattr(row, 'columns') else list(row.index)
# %%
learn.predict(df.iloc[5], with_input=True)[1:]
# %%
r = learn.predict({'user': 1, 'title': 'Film 01 (1951)'}) if False else learn.predict(pd.Series({'user': 1, 'title': 'Film 01 (1951)'})); r[1]
# %%
one = pd.DataFrame({'user': [5], 'title': ['Film 05 (1955)']}); float(learn.get_preds(dl=dls.test_dl(one))[0])
# %%
close_one = float(learn.model(dls.test_dl(one).one_batch()[0]))
# %%
cats = [dls.classes['user'].o2i[5], dls.classes['title'].o2i['Film 05 (1955)']]; close_direct = float(learn.model(tensor([cats])))
# %%
unknown = pd.DataFrame({'user': [12345, 5], 'title': ['Film 05 (1955)', 'Nothing']}); close_unknown = learn.get_preds(dl=dls.test_dl(unknown))[0].flatten().tolist(); exact_unknown = dls.test_dl(unknown).one_batch()[0].tolist()
# %%
with learn.no_bar(): quiet = learn.get_preds(dl=tdl)[0]
quiet.shape
# %%
learn.show_results(ds_idx=0, max_n=3)
# %%
learn.loss_not_reduced() if False else None; interp = Interpretation.from_learner(learn); interp
# %%
learn.save('v1'); learn.save('v1_noopt', with_opt=False); [p.name for p in sorted(Path('models').iterdir())]
# %%
learn2 = collab_learner(dls, n_factors=8, y_range=(.5, 5.5), metrics=[rmse, mae]); learn2.load('v1'); close_loaded = [float(v) for v in learn2.validate()]
# %%
learn2.load('v1_noopt', with_opt=False, device='cpu'); learn2.opt is not None
# %%
sd = torch.load('models/v1_noopt.pth'); list(sd), {k: tuple(v.shape) for k, v in sd.items()}
# %%
learn2.model.load_state_dict(sd), learn2.model.state_dict().keys() == sd.keys()
# %%
torch.save(learn.model.state_dict(), 'w.pth'); m = EmbeddingDotBias(8, len(dls.classes['user']), len(dls.classes['title']), (.5, 5.5)); m.load_state_dict(torch.load('w.pth')); m.eval(); close_m = m(dls.valid.one_batch()[0])[:3].tolist()
# %%
learn.export('final.pkl'); Path('final.pkl').exists()
# %%
inf = load_learner('final.pkl', cpu=True); close_inf = float(inf.predict(df.iloc[5])[1])
# %%
inf.dls.classes['title'][:3], inf.dls.classes.keys() if hasattr(inf.dls.classes, 'keys') else None
# %%
len(inf.dls.train_ds) if len(inf.dls.train_ds) else 0
# %%
ip = inf.get_preds(dl=inf.dls.test_dl(test))[0]; torch.allclose(ip, tp, atol=1e-5)
# %%
script = """
from fastai.collab import *
import pandas as pd, sys
l = load_learner('final.pkl')
df = pd.DataFrame({'user': [5, 6], 'title': ['Film 05 (1955)', 'Film 06 (1956)']})
with l.no_bar(): print('RESULT', [round(float(v), 3) for v in l.get_preds(dl=l.dls.test_dl(df))[0]])
"""
Path('serve.py').write_text(script); out = subprocess.run([_sys.executable, 'serve.py'], capture_output=True, text=True); close_sub = eval(next(s for s in out.stdout.splitlines() if 'RESULT' in s).split('RESULT')[1])
# %%
import pickle as pk
s = pk.dumps(dls.classes['title'].o2i); len(pk.loads(s)) if s else None
# %%
buf = io.BytesIO(); torch.save({'w': learn.model.state_dict(), 'classes': {k: list(v) for k, v in dls.classes.items()}, 'n': 8}, buf); buf.seek(0); ck = torch.load(buf, weights_only=False); sorted(ck), len(ck['classes']['user'])
# %%
class Service:
    def __init__(self, path): self.learn = load_learner(path); self.items = list(self.learn.dls.classes['title'])[1:]
    def top(self, user, n=3):
        d = pd.DataFrame({'user': user, 'title': self.items}); 
        with self.learn.no_bar(), self.learn.no_logging(): p = self.learn.get_preds(dl=self.learn.dls.test_dl(d))[0].numpy().ravel()
        o = np.argsort(-p)[:n]; return [{'title': self.items[i], 'score': round(float(p[i]), 2)} for i in o]
svc = Service('final.pkl'); json.dumps(svc.top(7)) != '', svc.top(7)
# %%
exact_top = [d['title'] for d in svc.top(7, 5)]; close_top = [d['score'] for d in svc.top(7, 5)]
# %%
traced = torch.jit.trace(learn.model.eval(), dls.valid.one_batch()[0]); traced.save('m.pt'); close_traced = torch.jit.load('m.pt')(dls.valid.one_batch()[0])[:3].tolist()
# %%
cpu = {k: v.cpu().numpy() for k, v in learn.model.state_dict().items()}; np.savez('w.npz', **cpu); z = np.load('w.npz'); sorted(z.files)
# %%
def np_predict(u, i): return .5 + 5 / (1 + np.exp(-((z['u_weight.weight'][u] * z['i_weight.weight'][i]).sum(-1) + z['u_bias.weight'][u, 0] + z['i_bias.weight'][i, 0])))
close_np = np_predict(inps[:3, 0].numpy(), inps[:3, 1].numpy()).tolist()
# %%
batch = dls.valid.one_batch(); learn.model.eval(); out = learn.model(*batch[:dls.n_inp]) if hasattr(dls, 'n_inp') else learn.model(batch[0]); close_loss = float(learn.loss_func(out, batch[1]))
# %%
full = dls.test_dl(df); p_all = learn.get_preds(dl=full)[0]; df['p'] = p_all; df.p.describe().shape, close_all if False else None
# %%
close_mean = float(df.p.mean()); sub = df[['user', 'title', 'p']].rename(columns={'p': 'Prediction'}); sub.to_csv('submission.csv', index=False); pd.read_csv('submission.csv').shape
# %%
dl_new = dls.valid.new(bs=7); len(dl_new), dl_new.one_batch()[0].shape
# %%
dls.train.new(shuffle=False, bs=16).one_batch()[0].shape, dls.new_empty() is not None if hasattr(dls, 'new_empty') else None
# %%
learn.dls.train.show_batch(max_n=2) if hasattr(learn.dls.train, 'show_batch') else None
# %%
to = dls.train_ds; to.items.head(2), to.xs.head(2), to.ys.head(2), to.cat_names, to.cont_names, to.y_names
# %%
dec = dls.valid_ds.decode() if hasattr(dls.valid_ds, 'decode') else None; dec.items.head(2)[['user', 'title']].values.tolist()
