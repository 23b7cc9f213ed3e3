# %%
dls = CollabDataLoaders.from_df(ratings, seed=42, valid_pct=0.1)
learn = collab_learner(dls, n_factors=5, y_range=[0, 5.5], wd=1e-1)
learn.fit_one_cycle(1, 5e-3)
# %%
learn.recorder.metrics
# %%
learn.predict(ratings.iloc[0])
# %%
learn.model.u_weight, learn.model.i_bias
# %%
learn.weight([1, 2], is_item=True)
# %%
learn.bias([1, 2], is_item=True)
# %%
learn.model.weight([1, 2], is_item=True).shape
# %%
learn.model.bias([1, 2], is_item=False)
# %%
learn.load_state_dict
# %%
learn.freeze_to(-1)
# %%
dls.train_ds.y
# %%
dls.valid_ds.xs, dls.valid_ds.ys
# %%
dls.bs
# %%
EmbeddingDotBias(5, 10, 20, y_range=(0, 5))
# %%
EmbeddingDotBias.from_classes(5, dls.classes, y_range=(0, 5))
# %%
EmbeddingNN([(10, 3), (20, 4)], layers=[10], y_range=(0, 5))
# %%
EmbeddingNN(emb_szs=[(10, 3), (20, 4)], layers=[10, 5], ps=[.1, .2], embed_p=.05, use_bn=True, bn_final=True, lin_first=False, act_cls=nn.Tanh())
# %%
collab_learner(dls, n_factors=5, use_nn=True, emb_szs={"user": 20, "movie": 10}, layers=[30, 10], y_range=(0, 5.5)).model
# %%
collab_learner(dls, use_nn=True, config=tabular_config(ps=.1, embed_p=.05), y_range=(0, 5.5), layers=[10]).model
# %%
collab_learner(dls, n_factors=3, y_range=(0, 5.5), opt_func=optim.SGD)
# %%
collab_learner(dls, 3, (0, 5.5)).model
# %%
collab_learner(dls, y_range=(0, 5.5)).model.u_weight
