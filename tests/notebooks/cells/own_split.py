# %%
splits = RandomSplitter(valid_pct=0.2, seed=42)(range_of(ratings))
exact_split = [list(map(int, splits[0][:5])), list(map(int, splits[1][:5])), len(splits[0]), len(splits[1])]
exact_split
# %%
to = TabularCollab(ratings, [Categorify], ['user', 'movie'], y_names=['rating'], y_block=TransformBlock(), splits=splits)
to
# %%
to.items.head()
# %%
to.cat_names, to.cont_names, to.y_names
# %%
to.train, to.valid
# %%
len(to.train), len(to.valid), len(to)
# %%
to.xs.head()
# %%
to.ys.head()
# %%
to.train.xs.shape, to.train.ys.shape, to.valid.y.shape
# %%
to.classes['user']
# %%
to.procs
# %%
to.show(max_n=3)
# %%
to.iloc[0].items
# %%
dls = to.dataloaders(bs=64, path='.')
x, y = dls.one_batch()
x, y
# %%
learn = collab_learner(dls, n_factors=8, y_range=(0,5.5))
learn.fit(1)
# %%
splits = IndexSplitter(list(range(100)))(ratings)
to = TabularCollab(ratings, procs=[Categorify], cat_names=['user','movie'], y_names='rating', splits=splits)
dls = to.dataloaders(bs=32)
dls.train_ds, len(dls.valid_ds)
# %%
y = dls.one_batch()[1]
y
# %%
df = ratings.assign(is_valid=ratings.index % 5 == 0)
[len(o) for o in ColSplitter()(df)]
# %%
[len(o) for o in EndSplitter(0.1)(df)], [len(o) for o in MaskSplitter(df.is_valid)(df)], [len(o) for o in FuncSplitter(lambda o: o > 5)(list(range(10)))], [len(o) for o in RandomSubsetSplitter(0.3, 0.1, seed=1)(df)]
# %%
[len(o) for o in TrainTestSplitter(test_size=0.25, random_state=3)(df)]
# %%
to = TabularPandas(df, [Categorify], cat_names=['user','movie'], y_names='rating', splits=ColSplitter()(df))
dls = to.dataloaders(64)
dls.valid_ds.items.shape
# %%
x, conts, y = dls.one_batch() if len(dls.one_batch()) == 3 else (*dls.one_batch(), None)
x.shape, conts.shape
# %%
four = df.assign(gender=np.where(df.user % 2, 'f', 'm'), decade=(df.movie // 10))
splits = RandomSplitter(seed=1)(range_of(four))
to = TabularCollab(four, [Categorify], ['user','movie','gender','decade'], y_names=['rating'], y_block=TransformBlock(), splits=splits)
dls = to.dataloaders(bs=64)
x, y = dls.one_batch()
x, y
# %%
class Four(Module):
    def __init__(self, szs, y_range=(0,5.5)):
        self.embs = nn.ModuleList([Embedding(*s) for s in szs])
        self.lin = nn.Linear(sum(s[1] for s in szs), 1)
        self.y_range = y_range
    def forward(self, x):
        return sigmoid_range(self.lin(torch.cat([e(x[:,i]) for i,e in enumerate(self.embs)], 1)), *self.y_range)
learn = Learner(dls, Four(get_emb_sz(dls)), loss_func=MSELossFlat(), metrics=rmse)
learn.fit_one_cycle(1, 5e-3)
learn.get_preds()[0]
# %%
learn = collab_learner(dls, use_nn=True, layers=[20], y_range=(0,5.5))
learn.fit(1)
learn.predict(four.iloc[0])[1:]
# %%
get_emb_sz(dls), get_emb_sz(to)
# %%
tdl = dls.test_dl(four.iloc[:7])
learn.get_preds(dl=tdl)
# %%
learn = tabular_learner(dls, layers=[20], metrics=rmse, y_range=(0, 5.5), n_out=1, loss_func=MSELossFlat())
# %%
a = CollabDataLoaders.from_df(ratings.iloc[:1000], valid_pct=0.0, bs=64)
b = CollabDataLoaders.from_df(ratings.iloc[1000:], valid_pct=0.0, bs=64, shuffle=False)
len(a.train_ds), len(a.valid_ds), len(b.train_ds)
# %%
dls = DataLoaders(a.train, b.train)
dls.classes = a.classes if not hasattr(dls, 'classes') else dls.classes
x, y = dls.one_batch()
x, y
# %%
learn = collab_learner(a, n_factors=8, y_range=(0,5.5))
learn.fit(1)
p, t = learn.get_preds(dl=a.train)
len(p)
# %%
p, t = learn.get_preds(dl=b.train)
p, t
# %%
class DS(torch.utils.data.Dataset):
    def __init__(self, df): self.x, self.y = torch.tensor(df[['user','movie']].values), torch.tensor(df['rating'].values, dtype=torch.float32)
    def __len__(self): return len(self.x)
    def __getitem__(self, i): return self.x[i], self.y[i]
train_dl = DataLoader(DS(ratings.iloc[:1200]), bs=64, shuffle=True)
valid_dl = DataLoader(DS(ratings.iloc[1200:]), bs=128)
dls = DataLoaders(train_dl, valid_dl)
xb, yb = dls.one_batch()
xb, yb
# %%
class Dot(Module):
    def __init__(self): self.u, self.i = Embedding(61, 8), Embedding(41, 8)
    def forward(self, x): return (self.u(x[:,0]) * self.i(x[:,1])).sum(1)
learn = Learner(dls, Dot(), loss_func=MSELossFlat(), metrics=[rmse])
learn.fit_one_cycle(2, 1e-2)
learn.get_preds()
# %%
tl = torch.utils.data.DataLoader(DS(ratings.iloc[:1200]), batch_size=64, shuffle=True)
vl = torch.utils.data.DataLoader(DS(ratings.iloc[1200:]), batch_size=64)
dls = DataLoaders(tl, vl)
learn = Learner(dls, Dot(), loss_func=nn.MSELoss(), metrics=[mae])
learn.fit(1, 1e-2)
learn.final_record
# %%
learn.get_preds()[0]
# %%
cont_cat_split(ratings, max_card=20, dep_var='rating')
# %%
df_shrink(ratings).dtypes.astype(str).tolist()
# %%
add_datepart(pd.DataFrame({'date': pd.to_datetime(['2020-01-01','2021-05-06'])}), 'date').columns.tolist()
# %%
dls = TabularDataLoaders.from_df(four, procs=[Categorify, Normalize, FillMissing], cat_names=['user','movie'], cont_names=['timestamp'], y_names='rating', y_block=RegressionBlock(), bs=64)
b = dls.one_batch()
b
# %%
learn = tabular_learner(dls, layers=[20,10], metrics=[rmse], y_range=(0,5.5))
learn.fit_one_cycle(1, 1e-2)
# %%
learn.get_preds()
# %%
learn.predict(four.iloc[3])[1:]
# %%
dls.show_batch(max_n=2)
# %%
learn.model
# %%
kf = [(np.arange(0, 1000), np.arange(1000, 1500))]
for tr, va in kf:
    to = TabularCollab(ratings, [Categorify], ['user','movie'], y_names=['rating'], y_block=TransformBlock(), splits=(list(tr), list(va)))
    learn = collab_learner(to.dataloaders(bs=64), n_factors=5, y_range=(0,5.5))
    learn.fit(1)
# %%
rr = ratings.assign(user=ratings.user.astype(str), rating=ratings.rating.astype(float) / 2)
dls = CollabDataLoaders.from_df(rr, user_name='user', item_name='movie', rating_name='rating', seed=3, bs=32, val_bs=128, num_workers=0)
x, y = dls.one_batch()
x, y
# %%
dls.classes['user'][:3]
# %%
dls.valid.bs, dls.train.bs, len(dls.valid.one_batch()[0])
