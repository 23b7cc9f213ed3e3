# %%
dls = CollabDataLoaders.from_df(ratings.merge(movies), item_name='title', seed=42, bs=64)
learn = collab_learner(dls, n_factors=10, y_range=(0.5,5.5))
learn.fit_one_cycle(1, 5e-3)
learn.export('export.pkl')
# %%
learn2 = load_learner(learn.path/'export.pkl')
learn2.dls.classes['title'][:3]
# %%
learn2.predict(ratings.merge(movies).iloc[0])[1:]
# %%
df = ratings.merge(movies)[['user','title']].drop_duplicates().head(6)
dl = learn2.dls.test_dl(df)
p, t = learn2.get_preds(dl=dl)
p, t
# %%
learn2.model.i_bias.weight.squeeze()
# %%
learn2.dls = dls
learn2.get_preds()[0]
# %%
torch.save(learn.model.state_dict(), 'weights.pth')
m = EmbeddingDotBias.from_classes(10, dls.classes, y_range=(0.5,5.5))
m.load_state_dict(torch.load('weights.pth'))
# %%
learn.save('mini')
(learn.path/learn.model_dir).ls()
# %%
learn3 = collab_learner(dls, n_factors=10, y_range=(0.5,5.5))
learn3.load('mini');
exact_same = bool(torch.allclose(learn.get_preds()[0], learn3.get_preds()[0]))
exact_same
# %%
save_model('a.pth', learn.model, learn.opt)
load_model('a.pth', learn.model, learn.opt)
# %%
(Path('.')/'newdir').mkdir(exist_ok=True)
Path('.').ls()
# %%
Path('a.txt').write_text('hello')
Path('a.txt').read_text()
# %%
ratings.to_csv('r.csv', index=False)
dls = CollabDataLoaders.from_csv('r.csv', bs=64)
len(dls.train_ds)
# %%
d2 = CollabDataLoaders.from_csv(Path('.')/'r.csv', user_name='user', item_name='movie', rating_name='rating', valid_pct=0.3, seed=1)
len(d2.valid_ds)
# %%
import pickle
b = pickle.dumps(learn.model.state_dict())
len(b) > 0
# %%
nn_learn = collab_learner(dls, use_nn=True, layers=[10], y_range=(0,5.5))
nn_learn.fit(1)
nn_learn.export('nn.pkl')
l2 = load_learner('nn.pkl')
l2.predict(ratings.iloc[0])[1:]
# %%
learn.export(Path('sub.pkl').absolute())
