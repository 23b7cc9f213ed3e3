# %% MovieLens 1M kernel: reading '::' files, ensembling, submission
import gc, warnings; warnings.filterwarnings("ignore")
lines = ["::".join(map(str, r)) for r in ratings[["user", "movie", "rating", "timestamp"]].values]
Path("ml-1m").mkdir(exist_ok=True); Path("ml-1m/ratings.dat").write_text("\n".join(lines), encoding="latin-1")
Path("ml-1m/movies.dat").write_text("\n".join(f"{m}::{t}::Drama|Comedy" for m, t in movies.values), encoding="latin-1")
# %%
r = pd.read_csv("ml-1m/ratings.dat", sep="::", header=None, names=["userId", "movieId", "rating", "timestamp"], engine="python", encoding="latin-1")
m = pd.read_csv("ml-1m/movies.dat", sep="::", header=None, names=["movieId", "title", "genres"], engine="python", encoding="latin-1")
df = r.merge(m, how="left", on="movieId"); df.head(3)
# %%
df["when"] = pd.to_datetime(df.timestamp, unit="s"); df = df.sort_values("when"); df["rank"] = df.groupby("userId")["when"].rank(method="first", ascending=False)
train, test = df[df["rank"] > 3], df[df["rank"] <= 3]; len(train), len(test)
# %%
train = train[["userId", "movieId", "rating"]].reset_index(drop=True); test = test[["userId", "movieId", "rating"]].reset_index(drop=True)
# %%
class FastAIModel:
    def __init__(self, n_factors=20, epochs=2, lr=5e-3, wd=.1): self.n_factors, self.epochs, self.lr, self.wd = n_factors, epochs, lr, wd
    def fit(self, frame):
        self.dls = CollabDataLoaders.from_df(frame, user_name="userId", item_name="movieId", rating_name="rating", bs=256, valid_pct=0.05, seed=0)
        self.learn = collab_learner(self.dls, n_factors=self.n_factors, y_range=(0.5, 5.5), wd=self.wd, loss_func=MSELossFlat())
        with self.learn.no_bar(), self.learn.no_logging(): self.learn.fit_one_cycle(self.epochs, self.lr)
        return self
    def predict(self, frame):
        dl = self.dls.test_dl(frame); p, _ = self.learn.get_preds(dl=dl); return p.numpy().ravel()
    def __repr__(self): return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in vars(self).items() if isinstance(v, (int, float)))})"
model = FastAIModel(); model.fit(train); model
# %%
pred = model.predict(test); pred.shape, pred.dtype, np.sqrt(np.mean((pred - test.rating.values) ** 2)) < 3
# %%
models = [FastAIModel(k).fit(train) for k in (5, 10, 20)]
stack = np.column_stack([mm.predict(test) for mm in models]); stack.shape
# %%
from sklearn.linear_model import Ridge, LinearRegression
from sklearn.metrics import mean_squared_error, mean_absolute_error
oof = np.column_stack([mm.predict(train) for mm in models]); ridge = Ridge(1.).fit(oof, train.rating); ridge.coef_.shape, mean_squared_error(test.rating, ridge.predict(stack)) > 0
# %%
sub = test.copy(); sub["Id"] = range(len(sub)); sub["Prediction"] = np.clip(stack.mean(1), 1, 5); sub[["Id", "Prediction"]].to_csv("submission.csv", index=False); pd.read_csv("submission.csv").head(2)
# %%
del models; gc.collect() >= 0
# %%
new = pd.DataFrame({"userId": [1, 999], "movieId": [5, 7]}); model.predict(new).shape
# %%
model.learn.dls.test_dl(new).items
# %%
model.learn.dls.test_dl(new).one_batch()
# %%
tdl = model.dls.test_dl(test, with_labels=True); model.learn.validate(dl=tdl), model.learn.get_preds(dl=tdl)[1]
# %%
model.learn.get_preds(dl=tdl, with_input=True)
# %%
model.learn.get_preds(dl=tdl, with_loss=True, with_decoded=True)
# %%
for name, p in model.learn.model.named_parameters(): print(f"{name:20s} {tuple(p.shape)} {p.dtype}")
# %%
grid = list(itertools.product([5, 10], [1e-2, 1e-3])) if "itertools" in globals() else []
res = []
for k, lr in grid:
    l = collab_learner(model.dls, n_factors=k, y_range=(0.5, 5.5), metrics=rmse)
    with l.no_bar(), l.no_logging(): l.fit_one_cycle(1, lr)
    res.append(dict(k=k, lr=lr, rmse=l.recorder.values[-1][-1], valid=l.validate()[0]))
pd.DataFrame(res).sort_values("rmse").shape
# %%
best = min(res, key=lambda d: d["rmse"]); sorted(best)
# %%
pivot = df.pivot_table(index="userId", columns="movieId", values="rating").fillna(0); U, S, Vt = np.linalg.svd(pivot - pivot.values.mean(), full_matrices=False); U.shape
# %%
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds
codes = model.dls.train_ds.items[["userId", "movieId"]].values; sp = csr_matrix((model.dls.train_ds.items.rating.values.astype(float), codes.T)); u, s, vt = svds(sp, k=4); sp.shape
# %%
model.dls.train_ds.items.dtypes
# %%
model.dls.train_ds.items.index[:3].tolist() == model.dls.train_ds.items.index.tolist()[:3], model.dls.valid_ds.items.index.tolist()[:4]
# %%
model.dls.train.items.shape, model.dls.train.xs.dtypes.tolist(), model.dls.train.ys.dtypes.tolist(), model.dls.valid.targ.shape
# %%
cls = model.dls.classes["movieId"]; type(cls).__name__, cls.o2i[cls[3]], len(cls.items), cls.map_objs([cls[1], cls[2]]), cls.map_ids([1, 2])
# %%
cls == cls, cls.index(cls[2]) if hasattr(cls, "index") else None, cls[2] in cls
# %%
L(cls)[:3], list(cls)[:2], np.array(cls)[:3], cls[[1, 2]], cls[1:3], cls[torch.tensor(2)]
# %%
idx2id = {i: c for i, c in enumerate(cls)}; len(idx2id), dict(enumerate(cls.items))[1]
# %%
model.dls.procs, model.dls.train_ds.procs[0]
# %%
model.dls.procs.categorify.classes["userId"][:2]
# %%
model.learn.opt is not None, model.learn.create_opt(), model.learn.wd, model.learn.lr
# %%
learn = model.learn; learn.path = Path("."); learn.model_dir = "."; learn.save("final", with_opt=False)
# %%
load_model("final.pth", learn.model, None, with_opt=False); learn.model.training
# %%
save_model("again.pth", learn.model, learn.opt); Path("again.pth").exists()
# %%
learn.load("final", with_opt=False, device="cpu").model.u_weight.weight.shape
# %%
torch.load("final.pth", map_location="cpu").keys() if True else None
# %%
torch.load("again.pth", weights_only=False).keys()
# %%
learn.fit(1, slice(1e-4, 1e-3)); learn.fit_one_cycle(1, slice(1e-3)); learn.fit_flat_cos(1, 1e-3, pct_start=.5, div_final=1e4); learn.fit_sgdr(1, 1, lr_max=1e-3)
# %%
learn.fine_tune(1, base_lr=1e-3, freeze_epochs=1, lr_mult=10)
# %%
learn.fit_one_cycle(2, lr_max=1e-3, moms=(.9, .8, .9), pct_start=.3, div=20, div_final=1e4, wd=.01, start_epoch=1); len(learn.recorder.values)
