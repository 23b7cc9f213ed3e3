# %%
dls = CollabDataLoaders.from_df(ratings, seed=42, bs=64)
dls.show_batch(max_n=3)
# %%
learn = collab_learner(dls, y_range=(0.5,5.5), metrics=[mae, rmse, mse])
learn.fine_tune(2)
learn.show_results()
# %%
learn.loss_func
# %%
preds, targs = learn.get_preds()
preds.shape, targs.shape, preds.dtype, targs.dtype
# %%
res = learn.get_preds(with_input=True, with_decoded=True, with_loss=True)
[getattr(o, 'shape', None) for o in res]
# %%
inp, preds, targs = learn.get_preds(ds_idx=0, with_input=True)
inp, preds, targs
# %%
((preds - targs.squeeze())**2).mean().sqrt().shape
# %%
exact_sorted = preds.argsort(descending=True)[:5].shape
exact_sorted
# %%
pd.Series(preds)
# %%
ratings.iloc[:len(preds)].assign(p=preds)['p'].dtype
# %%
dl = dls.test_dl(ratings[['user','movie']].iloc[:10])
preds, targs = learn.get_preds(dl=dl)
preds, targs
# %%
preds.topk(3)
# %%
scores = torch.zeros(10)
scores[:] = preds
scores
# %%
preds, _, decoded = learn.get_preds(dl=dl, with_decoded=True)
preds, decoded
# %%
dl2 = dls.test_dl(ratings.iloc[:10], with_labels=True)
p, t = learn.get_preds(dl=dl2)
p, t
# %%
row, pred, prob = learn.predict(ratings.iloc[0])
pred, prob
# %%
row
# %%
learn.predict(ratings.iloc[5], with_input=True)[0]
# %%
v = learn.validate()
v
# %%
learn.recorder.values
# %%
learn.recorder.metric_names
# %%
learn.recorder.log
# %%
learn.final_record
# %%
learn.recorder.losses[0], learn.recorder.lrs[0], learn.recorder.iters
# %%
len(learn.recorder.losses), len(learn.recorder.lrs)
# %%
learn.recorder.plot_loss()
plt.close('all')
# %%
fig, ax = plt.subplots()
learn.recorder.plot_loss(skip_start=2, with_valid=False, ax=ax)
plt.close('all')
# %%
learn.recorder.plot_sched()
plt.close('all')
# %%
learn.lr_find(suggest_funcs=(minimum, steep, valley, slide))
# %%
lr_min, lr_steep = learn.lr_find(suggest_funcs=(minimum, steep))
lr_min, lr_steep
# %%
lrs = learn.lr_find(suggest_funcs=(valley))
float(str(lrs).split('=')[1][0:10])
# %%
lrs.valley
# %%
learn.lr_find(start_lr=1e-6, end_lr=1, num_it=50, show_plot=False)
# %%
learn.lr_find(suggest_funcs=None)
# %%
learn.recorder.plot_lr_find()
plt.close('all')
# %%
learn.fit(1, lr=1e-3)
# %%
learn.fit_flat_cos(1, 1e-3)
# %%
learn.fit_sgdr(2, 1, lr_max=1e-3)
# %%
learn.fit_one_cycle(1, slice(1e-4,1e-3), wd=0.05, pct_start=0.3, div=10.)
# %%
learn.freeze(); learn.unfreeze(); learn.freeze_to(0)
# %%
learn.summary()
# %%
print(learn.summary())
# %%
learn.opt
# %%
learn.opt.hypers
# %%
learn.opt.hypers[-1]['lr']
# %%
sum(p.numel() for p in learn.parameters())
# %%
list(learn.state_dict())
# %%
learn.y_range
# %%
learn.model.state_dict()['i_weight.weight']
# %%
learn.epoch, learn.n_epoch, learn.training
# %%
learn.metrics
# %%
learn.metrics[0].name
# %%
learn.cbs
# %%
learn.dls.train_ds, learn.dls.valid_ds
# %%
learn.path, learn.model_dir
# %%
learn.lr, learn.wd, learn.moms
# %%
learn.eval()
# %%
with learn.no_logging(), learn.no_bar(): learn.fit(1)
# %%
with learn.no_mbar(): learn.fit(1)
# %%
learn.to_fp32()
# %%
learn.add_cb(ShowGraphCallback())
learn.fit(1)
plt.close('all')
learn.remove_cb(ShowGraphCallback)
# %%
learn.show_training_loop()
# %%
x, y = dls.one_batch()
out = learn.model(x)
out
# %%
learn.loss_func(out, y)
# %%
learn.loss_func.decodes(out), learn.loss_func.activation(out)
# %%
learn.loss
# %%
xb, yb = first(dls.train)
xb, yb
# %%
len(dls.train), len(dls.valid), len(dls.train_ds), len(dls.valid_ds)
# %%
dls.n, dls.bs
# %%
dls.device, dls.path
# %%
dls.train_ds.items.head()
# %%
dls.items.head()
# %%
dls.train.items.columns
# %%
dls.valid_ds.items.index[:5].tolist()
# %%
exact_first_valid = ratings.iloc[dls.valid_ds.items.index]['user'].tolist()[:10]
exact_first_valid
# %%
exact_first_train = dls.train_ds.items.index[:10].tolist()
exact_first_train
# %%
dls.classes['user'][:5]
# %%
dls.classes['movie'].o2i[3], dls.classes['movie'][3]
# %%
dls.classes['movie'].items[:3]
# %%
dls.classes['movie'].map_objs([1,2]), dls.classes['movie'].map_ids([1,2])
# %%
dls.cat_names, dls.cont_names, dls.y_names
# %%
dls.procs
# %%
dls.train.cats.head()
# %%
dls.xs.head()
# %%
dls.ys.head()
# %%
dls.train.xs.shape, dls.valid.ys.shape
# %%
dls.train_ds.cats.shape
# %%
dls.loaders
# %%
dls[0], dls[1]
# %%
b = dls.valid.one_batch()
b
# %%
callable(dls.decode_batch)
# %%
dls.cpu(); dls.to('cpu')
dls.device
# %%
dls.train.new(bs=16).one_batch()[0].shape
# %%
dls.new_empty() is not None
# %%
default_device(use=False)
# %%
learn.get_preds(ds_idx=1, act=noop, reorder=True)[0]
# %%
learn.validate(ds_idx=0)
# %%
learn.validate(dl=dls.valid)
# %%
learn.save('stage1'); learn.load('stage1')
# %%
learn.save('stage2', with_opt=False)
# %%
learn.load('stage1', device='cpu', strict=True)
# %%
learn.loss_func = L1LossFlat()
learn.fit_one_cycle(1, 1e-3)
# %%
interp = Interpretation.from_learner(learn)
interp.top_losses(3)
# %%
interp.top_losses(3, largest=False)[0]
