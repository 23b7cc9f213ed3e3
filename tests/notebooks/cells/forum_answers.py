# %% answers of a forum: how do I ... with a learner that I have
set_seed(21); df = ratings.merge(movies); dls = CollabDataLoaders.from_df(df, item_name='title', bs=64, seed=42); learn = collab_learner(dls, n_factors=10, y_range=(0, 5.5)); learn.fit_one_cycle(1, 5e-3, wd=0.1)
# %%
torch.cuda.is_available(), torch.backends.mps.is_available() if hasattr(torch.backends, 'mps') else False, default_device(), dls.device, next(learn.model.parameters()).device.type
# %%
learn.model = learn.model.cpu(); learn.dls.cpu() if hasattr(learn.dls, 'cpu') else None; learn.dls.to(torch.device('cpu')); learn.to('cpu') if hasattr(learn, 'to') else None; learn.model.to(default_device()).training
# %%
if torch.cuda.is_available(): dls.cuda(); learn.model.cuda()
dev = 'cuda' if torch.cuda.is_available() else 'cpu'; xb, yb = to_device(dls.one_batch(), dev); xb.device.type, to_cpu(xb).shape, to_detach(learn.model(xb)).requires_grad
# %%
user_id = 17; watched = df.loc[df.user == user_id, 'title'].unique(); not_watched = df.loc[~df.title.isin(watched), 'title'].unique(); inp = pd.DataFrame({'user': user_id, 'title': not_watched}); preds = learn.get_preds(dl=learn.dls.test_dl(inp))[0]; inp['pred'] = preds; inp.sort_values('pred', ascending=False).head(3).shape
# %%
topk = torch.topk(preds.flatten(), 3); [not_watched[i] for i in topk.indices].__len__(), topk.values.shape
# %%
def recommend(user, k=5):
    u = torch.tensor(dls.classes['user'].o2i[user]); items = torch.arange(len(dls.classes['title'])); x = torch.stack([u.repeat(len(items)), items], dim=1)
    with torch.no_grad(): s = learn.model(x)
    s[0] = -1; s[[dls.classes['title'].o2i[t] for t in watched]] = -1
    return [(dls.classes['title'][int(i)], round(float(s[i]), 2)) for i in s.argsort(descending=True)[:k]]
recommend(user_id).__len__(), recommend(user_id)[0][0] in list(not_watched)
# %%
learn.predict(df.iloc[0])[1:]
# %%
learn.export('a.pkl'); again = load_learner('a.pkl', cpu=True); torch.allclose(again.get_preds(dl=again.dls.test_dl(inp[['user', 'title']]))[0], preds, atol=1e-5), list(again.dls.classes['title']) == list(dls.classes['title'])
# %%
torch.save(learn.model.state_dict(), 'w.pth'); sd = torch.load('w.pth'); l2 = collab_learner(dls, n_factors=10, y_range=(0, 5.5)); l2.model.load_state_dict(sd), list(sd)
# %%
l2.model.load_state_dict({k: v for k, v in sd.items() if 'bias' in k}, strict=False), l2.load_state_dict(sd) if hasattr(l2, 'load_state_dict') else 0
# %%
torch.save(learn.model, 'm.pt'); m = torch.load('m.pt', weights_only=False); type(m).__name__, torch.equal(m.u_weight.weight, learn.model.u_weight.weight)
# %%
import pickle, joblib
p = pickle.loads(pickle.dumps(dls.classes)); p['title'][1], joblib.dump({'b': learn.model.i_bias.weight.detach().numpy()}, 'b.joblib'), deepcopy(learn).model.n_factors if hasattr(learn.model, 'n_factors') else 0
# %%
learn.save('stage-1'); learn.load('stage-1'); learn.path, learn.model_dir, (learn.path/learn.model_dir/'stage-1.pth').exists(), learn.save('s2', with_opt=False).name
# %%
new = pd.DataFrame({'user': [100] * 4, 'title': df.title.unique()[:4], 'rating': [5, 5, 1, 4]}); dls2 = CollabDataLoaders.from_df(pd.concat([df[['user', 'title', 'rating']], new], ignore_index=True), bs=64, seed=42); len(dls2.classes['user']) - len(dls.classes['user'])
# %%
l3 = collab_learner(dls2, n_factors=10, y_range=(0, 5.5))
with torch.no_grad():
    l3.model.u_weight.weight[:-1] = learn.model.u_weight.weight; l3.model.u_weight.weight[-1] = learn.model.u_weight.weight.mean(0); l3.model.i_weight.load_state_dict(learn.model.i_weight.state_dict()); l3.model.i_bias.load_state_dict(learn.model.i_bias.state_dict())
