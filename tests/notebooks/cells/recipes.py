# %% recipes with side features: DataBlock, TabularPandas, entity embeddings, feature crosses
rec = ratings.rename(columns={"movie": "recipe_id", "user": "author_id"}); R = np.random.RandomState(3)
info = pd.DataFrame({"recipe_id": range(1, 41), "minutes": R.randint(5, 120, 40).astype(float), "n_steps": R.randint(1, 20, 40), "cuisine": R.choice(["it", "fr", "in", "us"], 40), "tags": ["a;b" if i % 2 else "b;c" for i in range(40)]}); info.loc[[3, 7], "minutes"] = np.nan
df = rec.merge(info, on="recipe_id"); df["date"] = pd.to_datetime(df.timestamp, unit="s"); df = add_datepart(df, "date", drop=True); [c for c in df.columns if c.startswith("date")][:5]
# %%
dep = "rating"; conts, cats = cont_cat_split(df.drop(columns=["tags"]), 9000, dep_var=dep); sorted(conts)[:3], len(cats)
# %%
procs = [Categorify, FillMissing, Normalize]; splits = RandomSplitter(valid_pct=.2, seed=42)(range_of(df)); len(splits[0]), splits[1][:5]
# %%
to = TabularPandas(df, procs=procs, cat_names=["author_id", "recipe_id", "cuisine", "Dayofweek"], cont_names=["minutes", "n_steps"], y_names=dep, splits=splits, y_block=RegressionBlock()); to.xs.iloc[:2], to.cat_names, to.cont_names
# %%
dls = to.dataloaders(bs=64); dls.show_batch(max_n=3)
# %%
learn = tabular_learner(dls, layers=[40, 20], y_range=(.5, 5.5), metrics=[rmse, mae], loss_func=F.mse_loss); learn.lr_find(show_plot=False)
# %%
learn.fit_one_cycle(2, 1e-2); learn.model
# %%
learn.show_results(max_n=4)
# %%
row, clas, probs = learn.predict(df.iloc[0]); row
# %%
clas, probs
# %%
test = df.head(20).drop(columns=[dep]); dl = learn.dls.test_dl(test); learn.get_preds(dl=dl)[0].shape
# %%
tt = to.new(test); tt.process(); tt.xs.head(2), tt.items.shape
# %%
to.show(max_n=2); to.items.head(1)
# %%
save_pickle(Path("to.pkl"), to) if "save_pickle" in globals() else to.export("to2.pkl") if hasattr(to, "export") else None
# %%
to.train.xs.dtypes.astype(str).tolist(), to.train.ys.dtypes.astype(str).tolist(), to.valid.xs.shape
# %%
to.classes.keys(), to.procs, to.y_names
# %%
emb_szs = get_emb_sz(to); emb_szs, get_emb_sz(to, {"cuisine": 7})
# %%
class Wide(nn.Module):
    def __init__(self, emb_szs, n_cont, out=1): super().__init__(); self.embeds = nn.ModuleList([Embedding(a, b) for a, b in emb_szs]); n = sum(b for _, b in emb_szs); self.bn, self.out = nn.BatchNorm1d(n_cont), nn.Sequential(LinBnDrop(n + n_cont, 16, bn=True, p=.1, act=nn.ReLU(inplace=True)), LinBnDrop(16, out, bn=False))
    def forward(self, c, x): return sigmoid_range(self.out(torch.cat([*(e(c[:, i]) for i, e in enumerate(self.embeds)), self.bn(x)], 1)), .5, 5.5)
l = Learner(dls, Wide(emb_szs, 2), loss_func=MSELossFlat(), metrics=[rmse], opt_func=partial(Adam, wd=.01), cbs=[EarlyStoppingCallback(patience=3)]); l.fit_one_cycle(2, 1e-2); l.summary()
# %%
l.get_preds(with_input=True)[0]
# %%
l.validate(dl=dls.train), l.validate(ds_idx=0)
# %%
block = DataBlock(blocks=(TransformBlock, RegressionBlock), get_x=lambda r: tensor([r["author_id"], r["recipe_id"]]), get_y=ColReader("rating"), splitter=RandomSplitter(seed=1)); bd = block.dataloaders(df, bs=64); b = bd.one_batch(); b[0].shape, b[1].shape, b[1].dtype
# %%
block.summary(df.head(20)) if False else bd.train_ds[0]
# %%
class Dot(Module):
    def __init__(self): self.a, self.r = Embedding(61, 8), Embedding(41, 8)
    def forward(self, x): return sigmoid_range((self.a(x[:, 0]) * self.r(x[:, 1])).sum(1), 0, 5.5)
bl = Learner(bd, Dot(), loss_func=MSELossFlat(), metrics=[rmse]); bl.fit(1, 1e-2); bl.get_preds()
# %%
dsets = Datasets(df[["author_id", "recipe_id", "rating"]].values.tolist(), [[lambda o: tensor(o[:2])], [lambda o: tensor(float(o[2]))]], splits=splits); dsets[0], len(dsets.train), dsets.subset(1)[0]
# %%
dd = dsets.dataloaders(bs=32, num_workers=0); dd.one_batch()
# %%
tl = TfmdLists(list(range(5)), lambda o: o * 2); tl[2], list(tl), len(tl)
# %%
cls_to = TabularPandas(df.assign(liked=np.where(df.rating > 3, "yes", "no")), [Categorify, FillMissing, Normalize], ["author_id", "recipe_id"], ["minutes"], y_names="liked", y_block=CategoryBlock(), splits=splits); cd = cls_to.dataloaders(64); cd.vocab, cd.c
# %%
cl = tabular_learner(cd, layers=[20], metrics=[accuracy, F1Score(), RocAucBinary(), Precision(), Recall()]); cl.fit_one_cycle(1, 1e-2); cl.recorder.metric_names, cl.loss_func
# %%
cl.predict(df.iloc[3]), cl.get_preds(with_decoded=True)[2].dtype
# %%
ci = ClassificationInterpretation.from_learner(cl); ci.confusion_matrix(), ci.most_confused()
# %%
ci.plot_confusion_matrix(figsize=(3, 3)); ci.print_classification_report()
# %%
cl.show_results(max_n=2)
# %%
cl.export("cl.pkl"); load_learner("cl.pkl").predict(df.iloc[3])[0].shape if False else load_learner("cl.pkl").dls.vocab
# %%
learn.export("tab.pkl"); t2 = load_learner("tab.pkl"); t2.predict(df.iloc[5])[1], t2.get_preds(dl=t2.dls.test_dl(df.head(3)))[0]
# %%
learn.save("tabular"); learn.load("tabular"); learn.model.embeds[0].weight.shape
# %%
wdl = to.dataloaders(bs=64, shuffle=False, drop_last=False); len(wdl.train), wdl.train.one_batch()[0].shape
# %%
dfs = df_shrink(df.drop(columns="tags")); str(dfs.dtypes["n_steps"])
# %%
pd.DataFrame(to_np(learn.model.embeds[2].weight), index=list(to.classes["cuisine"])).T.corr().shape, learn.model.embeds[2].weight.pca(2).shape
# %%
TabularDataLoaders.from_df(df.drop(columns="tags"), procs=procs, cat_names=["cuisine"], cont_names=["minutes"], y_names="rating", y_block=RegressionBlock, bs=64, seed=1) if False else TabularDataLoaders.from_df(df.drop(columns="tags"), procs=procs, cat_names=["cuisine"], cont_names=["minutes"], y_names="rating", bs=64).one_batch()[2]