for p in l3.model.i_weight.parameters(): p.requires_grad = False
l3.fit(1, 1e-3); torch.equal(l3.model.i_weight.weight, learn.model.i_weight.weight)
# %%
try: learn.dls.test_dl(new); out = learn.get_preds(dl=learn.dls.test_dl(new))[0].shape
except Exception as e: out = type(e).__name__
out
# %%
learn.dls.bs, learn.dls.train.bs; learn.dls.bs = 256; learn.dls.train.bs, len(learn.dls.train)
# %%
learn.fit(1, 1e-3); learn.recorder.values, learn.recorder.losses[:1], learn.recorder.lrs[:1].__len__()
# %%
tr_loss = [v[0] for v in learn.recorder.values]; va_loss = L(learn.recorder.values).itemgot(1); plt.plot(tr_loss); plt.plot(va_loss); plt.close(); tr_loss[0] > 0, len(va_loss), type(va_loss).__name__
# %%
learn.recorder.plot_loss(skip_start=5, with_valid=False); plt.title('loss'); plt.savefig('loss.png'); plt.close(); os.path.getsize('loss.png') > 0
# %%
learn.add_cb(SaveModelCallback(monitor='valid_loss', fname='best', every_epoch=False)); learn.add_cbs([EarlyStoppingCallback(patience=1)]); learn.fit(2, 1e-3); learn.cbs, learn.remove_cbs([SaveModelCallback, EarlyStoppingCallback])
# %%
with learn.removed_cbs(learn.cbs[-1:]): n = len(learn.cbs)
with learn.added_cbs(TerminateOnNaNCallback()): n2 = len(learn.cbs)
n2 - n
# %%
with learn.validation_context(): p, = [learn.model(dls.one_batch()[0]).shape]; p
# %%
learn.opt = None; learn.create_opt(); learn.opt.hypers, learn.opt.param_groups if hasattr(learn.opt, 'param_groups') else 0
# %%
learn.set_training(False) if hasattr(learn, 'set_training') else None; learn.training, learn.model.training; learn.model.train(); learn.model.training
# %%
learn.loss_func, learn.opt_func, learn.splitter, learn.lr, learn.wd, learn.moms, learn.train_bn, learn.wd_bn_bias
# %%
learn.metrics = [mae, rmse]; learn.validate(), learn.recorder.metric_names
# %%
pairs = pd.MultiIndex.from_product([df.user.unique()[:5], df.title.unique()], names=['user', 'title']).to_frame(index=False); P = learn.get_preds(dl=dls.test_dl(pairs, bs=512))[0]; pairs.assign(p=P.numpy()).pivot(index='user', columns='title', values='p').shape
# %%
learn.get_preds(dl=dls.test_dl(pairs), with_input=True)[0].shape if not isinstance(learn.get_preds(dl=dls.test_dl(pairs), with_input=True)[0], tuple) else [o.shape for o in learn.get_preds(dl=dls.test_dl(pairs), with_input=True)[0]]
# %%
inter = Interpretation.from_learner(learn); v, i = inter.top_losses(4); v.shape, i.shape, dls.valid_ds.items.iloc[i.tolist()].shape
# %%
import inspect; inspect.signature(learn.fit_one_cycle).parameters.keys(), 'u_weight' in inspect.getsource(EmbeddingDotBias), str(learn)[:3] == repr(learn)[:3]
# %%
gc = __import__('gc'); del l2, l3; gc.collect() >= 0, torch.cuda.empty_cache()
